"""Load and check everything that an evaluation needs, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.dump import DUMP_FOLDER
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.planning import PlannerConfig
from adaptive_mbrl.planning.override import override_planner
from sim.baselines.policy import BaselinePolicy, load_baselines
from sim.episodes.policies import load_controller
from sim.identification.controller import hybrid_controller, physics_controller
from sim.identification.mistaken import USUAL_ERROR, mistaken
from sim.robot.loading import load_task
from sim.robot.robot import Robot
from sim.robot.task import RobotTask
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario
from sim.simulation.choice import require_mujoco


@dataclass(frozen=True)
class Setup:
    """Everything that an evaluation needs.

    Attributes:
        robot: the scenario's robot.
        scenarios: one scenario per episode that was asked for.
        controllers: the controllers of the arms that have one: adaptive, frozen and perhaps multitask.
        planner: settings of all planners.
        seed: seed of the first episode.
        oracle: whether there is an arm with the oracle.
        checkpoints: the checkpoints as the user named them, by arm.
        baselines: the policies of the arms that `train-baseline` trained, by the arm's name.
        baseline_folders: the folders of these policies as the user named them.
        physics: the controllers of the arms that plan in MuJoCo under estimated parameters, by the arm's name.
        physics_error: how wrong the model of the arms `wrong_physics` and `wrong_hybrid` is, see `mistaken`; None without them.
    """

    robot: RobotTask
    scenarios: tuple[Scenario, ...]
    controllers: dict[str, AdaptiveController]
    planner: PlannerConfig
    seed: int
    oracle: bool
    checkpoints: dict[str, str]
    baselines: dict[str, BaselinePolicy] = field(default_factory=dict)
    baseline_folders: tuple[str, ...] = ()
    physics: dict[str, AdaptiveController] = field(default_factory=dict)
    physics_error: float | None = None

    @property
    def noise_seeds(self) -> list[int]:
        """For each episode the seed of its planner's noise and of its random policy: the episode's own, the same in all arms."""
        return [scenario.seed for scenario in self.scenarios]


def prepare(
    checkpoint: str | Path,
    scenario: str | Path,
    *,
    episodes: int,
    seed: int | None = None,
    multitask: str | Path | None = None,
    oracle: bool = True,
    device: torch.device | str = "cpu",
    baselines: Sequence[str | Path] = (),
    physics: bool = False,
    physics_error: float | None = None,
    planner: str | None = None,
) -> Setup:
    """Load checkpoints, scenario and robot.

    Args:
        checkpoint: folder of the checkpoint, or name of a shipped one.
        scenario: file or name of the scenario, as `load_scenario` takes it.
        episodes: number of episodes.
        seed: seed of the first episode; the scenario's own if None.
        multitask: checkpoint that was trained without adaptation.
        oracle: whether there is an arm with the oracle; a robot that is an environment never has one.
        device: where the models run.
        baselines: folders of trained baselines.
        physics: whether there are arms that estimate the physics and plan in it, alone and with a residual, and the same with a
            wrong model.
        physics_error: how wrong that model is; 0 for no arm with it, None for `USUAL_ERROR`.
        planner: another planner for all arms instead of the checkpoint's, as `override_planner` takes it.

    Raises:
        CheckpointError: a checkpoint is missing, damaged or of another robot, or the multi-task one adapts.
        ConfigError: the scenario or the planner is missing or wrong, or the robot's observations do not tell its state to an arm
            with physics.
    """
    used = read_description(checkpoint).planner
    if planner is not None:
        used = override_planner(used, planner, "--planner")
    named = {"adaptive": str(checkpoint), "frozen": str(checkpoint)}
    if multitask is not None:
        require_multitask(multitask)
        named["multitask"] = str(multitask)
    course = load_scenario(scenario)
    robot = load_task(course.robot)
    first = course.seed if seed is None else seed
    controllers = {
        arm: load_controller(path, robot, planner=used, seed=first, device=device, adapt=arm != "frozen", dump_folder=DUMP_FOLDER)
        for arm, path in named.items()
    }
    error = (USUAL_ERROR if physics_error is None else physics_error) if physics else 0.0
    models: dict[str, Robot] = {}
    if physics:
        model = require_mujoco(robot, "--physics: it estimates the parameters of a MuJoCo model")
        models = {"": model} | ({"wrong_": mistaken(model, error)} if error else {})
    adaptive = controllers["adaptive"]
    normalizer = adaptive.settings.adapter.normalizer
    physical = {
        f"{prefix}{arm}": make(model, normalizer, used, window=adaptive.window, seed=first, device=device)
        for prefix, model in models.items()
        for arm, make in (("physics", physics_controller), ("hybrid", hybrid_controller))
    }
    return Setup(
        robot,
        tuple(course.episodes(episodes, first)),
        controllers,
        used,
        first,
        oracle and isinstance(robot, Robot),
        named,
        _baselines(baselines, robot),
        tuple(map(str, baselines)),
        physical,
        error or None,
    )


def require_multitask(checkpoint: str | Path) -> None:
    """Refuse a checkpoint that adapts where one that does not is asked for.

    Raises:
        CheckpointError: it adapts, or it is missing.
    """
    about = read_description(checkpoint)
    if not about.is_multitask:
        rules = ", ".join(rule.TAG for rule in about.adaptation)
        raise CheckpointError(f"{checkpoint}: not a multi-task checkpoint: it adapts by '{rules}'; allowed: none")


def _baselines(folders: Sequence[str | Path], robot: RobotTask) -> dict[str, BaselinePolicy]:
    if not folders:
        return {}
    return load_baselines(folders, require_mujoco(robot, "--baselines: it was trained on a simulation of this project"))
