"""B robots with different changes, simulated at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.robot.robot import Robot
from sim.scenarios.change import Change
from sim.simulation.base import Array, Flags, Obs, Simulation
from sim.simulation.dump import write_simulation_step
from sim.simulation.instability import Instability, SimulationError
from sim.simulation.physics import Physics
from sim.simulation.state import SimulationState


class BatchSimulation(Simulation):
    """B simulated robots that step together in MuJoCo.

    With absurd changes the physics of a robot can become unstable. By default `step` then raises a `SimulationError`. With
    `on_unstable="end"` it ends the episode of that robot only: `instabilities` says when and under which change, its observation
    stays the last good one, its own simulation is put to rest, and the other robots go on as if nothing had happened.

    A robot whose spec says so also ends its episode with the first step after which it is not healthy, for example when it has
    fallen. That is an ordinary end: the step counts, and `lengths` tells it. From then on the robot stands still like an unstable
    one.

    Args:
        robot: the nominal robot.
        num_robots: B.
        num_threads: number of worker threads; 0 follows `adaptive_mbrl.runtime.num_threads`.
        on_unstable: whether an unstable robot is an error or only ends its own episode.
        dump_folder: where the step that could not be simulated is written for a replay; None writes nothing.
    """

    def __init__(
        self,
        robot: Robot,
        num_robots: int,
        num_threads: int = 0,
        on_unstable: Literal["raise", "end"] = "raise",
        dump_folder: Path | None = None,
    ) -> None:
        super().__init__(robot, num_robots)
        self.robot = robot
        self.physics = Physics(robot, num_robots, num_threads)
        self._on_unstable, self._dump_folder = on_unstable, dump_folder
        self.reset(self._seeds)

    def restart(self, robots: Sequence[int], seeds: Sequence[int], changes: Sequence[Change]) -> Obs:
        """Start new episodes on some of the robots; the others go on with theirs.

        Args:
            robots: the indices of the robots, R of them.
            seeds: one seed for each of these robots, as for `reset`.
            changes: the change in force at the start of each of these episodes.

        Returns:
            The last observations of all robots, (B, obs_dim), with the first ones of the new episodes.
        """
        current = list(self._seeds)
        for index, seed, change in zip(robots, seeds, changes, strict=True):
            current[index] = int(seed)
            self._instabilities[index], self._fallen[index] = None, None
            self.set_change(index, change)
        rows = np.asarray(robots, dtype=np.int64)
        self._seeds, self._begun[rows] = tuple(current), self.step_index
        self._ring[rows] = np.clip(0.0, self._low, self._high)
        states = [self.robot.initial.sample(current[index]) for index in robots]
        order = np.argsort(rows)
        self.physics.restart(rows[order], *(np.stack([s[i] for s in states])[order] for i in (0, 1)))
        self._forget_noise()
        new = np.zeros((self.num_robots, 1), dtype=bool)
        new[rows] = True
        true_obs = self.physics.observe(None)
        self.true_obs, self._obs = (
            np.where(new, first, last) for first, last in ((true_obs, self.true_obs), (self._with_noise(true_obs), self._obs))
        )
        return self._obs

    def state(self) -> SimulationState:
        """A snapshot that `restore` continues from exactly."""
        return SimulationState(
            physics=self.physics.state.copy(),
            changes=self.changes,
            seeds=self._seeds,
            step=self.step_index,
            begun=self._begun.copy(),
            sent=self._ring.copy(),
            obs=self._obs.copy(),
            true_obs=self.true_obs.copy(),
            instabilities=self.instabilities,
            fallen=tuple(self._fallen),
        )

    def restore(self, state: SimulationState) -> None:
        """Return to a snapshot of this simulation or of one with the same robot and B."""
        for index, change in enumerate(state.changes):
            self.set_change(index, change)
        self.physics.state[:] = state.physics
        self.step_index, self._seeds = state.step, state.seeds
        self._instabilities, self._fallen = list(state.instabilities), list(state.fallen)
        self._ring[:] = state.sent
        self._begun[:] = state.begun
        self._obs, self.true_obs = state.obs.copy(), state.true_obs.copy()
        self._forget_noise()

    def _begin(self) -> Obs:
        states = [self.robot.initial.sample(seed) for seed in self._seeds]
        self.physics.reset(np.stack([s[0] for s in states]), np.stack([s[1] for s in states]))
        return self.physics.observe(None)

    def _advance(self, applied: Array, ended: Flags) -> Obs:
        previous_qpos, before = self.physics.arrays["qpos"].copy(), self.physics.state.copy()
        self.physics.step(applied, rows=~ended if ended.any() else None)
        self._end(np.flatnonzero(self.physics.unstable() & ~ended), before, applied)
        return self.physics.observe(previous_qpos)

    def _put_in_force(self, index: int, change: Change) -> None:
        self.physics.set_change(np.array([index]), change)

    def _end(self, robots: NDArray[np.int64], before: Array, applied: Array) -> None:
        """End the episodes of robots whose physics has just become unstable, from the states `before` under `applied`."""
        for index in robots:
            instability = Instability(
                int(self.episode_steps[index]), self._changes[index], before[index], applied[index].copy(), self._seeds[index]
            )
            if self._dump_folder is not None:
                instability = replace(instability, dump=write_simulation_step(self._dump_folder, self.robot, instability))
            if self._on_unstable == "raise":
                raise SimulationError(f"robot {index} of {self.num_robots} ('{self.robot.name}'): {instability}")
            self._instabilities[index] = instability
            # snapshots and the oracle go on reading the state of this robot, so it has to be a sane one
            self.set_change(int(index), Change())
            self.physics.reset_rows(np.array([index]))
