"""Candidate action sequences, simulated open loop: what every predictor does that has physics behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.simulation.physics import Physics

Obs = NDArray[np.float32]
Correct = Callable[[Obs, np.ndarray, Obs], Obs]
"""From R observations, the actions that reach the actuators and the simulated next observations to those that count instead. It
also puts the simulations where these are."""


class Futures(NamedTuple):
    """What became of R candidates.

    Attributes:
        next_obs: the observations after each action, without noise, (R, H, obs_dim).
        alive: whether the robot's episode goes on after each action, (R, H) bool.
        valid_steps: number of steps until the episode ended or the physics broke, (R,).
    """

    next_obs: NDArray[np.float32]
    alive: NDArray[np.bool_]
    valid_steps: NDArray[np.int64]


def simulate_futures(physics: Physics, applied: np.ndarray, first_obs: np.ndarray, correct: Correct | None = None) -> Futures:
    """Simulate R candidates from where the rows of `physics` are.

    A candidate whose physics breaks keeps its last observation: that is the simulator's failure, not the end of an episode.

    Args:
        physics: one row for each candidate.
        applied: the actions that reach the actuators, within their limits, (R, H, action_dim).
        first_obs: the observations that the candidates start from, (R, obs_dim).
        correct: what is known better than the simulator does, after each control step; see `Correct`.
    """
    rows, horizon = applied.shape[:2]
    broken = np.zeros(rows, dtype=bool)
    alive = np.ones((rows, horizon + 1), dtype=bool)
    valid_steps = np.zeros(rows, dtype=np.int64)
    next_obs = np.empty((rows, horizon, first_obs.shape[-1]), dtype=np.float32)
    for t in range(horizon):
        previous_qpos = physics.arrays["qpos"].copy()
        physics.step(applied[:, t])
        next_obs[:, t] = physics.observe(previous_qpos)
        broken |= physics.unstable()
        if correct is not None:
            next_obs[:, t] = correct(next_obs[:, t - 1] if t else first_obs, applied[:, t], next_obs[:, t])
        valid_steps += ~broken & alive[:, t]
        if broken.any():
            # MuJoCo has reset these simulations, so the last observation before that is repeated
            next_obs[broken, t] = next_obs[broken, t - 1] if t else first_obs[broken]
        alive[:, t + 1] = alive[:, t] & ~physics.robot.has_ended(next_obs[:, t])
    return Futures(next_obs, alive[:, 1:], valid_steps)
