"""What is known of a simulated robot whatever moves it: its channels, what it is rewarded for, and when its episodes end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.spec import RobotSpec
from sim.robot.elements import Elements
from sim.robot.goals import Goal


@dataclass(frozen=True)
class RobotTask:
    """A robot and what it is to do.

    Attributes:
        name: name of the robot in error messages and checkpoints.
        path: the file that it came from.
        spec: channels and control period.
        objective: the reward over the named channels; None where the simulation itself pays the rewards, so that a training
            learns them.
        planning_objective: the reward plus the shaping terms, which is what planners maximise; None without an objective.
        goal: draws goals; None for an objective without one.
        elements: names of the parts that scenarios may change.
    """

    name: str
    path: Path
    spec: RobotSpec
    objective: Objective | None
    planning_objective: Objective | None
    goal: Goal | None
    elements: Elements

    @property
    def termination(self) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
        """Whether an episode ends with a transition, where the robot has a function for it beside its healthy ranges."""
        return None

    @property
    def learns_termination(self) -> bool:
        """Whether a training is to learn with which transitions the robot's episodes end."""
        return False

    def objective_to_plan(self, shaping: bool) -> Objective | None:
        """What planners maximise, with the shaping terms or without them; None without an objective."""
        return self.planning_objective if shaping else self.objective

    @property
    def action_low(self) -> NDArray[np.float64]:
        """The smallest actions, (action_dim,)."""
        return np.array([a.low for a in self.spec.action])

    @property
    def action_high(self) -> NDArray[np.float64]:
        """The largest actions, (action_dim,)."""
        return np.array([a.high for a in self.spec.action])

    def goals(self, seed: int, steps: int, preview: int = 0) -> NDArray[np.float32]:
        """The goal of every step of one episode.

        Args:
            seed: seed of the episode.
            steps: number of control steps of the episode.
            preview: number of steps after its end, for a planner that looks ahead.

        Returns:
            Goals, (steps + preview, goal_dim); goal_dim is 0 for an objective without a goal.
        """
        if self.goal is None:
            return np.zeros((steps + preview, 0), dtype=np.float32)
        return self.goal.sample(seed, steps + preview, self.spec.dt)

    def known_goals(self, goals: np.ndarray, step: int, preview: int) -> np.ndarray:
        """Goals from `step` on, as far as a planner can know them: a path continues, a goal that jumps is held.

        Args:
            goals: the goals of the whole episodes, (B, T, goal_dim).
            step: the present control step.
            preview: number of further steps.

        Returns:
            Goals, (B, preview + 1, goal_dim).
        """
        ahead: np.ndarray = goals[:, step : step + preview + 1]
        known = self.goal is None or self.goal.is_path
        return ahead if known else np.repeat(ahead[:, :1], preview + 1, axis=1)

    def has_ended(self, obs: np.ndarray) -> NDArray[np.bool_]:
        """Whether an episode ends with each observation, (..., obs_dim) -> (...); the observations are those after a step."""
        if not self.spec.can_end:
            return np.zeros(obs.shape[:-1], dtype=bool)
        healthy: NDArray[np.bool_] = is_healthy(self.spec, torch.from_numpy(np.ascontiguousarray(obs))).numpy()
        return ~healthy

    def rewards(self, obs: np.ndarray, actions: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Rewards of what really happened, (B, T).

        Args:
            obs: observations without sensor noise, (B, T + 1, obs_dim).
            actions: the actions as they were sent, (B, T, action_dim).
            goals: the goal of each step, (B, T, goal_dim).

        Raises:
            TypeError: the robot has no objective.
        """
        if self.objective is None:
            raise TypeError(f"'{self.name}' has no objective")
        tensors = (torch.from_numpy(np.ascontiguousarray(x)) for x in (obs[:, :-1], actions, obs[:, 1:], goals))
        rewards: np.ndarray = self.objective(*tensors).numpy()
        return rewards
