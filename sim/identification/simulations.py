"""One control step, or many, of one robot under many hypotheses about its physics, all in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim.identification.state import StateReader
from sim.robot.robot import Robot
from sim.scenarios.change import Change
from sim.simulation.futures import Futures, Obs, simulate_futures
from sim.simulation.physics import Physics

Array = NDArray[np.float64]
Correction = Callable[[np.ndarray, np.ndarray], Array]
"""What is added to a simulated control step: from observations (R, obs_dim) and the actions that reach the actuators, (R,
action_dim), to (R, obs_dim)."""


class Simulations:
    """Simulates H hypotheses with R rows each. A batch of every shape (H, R) is made once and used again.

    Args:
        robot: the nominal robot.
        num_threads: number of worker threads; 0 follows `adaptive_mbrl.runtime.num_threads`.

    Raises:
        ConfigError: the robot's observations do not determine its state.
    """

    def __init__(self, robot: Robot, num_threads: int = 0) -> None:
        self.robot = robot
        self.reader = StateReader(robot)
        self._num_threads = num_threads
        self._made: dict[tuple[int, int], tuple[Physics, list[Change]]] = {}

    def step(self, changes: Sequence[Change], obs: np.ndarray, applied: np.ndarray, rows: NDArray[np.bool_]) -> Array:
        """The observations after one control step, (H, R, obs_dim); NaN where nothing was simulated or the physics broke.

        Args:
            changes: the hypotheses, H of them.
            obs: the observations before, (H, R, obs_dim).
            applied: the actions that reach the actuators, (H, R, action_dim).
            rows: what is to be simulated, (H, R).
        """
        physics = self._physics(changes, rows)
        self._place(physics, obs)
        previous = physics.arrays["qpos"].copy()
        physics.step(self._clipped(applied).reshape(physics.num_sims, -1), rows=rows.ravel())
        next_obs = physics.observe(previous).astype(np.float64)
        next_obs[physics.unstable() | ~rows.reshape(-1)] = np.nan
        return next_obs.reshape(*rows.shape, -1)

    def futures(
        self, changes: Sequence[Change], obs: np.ndarray, applied: np.ndarray, correction: Correction | None = None
    ) -> Futures:
        """Open-loop predictions, H times R of them, see `simulate_futures`.

        Args:
            changes: the hypotheses, H of them.
            obs: where they start, (H, R, obs_dim).
            applied: the actions that reach the actuators, (H, R, T, action_dim).
            correction: is added after every control step, of H times R rows; the next step starts from the sum.
        """
        physics = self._physics(changes, np.ones(obs.shape[:2], dtype=bool))
        self._place(physics, obs)

        rows = self._clipped(applied).reshape(physics.num_sims, *applied.shape[2:])
        correct = None if correction is None else partial(self._correct, physics, correction)
        return simulate_futures(physics, rows, _flat(obs), correct)

    def _physics(self, changes: Sequence[Change], rows: NDArray[np.bool_]) -> Physics:
        shape = (rows.shape[0], rows.shape[1])
        if shape not in self._made:
            self._made[shape] = (Physics(self.robot, rows.size, self._num_threads), [Change()] * len(changes))
        physics, known = self._made[shape]
        for index, change in enumerate(changes):
            if rows[index].any() and change != known[index]:
                physics.set_change(np.arange(index * shape[1], (index + 1) * shape[1]), change)
                known[index] = change
        return physics

    def _correct(self, physics: Physics, correction: Correction, before: Obs, action: np.ndarray, after: Obs) -> Obs:
        """See `Correct` of `sim/simulation/futures.py`."""
        corrected = (after + correction(before, action)).astype(np.float32)
        self._place(physics, corrected)
        return corrected

    def _place(self, physics: Physics, obs: np.ndarray) -> None:
        physics.place(*self.reader.state_from_obs(_flat(obs)))

    def _clipped(self, applied: np.ndarray) -> np.ndarray:
        return np.clip(applied, self.robot.action_low, self.robot.action_high)


def _flat(obs: np.ndarray) -> np.ndarray:
    return obs.reshape(-1, obs.shape[-1])
