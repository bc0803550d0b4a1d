"""The spaces of a robot's observations and actions, as Gymnasium describes them."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box

from sim.robot.robot import Robot


def observation_space(robot: Robot) -> Box:
    """The robot's channels in their own units, followed by the entries of the goal if there is one."""
    dim = robot.spec.obs_dim + robot.objective.goal_dim
    return Box(-np.inf, np.inf, (dim,), np.float32)


def action_space(robot: Robot) -> Box:
    """The robot's action channels in their own units and within their limits."""
    return Box(robot.action_low.astype(np.float32), robot.action_high.astype(np.float32), dtype=np.float32)
