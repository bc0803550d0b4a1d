"""Controllers that estimate a robot's physics and plan in MuJoCo, alone or with a residual."""

from __future__ import annotations

from typing import Any

import torch

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import PlannerConfig, Score, make_planner
from sim.identification.adapter import PhysicsAdapter
from sim.identification.estimator import PhysicsConfig
from sim.identification.hybrid import HybridAdapter
from sim.identification.residual import ResidualConfig
from sim.robot.robot import Robot


def physics_controller(
    robot: Robot,
    normalizer: Normalizer,
    planner: PlannerConfig,
    *,
    window: int = 16,
    config: PhysicsConfig = PhysicsConfig(),  # noqa: B008
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> AdaptiveController:
    """The controller; like the oracle it maximises the robot's shaping terms too, and has no terminal value.

    Args:
        robot: the robot as its MJCF describes it.
        normalizer: statistics of data, in whose stds errors are counted.
        planner: settings of the planner.
        window: K, the number of transitions that are kept.
        config: how parameters are estimated.
        seed: fixes the planner's noise.
        device: where plans are made; the physics is simulated on the CPU.

    Raises:
        ConfigError: the robot's observations do not determine its state, or the planner needs a derivative.
    """
    return _controller(robot, PhysicsAdapter(robot, normalizer, window, config), planner, window, seed, device)


def hybrid_controller(
    robot: Robot,
    normalizer: Normalizer,
    planner: PlannerConfig,
    *,
    window: int = 16,
    config: PhysicsConfig = PhysicsConfig(),  # noqa: B008
    residual: ResidualConfig = ResidualConfig(),  # noqa: B008
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> AdaptiveController:
    """The same with a residual that is learned online, for an MJCF that is wrong in a way that no parameter can express.

    Args:
        robot: as for `physics_controller`.
        normalizer: as for `physics_controller`; the residual's features are in its units, too.
        planner: as for `physics_controller`.
        window: as for `physics_controller`; the residual remembers transitions of its own.
        config: how parameters are estimated.
        residual: how the residual is.
        seed: as for `physics_controller`.
        device: as for `physics_controller`.

    Raises:
        ConfigError: as for `physics_controller`.
    """
    adapter = HybridAdapter(robot, normalizer, window, config, residual)
    return _controller(robot, adapter, planner, window, seed, device)


def _controller(
    robot: Robot, adapter: Adapter[Any], planner: PlannerConfig, window: int, seed: int, device: torch.device | str
) -> AdaptiveController:
    made = make_planner(robot.spec, planner, seed, device)
    if made.needs_gradient:
        raise ConfigError(f"planner '{planner.TAG}': physics has no derivative to plan with; allowed: a sampling planner")
    score = Score(robot.objective_to_plan(True), made.uncertainty_penalty, risk=made.risk)
    # no gate: the estimator notices changes by itself, and while the robot is nominal its prior and its belief are both right
    return AdaptiveController(robot.spec, ControlSettings(adapter, made, score, gate=None), window)
