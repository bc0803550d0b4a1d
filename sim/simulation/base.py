"""B robots that step together, whatever moves them: what lies between an action that is sent and the observation that comes back.

Commands that arrive late, noise on observations, changes that are due and episodes that end are the same for every kind of
simulation. A kind says how episodes begin (`_begin`), how robots move (`_advance`) and what a change is to it (`_put_in_force`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError, ObservationError
from sim.robot.task import RobotTask
from sim.scenarios.change import MAX_ACTION_DELAY, Change, scale_vector
from sim.simulation.instability import Instability

Array = NDArray[np.float64]
Obs = NDArray[np.float32]
Flags = NDArray[np.bool_]

_NOISE_STREAM = 1
_NOISE_BLOCK = 128  # number of steps whose noise is drawn at once


class Simulation(ABC):
    """B simulated robots that step together.

    A robot's results depend on its own seed, changes and actions alone, so a batch gives the same numbers as one by one.

    A robot whose episode has ended stands still. Its last observation is that of the step that ended it. Observation noise and
    the initial state do not end an episode.

    Args:
        robot: the robot.
        num_robots: B.
    """

    def __init__(self, robot: RobotTask, num_robots: int) -> None:
        if num_robots < 1:
            raise ConfigError(f"num_robots: {num_robots} is out of range; allowed: at least 1")
        self._task = robot
        self.num_robots = num_robots
        self.step_index = 0
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
        self.cut: Flags = np.zeros(num_robots, dtype=bool)
        """Which of the episodes that have ended were cut at a limit and did not end by themselves, (B,)."""
        self.reward: Obs = np.zeros(num_robots, dtype=np.float32)
        """What the simulation itself pays for the last step, (B,); 0 where an objective says what a step is worth."""
        self.true_obs: Obs = np.zeros((num_robots, robot.spec.obs_dim), dtype=np.float32)
        """The last observation without noise, (B, obs_dim)."""
        self._obs = self.true_obs

    @property
    def changes(self) -> tuple[Change, ...]:
        """The change in force on each robot."""
        return tuple(self._changes)

    @property
    def instabilities(self) -> tuple[Instability | None, ...]:
        """How the physics of each robot became unstable, B of them; None where it did not."""
        return tuple(self._instabilities)

    @property
    def ended(self) -> Flags:
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
        self.cut[:] = False
        self._forget_noise()
        # an actuator that has not been commanded yet rests at zero, or as near to it as its limits allow
        self._ring[:] = np.clip(0.0, self._low, self._high)
        for index in range(self.num_robots):
            self.set_change(index, changes[index] if changes else Change())
        self.true_obs = self._begin()
        self._obs = self._with_noise(self.true_obs)
        return self._obs

    def set_change(self, index: int, change: Change) -> None:
        """Put a change in force on one robot from the next step on, in place of its earlier one."""
        if change is not self._changes[index]:
            change.check(self._task.elements)
            self._put_in_force(index, change)
            self._changes[index] = change
            self._delay[index] = change.action_delay
            self._noise_std[index] = scale_vector(
                change.obs_noise, self._task.spec.obs_dim, self._task.elements.channels, default=0.0
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
        expected = (self.num_robots, self._task.spec.action_dim)
        if np.shape(action) != expected or not np.isfinite(action).all():
            raise ObservationError(f"action: expected finite numbers of shape {expected}, got shape {np.shape(action)}")
        length = MAX_ACTION_DELAY + 1
        self._ring[:, self.step_index % length] = self.clip(action)
        applied = self._ring[np.arange(self.num_robots), (self.step_index - self._delay) % length]
        ended = self.ended
        true_obs = self._advance(applied, ended)
        self.step_index += 1
        obs = self._with_noise(true_obs)
        # the observation after a fall is still given out, unlike that of a step that could not be simulated
        still = ended | np.array([i is not None for i in self._instabilities])
        if still.any():
            true_obs, obs = (np.where(still[:, None], old, new) for old, new in ((self.true_obs, true_obs), (self._obs, obs)))
        self.true_obs, self._obs = true_obs, obs
        for index in np.flatnonzero(~self.ended & self._task.has_ended(true_obs)):
            self._fallen[index] = int(self.episode_steps[index])
        return self._obs

    def goals(self, steps: int, preview: int = 0) -> Obs:
        """The goals of the present episodes, (B, steps + preview, goal_dim), as `RobotTask.goals` gives them for one robot."""
        return np.stack([self._task.goals(seed, steps, preview) for seed in self._seeds])

    def past_actions(self) -> Array:
        """The last MAX_ACTION_DELAY actions sent, oldest first, (B, MAX_ACTION_DELAY, action_dim)."""
        order = (self.step_index - MAX_ACTION_DELAY + np.arange(MAX_ACTION_DELAY)) % (MAX_ACTION_DELAY + 1)
        return self._ring[:, order]

    def close(self) -> None:  # noqa: B027
        """Free what the simulation holds outside of Python; it cannot step afterwards."""

    @abstractmethod
    def _begin(self) -> Obs:
        """Begin an episode on every robot from its seed, and return the observations without noise, (B, obs_dim)."""

    @abstractmethod
    def _advance(self, applied: Array, ended: Flags) -> Obs:
        """Move the robots for a control step.

        Args:
            applied: what reaches the actuators, (B, action_dim).
            ended: the robots that stand still, (B,).

        Returns:
            The observations without noise, (B, obs_dim); those of robots that stand still are not looked at.
        """

    @abstractmethod
    def _put_in_force(self, index: int, change: Change) -> None:
        """Change what moves one robot, in place of the change that was in force before."""

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
            self._noise[index] = (block, rng.standard_normal((_NOISE_BLOCK, self._task.spec.obs_dim)))
        return self._noise[index][1][row]

    def _forget_noise(self) -> None:
        self._noise = [(-1, np.zeros(0))] * self.num_robots
