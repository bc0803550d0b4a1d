"""Episodes on B simulated robots, each with its own scenario and its own clock; what both kinds of environments step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.robot.robot import Robot
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import apply_changes

Flags = NDArray[np.bool_]
Obs = NDArray[np.float32]


class Step(NamedTuple):
    """What one control step brought.

    Attributes:
        obs: the observations with their goals, (B, obs_dim + goal_dim).
        reward: the rewards, (B,).
        terminated: which episodes ended early, (B,).
        truncated: which episodes reached the last step of their scenario, (B,).
    """

    obs: Obs
    reward: NDArray[np.float64]
    terminated: Flags
    truncated: Flags


class Episodes:
    """B robots that step together and begin their episodes one by one.

    Args:
        robot: the robot of all scenarios.
        num_robots: B.
        num_threads: number of worker threads of the simulator; 0 for all that the process may use.
    """

    def __init__(self, robot: Robot, num_robots: int, num_threads: int) -> None:
        self.robot = robot
        self.simulation = BatchSimulation(robot, num_robots, num_threads, on_unstable="end")
        self.scenarios = [Scenario(robot.name, 1)] * num_robots
        """The scenario of each robot's episode."""
        self._goals: list[Obs] = [robot.goals(0, 1, preview=1)] * num_robots
        self._changes: list[dict[str, Any]] = [{}] * num_robots

    def begin(self, robots: Sequence[int], scenarios: Sequence[Scenario]) -> Obs:
        """Begin an episode on some of the robots.

        Args:
            robots: the indices of the robots, R of them.
            scenarios: their scenarios, R of them.

        Returns:
            The observations of all robots, (B, obs_dim + goal_dim).
        """
        for index, scenario in zip(robots, scenarios, strict=True):
            self.scenarios[index] = scenario
            # the last observation has a goal, too: that of the step that would come next
            self._goals[index] = self.robot.goals(scenario.seed, scenario.steps, preview=1)
        changes = [s.change_in_force(0) for s in scenarios]
        for index, change in zip(robots, changes, strict=True):
            self._changes[index] = change.to_changes()
        self.simulation.restart(robots, [s.seed for s in scenarios], changes)
        return self._observe()

    def step(self, action: NDArray[np.floating]) -> Step:
        """Send the actions (B, action_dim), clipped to their limits, and simulate one control step.

        A robot whose physics became unstable in this step gets no reward for it.
        """
        apply_changes(self.simulation, self.scenarios)
        before, goals = self.simulation.true_obs, self.goals
        self.simulation.step(action)
        true_obs = np.stack([before, self.simulation.true_obs], axis=1)
        reward = self.robot.rewards(true_obs, self.simulation.clip(action)[:, None], goals[:, None])[:, 0].astype(np.float64)
        unstable = np.array([i is not None for i in self.simulation.instabilities])
        for index, step in enumerate(self.simulation.episode_steps.tolist()):
            beginning = self.scenarios[index].change_beginning(step)
            if beginning is not None:
                self._changes[index] = beginning.to_changes()
        steps = np.array([s.steps for s in self.scenarios])
        ended = self.simulation.ended
        truncated = (self.simulation.episode_steps >= steps) & ~ended
        return Step(self._observe(), np.where(unstable, 0.0, reward), ended, truncated)

    @property
    def goals(self) -> Obs:
        """The goals of the present step, (B, goal_dim): what the next observations are scored against."""
        steps = self.simulation.episode_steps.tolist()
        return np.stack([goals[min(step, len(goals) - 1)] for goals, step in zip(self._goals, steps, strict=True)])

    def about(self, index: int) -> dict[str, Any]:
        """What a robot of the real world would not know about its episode, as plain values.

        Args:
            index: which of the robots.

        Returns:
            Under ``change`` the change in force when the next action acts, written as in a scenario file; under ``unstable``, if
            the physics became unstable, when that was.
        """
        info: dict[str, Any] = {"change": copy.deepcopy(self._changes[index])}
        instability = self.simulation.instabilities[index]
        return info if instability is None else info | {"unstable": str(instability)}

    def _observe(self) -> Obs:
        return np.concatenate([self.simulation.obs, self.goals], axis=1, dtype=np.float32)
