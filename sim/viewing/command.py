"""The sub-command `view` for a simulated robot."""

from __future__ import annotations

import contextlib

from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.dump import DUMP_FOLDER
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.options import ViewOptions
from adaptive_mbrl.viewing.serving import require_free
from sim.demo import default_multitask
from sim.episodes.policies import ControllerPolicy, OraclePolicy, load_controller
from sim.evaluation.setup import require_multitask
from sim.viewing.choices import presets, ranges
from sim.viewing.page import run_page
from sim.viewing.session import Actor, Session
from sim.viewing.source import Shown, find_shown
from sim.viewing.window import require_display, run_window

DEFAULT_CHECKPOINT = "half_cheetah"


def view(options: ViewOptions) -> None:
    """Show a simulated robot until Ctrl-C or the end of --seconds."""
    if options.window:
        require_display()
    else:
        # before anything is loaded, which takes a while
        extra_package("viser", "view")
        require_free(options.host, options.port)
    shown = find_shown(options.checkpoint or DEFAULT_CHECKPOINT, options.scenario, options.seed)
    session = Session(shown.robot, shown.scenario, make_actors(shown, options))
    adaptive = session.actors["adaptive"]
    assert isinstance(adaptive, ControllerPolicy)
    names = adaptive.controller.diagnosis_names
    if options.window:
        run_window(session, options.seconds)
        return
    run_page(
        session,
        ranges(shown.robot, shown.known),
        presets(shown.presets),
        names,
        host=options.host,
        port=options.port,
        seconds=options.seconds,
    )


def make_actors(shown: Shown, options: ViewOptions) -> dict[str, Actor]:
    """Who can act: adaptive, frozen, multitask if there is such a checkpoint, and oracle if the planner can plan in a simulator.

    Raises:
        CheckpointError: the checkpoint is of another robot, or the multi-task one adapts.
    """
    planner, seed = read_description(shown.checkpoint).planner, shown.scenario.seed
    named = {"adaptive": shown.checkpoint, "frozen": shown.checkpoint}
    multitask = options.multitask or default_multitask(shown.checkpoint)
    if multitask is not None:
        require_multitask(multitask)
        named["multitask"] = multitask
    device = resolve_device(options.device)
    actors: dict[str, Actor] = {}
    for arm, checkpoint in named.items():
        settings = {"planner": planner, "seed": seed, "device": device, "adapt": arm != "frozen", "dump_folder": DUMP_FOLDER}
        actors[arm] = ControllerPolicy(load_controller(checkpoint, shown.robot, **settings))
    # the simulator has no derivative that a planner by gradient could follow
    with contextlib.suppress(ConfigError):
        actors["oracle"] = OraclePolicy(shown.robot.spec, planner, seed)
    return actors
