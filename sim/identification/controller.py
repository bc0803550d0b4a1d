"""A controller that estimates a robot's physics and plans in MuJoCo."""

from __future__ import annotations

import torch

from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import PlannerConfig, Score, make_planner
from sim.identification.adapter import PhysicsAdapter
from sim.identification.estimator import PhysicsConfig
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
    made = make_planner(robot.spec, planner, seed, device)
    if made.needs_gradient:
        raise ConfigError(f"planner '{planner.TAG}': physics has no derivative to plan with; allowed: a sampling planner")
    score = Score(robot.objective_to_plan(True), made.uncertainty_penalty, risk=made.risk)
    adapter = PhysicsAdapter(robot, normalizer, window, config)
    # no gate: the estimator notices changes by itself, and while the robot is nominal its prior and its belief are both right
    return AdaptiveController(robot.spec, ControlSettings(adapter, made, score, gate=None), window)
