"""A task of dm_control's suite behind Gymnasium's interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces

from sim.robot.suite_tasks import Environment, PhysicsError, suite, task_of

Obs = dict[str, np.ndarray]


class SuiteEnv(gymnasium.Env[Any, np.ndarray]):
    """One task, with the observation as a Dict of its entries; `reset(seed=...)` fixes the initial state.

    The task's time limit is left out: an episode has as many steps as its scenario says.

    Args:
        task: ``DOMAIN/TASK``, such as ``walker/walk``.
        render_mode: ``rgb_array`` for pictures.
        options: further arguments of the task.

    Raises:
        ConfigError: there is no such task.
    """

    def __init__(self, task: str, render_mode: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        domain, name = task_of(task)
        self.metadata = {"render_modes": ["rgb_array"]}
        self.render_mode = render_mode
        self._random = np.random.RandomState(0)
        self._env: Environment = suite.load(
            domain, name, {"random": self._random, "time_limit": float("inf"), **(options or {})}, {"flat_observation": False}
        )
        limits = self._env.action_spec()
        self.action_space = spaces.Box(limits.minimum.astype(np.float32), limits.maximum.astype(np.float32))
        self._shapes = {key: entry.shape for key, entry in self._env.observation_spec().items()}
        boxes: dict[str, spaces.Space[Any]] = {
            key: spaces.Box(-np.inf, np.inf, shape, np.float64) for key, shape in self._shapes.items()
        }
        self.observation_space = spaces.Dict(boxes)

    @property
    def dt(self) -> float:
        """Control period [s]."""
        return float(self._env.control_timestep())

    @property
    def model(self) -> mujoco.MjModel:
        """The task's MuJoCo model, which may be changed."""
        return self._env.physics.model.ptr

    @property
    def data(self) -> mujoco.MjData:
        """The state of its simulation."""
        return self._env.physics.data.ptr

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Begin an episode."""
        if seed is not None:
            self._random.seed(seed)
        return self._observation(self._env.reset().observation), {}

    def step(self, action: np.ndarray) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Simulate one control step; where the physics becomes unstable, the observation is not a number."""
        try:
            found = self._env.step(action)
        except PhysicsError:
            return {key: np.full(shape, np.nan) for key, shape in self._shapes.items()}, 0.0, True, False, {}
        # an episode that ends by itself has a discount of 0; one that is cut at a limit has 1
        ended = found.last() and found.discount == 0
        return self._observation(found.observation), float(found.reward or 0.0), ended, found.last() and not ended, {}

    def render(self) -> np.ndarray:
        """A picture, (height, width, 3)."""
        return self._env.physics.render(height=352, width=480, camera_id=0)

    def close(self) -> None:
        """Free the renderer."""
        self._env.close()

    @staticmethod
    def _observation(entries: Mapping[str, Any]) -> Obs:
        return {key: np.asarray(value, dtype=np.float64) for key, value in entries.items()}
