"""Planning on the true dynamics, without the policies of the package."""

from __future__ import annotations

from torch import Tensor, from_numpy

from adaptive_mbrl.planning import Returns, Score
from sim.simulation.oracle import OraclePredictor


def returns_of(oracle: OraclePredictor, goal: Tensor) -> Returns:
    """What a planner maximises: the robot's objective along the oracle's futures."""
    score, obs = Score(oracle.simulation.robot.objective), from_numpy(oracle.simulation.obs)
    return lambda actions: score(oracle.roll_out(obs, actions), actions, obs, goal)
