"""The demonstration: the dynamics of a robot change while it moves, and the controller adapts.

By default the robot is the half-cheetah: its body becomes heavier, and later a motor is wired backwards as well.
"""

from __future__ import annotations

from pathlib import Path

import torch

import adaptive_mbrl
from adaptive_mbrl.checkpoint import Description, read_description
from adaptive_mbrl.console import make_console
from adaptive_mbrl.errors import ConfigError
from sim.evaluation.drawing_process import VideoError
from sim.evaluation.evaluate import evaluate
from sim.evaluation.first_episode import render_first_episode
from sim.evaluation.plots import plot_recovery
from sim.evaluation.report import describe, make_report, write_report
from sim.evaluation.setup import prepare
from sim.evaluation.terminal import live_progress, print_report
from sim.paths import known_configs

EPISODES = 4
"""All arms together have to take less than five minutes on two cores."""


def default_scenario(checkpoint: str) -> str:
    """What happens to a checkpoint's robot if the user does not say it.

    It is the robot's scenario `demo`, or, where it has none, the test part of the split that the shipped checkpoint of the same
    robot was trained on.

    Args:
        checkpoint: folder of the checkpoint, or name of a shipped one.

    Raises:
        ConfigError: no checkpoint is shipped for this robot.
    """
    robot = read_description(checkpoint).spec.name
    if f"{robot}/demo" in known_configs("scenarios"):
        return f"{robot}/demo"
    shipped = _shipped(robot)
    if shipped is None:
        raise ConfigError(f"{checkpoint}: no scenario is known for its robot '{robot}'; {_named_by_user(robot)}")
    split, _, _ = str(shipped.provenance["scenarios"]).rpartition(":")
    return f"{split}:test"


def default_multitask(checkpoint: str) -> str | None:
    """The shipped multi-task checkpoint of a checkpoint's robot; None if there is none.

    Args:
        checkpoint: folder of the checkpoint, or name of a shipped one.
    """
    spec = read_description(checkpoint).spec
    name = f"{spec.name}_multitask"
    shipped = _shipped(name)
    return name if shipped is not None and shipped.spec == spec else None


def _shipped(name: str) -> Description | None:
    folder = Path(adaptive_mbrl.__file__).parent / "pretrained" / name
    return read_description(folder) if folder.is_dir() else None


def _named_by_user(robot: str) -> str:
    known = [name for name in known_configs("scenarios") if name.startswith(f"{robot}/")]
    return "name one with --scenario, for example --scenario " + (f"{known[0]}:test" if known else "my_scenario.yaml")


def run_demo(
    out: Path,
    checkpoint: str,
    *,
    video: bool,
    quick: bool = False,
    seed: int,
    device: torch.device,
    scenario: str,
    multitask: str | None,
) -> None:
    """Run all arms and write report.json, recovery.png and rollout.mp4 to `out`.

    Args:
        out: folder of the files; those of an earlier demo are replaced.
        checkpoint: folder of the checkpoint, or name of a shipped one.
        video: whether to render rollout.mp4; without a renderer the demo says so and goes on.
        quick: whether to run a single episode and to leave the oracle out, which costs most.
        seed: seed of the first episode and of the planners.
        device: where the models run.
        scenario: file or name of the scenario.
        multitask: checkpoint of the multi-task arm; None for no such arm.
    """
    console, status = make_console(), make_console(stderr=True)
    episodes = 1 if quick else EPISODES
    setup = prepare(checkpoint, scenario, episodes=episodes, seed=seed, multitask=multitask, oracle=not quick, device=device)
    for i, course in enumerate(setup.scenarios):
        changes = "; ".join(f"step {c.at}: {describe(c.change)}" for c in course.changes)
        console.print(
            f"episode {i}: {setup.robot.name}, {course.steps} steps of {setup.robot.spec.dt:g} s; {changes}", markup=False
        )
    with live_progress(status) as begin_arm:
        evaluation = evaluate(setup, begin_arm)
    report = make_report(evaluation)
    print_report(report, console)
    write_report(out / "report.json", report)
    plot_recovery(evaluation, out / "recovery.png")
    written = ["report.json", "recovery.png"]
    if video:
        try:
            with live_progress(status) as begin:
                render_first_episode(evaluation, out / "rollout.mp4", begin)
            written.append("rollout.mp4")
        except VideoError as error:
            console.print(f"No video: {error}", markup=False, soft_wrap=True)
    console.print(f"Written: {', '.join(str(out / name) for name in written)}", markup=False, soft_wrap=True)
