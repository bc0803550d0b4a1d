"""Our vector environment as Stable-Baselines3 wants it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from sim.baselines.features import Array, Features
from sim.environment.vector_env import ScenarioVectorEnv

Indices = None | int | Iterable[int]


class SB3VecEnv(VecEnv):
    """B robots with scenarios of their own, stepped together; their observations are `Features`, their actions go from -1 to 1.

    Args:
        num_envs: B.
        scenario: a scenario file, or the name of a shipped one, with the part of a split after a colon.
        last_action: whether the last action is part of the observation.
        num_threads: number of worker threads of the simulator; 0 for all that the process may use.
    """

    def __init__(self, num_envs: int, scenario: str | Path, last_action: bool = False, num_threads: int = 0) -> None:
        self.env = ScenarioVectorEnv(num_envs, scenario, autoreset_mode=AutoresetMode.SAME_STEP, num_threads=num_threads)
        robot = self.env.robot
        self.features = Features(robot.spec, robot.objective.goal_dim, last_action)
        self._last = np.zeros((num_envs, robot.spec.action_dim), dtype=np.float32)
        self._actions = self._last
        self.render_mode = None
        observation = Box(-np.inf, np.inf, (self.features.dim,), np.float32)
        super().__init__(num_envs, observation, Box(-1.0, 1.0, (robot.spec.action_dim,), np.float32))

    def reset(self) -> Array:
        """Begin an episode on every robot; the first one after `seed` uses that seed."""
        first = self._seeds[0]
        obs, _ = self.env.reset(seed=first)
        self._reset_seeds()
        self._last = np.zeros_like(self._last)
        return self._seen(obs)

    def step_async(self, actions: Array) -> None:
        self._actions = np.clip(actions, -1, 1).astype(np.float32)

    def step_wait(self) -> VecEnvStepReturn:
        obs, reward, terminated, truncated, info = self.env.step(self.features.from_unit(self._actions))
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = obs.copy()
            last[done] = np.stack(info["final_obs"][done].tolist())
            self._last = self._actions
            final = self._seen(last)
            for index in np.flatnonzero(done).tolist():
                infos[index] = {"terminal_observation": final[index], "TimeLimit.truncated": bool(truncated[index])}
        self._last = np.where(done[:, None], np.float32(0.0), self._actions)
        return self._seen(obs), reward.astype(np.float32), done, infos

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        return [getattr(self if attr_name == "render_mode" else self.env, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        raise NotImplementedError("the robots of one simulation have no attributes of their own")

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError("the robots of one simulation have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type, indices: Indices = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))

    def _seen(self, obs: Array) -> Array:
        dim = self.features.spec.obs_dim
        return self.features(obs[:, :dim], obs[:, dim:], self._last)
