"""B robots with different changes, simulated at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError, ObservationError
from sim.robot.robot import Robot
from sim.scenarios.change import MAX_ACTION_DELAY, Change, scale_vector
from sim.simulation.dump import write_simulation_step
from sim.simulation.instability import Instability, SimulationError
from sim.simulation.physics import Physics
from sim.simulation.state import SimulationState

Array = NDArray[np.float64]
Obs = NDArray[np.float32]

_NOISE_STREAM = 1
_NOISE_BLOCK = 128  # number of steps whose noise is drawn at once


class BatchSimulation:
    """B simulated robots that step together.

    A robot's results depend on its own seed, changes and actions alone, so a batch gives the same numbers as one by one.

    With absurd changes the physics of a robot can become unstable. By default `step` then raises a `SimulationError`. With
    `on_unstable="end"` it ends the episode of that robot only: `instabilities` says when and under which change, its observation
    stays the last good one, its own simulation is put to rest, and the other robots go on as if nothing had happened.

    A robot whose spec says so also ends its episode with the first step after which it is not healthy, for example when it has
    fallen. That is an ordinary end: the step counts, and `lengths` tells it. From then on the robot stands still like an unstable
    one. Observation noise and the initial state do not end an episode.

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
        if num_robots < 1:
            raise ConfigError(f"num_robots: {num_robots} is out of range; allowed: at least 1")
        self.robot = robot
        self.num_robots = num_robots
        self.step_index = 0
        self.physics = Physics(robot, num_robots, num_threads)
        self._on_unstable, self._dump_folder = on_unstable, dump_folder
        self._instabilities: list[Instability | None] = [None] * num_robots
        self._fallen: list[int | None] = [None] * num_robots
        self._low, self._high = robot.action_low, robot.action_high
        self._ring = np.zeros((num_robots, MAX_ACTION_DELAY + 1, robot.spec.action_dim))
        self._delay = np.zeros(num_robots, dtype=np.int64)
        self._noise_std = np.zeros((num_robots, robot.spec.obs_dim))
        self._noise: list[tuple[int, Array]] = [(-1, np.zeros(0))] * num_robots
        self._begun = np.zeros(num_robots, dtype=np.int64)
        self._changes = [Change()] * num_robots
        self._seeds = tuple(range(num_robots))
        self.true_obs = np.zeros((num_robots, robot.spec.obs_dim), dtype=np.float32)
        """The last observation without noise, (B, obs_dim)."""
        self._obs = self.reset(self._seeds)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The change in force on each robot."""
        return tuple(self._changes)

    @property
    def instabilities(self) -> tuple[Instability | None, ...]:
        """How the physics of each robot became unstable, B of them; None where it did not."""
        return tuple(self._instabilities)

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Which robots' episodes have ended since the reset, (B,); they stand still."""
        return np.array([length is not None for length in self.lengths])

    @property
    def lengths(self) -> tuple[int | None, ...]:
        """Number of control steps of each episode that has ended, B of them; None for a robot that is running."""
        return tuple(
            fallen if unstable is None else unstable.step
            for fallen, unstable in zip(self._fallen, self._instabilities, strict=True)
        )

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        """The number of control steps since each robot's episode began, (B,)."""
        return self.step_index - self._begun

    @property
    def delay(self) -> NDArray[np.int64]:
        """Action delay of each robot [control steps], (B,)."""
        return self._delay

    @property
    def obs(self) -> Obs:
        """The last observation given out, (B, obs_dim)."""
        return self._obs

    def reset(self, seeds: Sequence[int], changes: Sequence[Change] | None = None) -> Obs:
        """Start an episode on every robot.

        Args:
            seeds: one seed per robot; the episode's initial state, noise and goals follow from it.
            changes: the change in force at the start, one per robot; none by default, whatever the last episode ended with.

        Returns:
            The first observation, (B, obs_dim).
        """
        if len(seeds) != self.num_robots:
            raise ConfigError(f"reset: expected {self.num_robots} seeds, got {len(seeds)}")
        self._seeds = tuple(int(s) for s in seeds)
        self.step_index = 0
        self._begun[:] = 0
        self._instabilities, self._fallen = [None] * self.num_robots, [None] * self.num_robots
        self._forget_noise()
        # an actuator that has not been commanded yet rests at zero, or as near to it as its limits allow
        self._ring[:] = np.clip(0.0, self._low, self._high)
        for index in range(self.num_robots):
            self.set_change(index, changes[index] if changes else Change())
        states = [self.robot.initial.sample(seed) for seed in self._seeds]
        self.physics.reset(np.stack([s[0] for s in states]), np.stack([s[1] for s in states]))
        self.true_obs = self.physics.observe(None)
        self._obs = self._with_noise(self.true_obs)
        return self._obs

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

    def set_change(self, index: int, change: Change) -> None:
        """Put a change in force on one robot from the next step on, in place of its earlier one."""
        if change is not self._changes[index]:
            change.check(self.robot.elements)
            self.physics.set_change(np.array([index]), change)
            self._changes[index] = change
            self._delay[index] = change.action_delay
            self._noise_std[index] = scale_vector(
                change.obs_noise, self.robot.spec.obs_dim, self.robot.elements.channels, default=0.0
            )

    def clip(self, action: NDArray[np.floating]) -> Obs:
        """The action that is really sent, (B, action_dim)."""
        return np.clip(action, self._low, self._high).astype(np.float32)

    def step(self, action: NDArray[np.floating]) -> Obs:
        """Send an action and simulate one control step.

        Args:
            action: the actions, (B, action_dim); they are clipped to the limits, as `clip` does it.

        Returns:
            The next observation, (B, obs_dim).
        """
        expected = (self.num_robots, self.robot.spec.action_dim)
        if np.shape(action) != expected or not np.isfinite(action).all():
            raise ObservationError(f"action: expected finite numbers of shape {expected}, got shape {np.shape(action)}")
        length = MAX_ACTION_DELAY + 1
        self._ring[:, self.step_index % length] = self.clip(action)
        applied = self._ring[np.arange(self.num_robots), (self.step_index - self._delay) % length]
        previous_qpos, before = self.physics.arrays["qpos"].copy(), self.physics.state.copy()
        ended = self.ended
        self.physics.step(applied, rows=~ended if ended.any() else None)
        self._end(np.flatnonzero(self.physics.unstable() & ~ended), before, applied)
        self.step_index += 1
        true_obs = self.physics.observe(previous_qpos)
        obs = self._with_noise(true_obs)
        # the observation after a fall is still given out, unlike that of a step that could not be simulated
        if (ended := self.ended).any():
            true_obs, obs = (np.where(ended[:, None], old, new) for old, new in ((self.true_obs, true_obs), (self._obs, obs)))
        self.true_obs, self._obs = true_obs, obs
        for index in np.flatnonzero(~ended & self.robot.has_ended(true_obs)):
            self._fallen[index] = int(self.episode_steps[index])
        return self._obs

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

    def goals(self, steps: int, preview: int = 0) -> Obs:
        """The goals of the present episodes, (B, steps + preview, goal_dim), as `Robot.goals` gives them for one robot."""
        return np.stack([self.robot.goals(seed, steps, preview) for seed in self._seeds])

    def past_actions(self) -> Array:
        """The last MAX_ACTION_DELAY actions sent, oldest first, (B, MAX_ACTION_DELAY, action_dim)."""
        order = (self.step_index - MAX_ACTION_DELAY + np.arange(MAX_ACTION_DELAY)) % (MAX_ACTION_DELAY + 1)
        return self._ring[:, order]

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

    def _with_noise(self, obs: Obs) -> Obs:
        if not self._noise_std.any():
            return obs
        noise = np.stack([self._noise_of(index, *divmod(step, _NOISE_BLOCK)) for index, step in enumerate(self.episode_steps)])
        return (obs + self._noise_std * noise).astype(np.float32)

    def _noise_of(self, index: int, block: int, row: int) -> Array:
        """The noise of one robot, (obs_dim,), at a step that is given as a block of steps and a row in it."""
        if self._noise[index][0] != block:
            # noise depends on seed and step alone, so that snapshots need no state of a random generator
            rng = np.random.default_rng([self._seeds[index], _NOISE_STREAM, block])
            self._noise[index] = (block, rng.standard_normal((_NOISE_BLOCK, self.robot.spec.obs_dim)))
        return self._noise[index][1][row]

    def _forget_noise(self) -> None:
        self._noise = [(-1, np.zeros(0))] * self.num_robots
