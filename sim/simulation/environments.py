"""B environments with different changes, stepped one after the other in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import mujoco
import numpy as np
from gymnasium.utils import seeding

from sim.robot.environment import Env, EnvironmentRobot, mujoco_of
from sim.robot.spaces import flat
from sim.scenarios.change import Change
from sim.simulation.base import Array, Flags, Obs, Simulation
from sim.simulation.environment_changes import EnvironmentChanges
from sim.simulation.instability import Instability, SimulationError

_UNSTABLE = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


class EnvironmentSimulation(Simulation):
    """B robots, each an environment of its own.

    An episode ends when the environment says so; that step counts. Where the environment cuts an episode at a limit of its own,
    `cut` tells it. An observation that is not finite, and a warning of MuJoCo about the state, count as unstable physics.

    There are no snapshots: an environment cannot be put back into an earlier state.

    Args:
        robot: the robot.
        num_robots: B.
        on_unstable: whether an unstable robot is an error or only ends its own episode.
        render_mode: ``rgb_array`` to make pictures; None makes none.
    """

    def __init__(
        self,
        robot: EnvironmentRobot,
        num_robots: int,
        on_unstable: Literal["raise", "end"] = "raise",
        render_mode: Literal["rgb_array"] | None = None,
    ) -> None:
        super().__init__(robot, num_robots)
        self.robot = robot
        self._on_unstable = on_unstable
        options = {} if render_mode is None else {"render_mode": render_mode}
        self.envs: Sequence[Env] = [robot.make(**options) for _ in range(num_robots)]
        self._dynamics = [EnvironmentChanges(robot, env) for env in self.envs]

    def close(self) -> None:
        for env in self.envs:
            env.close()

    def _begin(self) -> Obs:
        self.reward = np.zeros(self.num_robots, dtype=np.float32)
        rows = []
        for env, seed, dynamics in zip(self.envs, self._seeds, self._dynamics, strict=True):
            # some environments draw from their generator before they seed it, and some never seed it
            env.unwrapped.np_random = seeding.np_random(seed)[0]
            obs, _ = env.reset(seed=seed)
            dynamics.begun()
            rows.append(flat(env.observation_space, obs))
        return np.stack(rows)

    def _advance(self, applied: Array, ended: Flags) -> Obs:
        next_obs, self.reward = self.true_obs.copy(), np.zeros(self.num_robots, dtype=np.float32)
        for index in np.flatnonzero(~ended).tolist():
            env = self.envs[index]
            warnings = _warnings(env)
            command = self._dynamics[index].commanded(applied[index])
            space = env.action_space
            obs, reward, terminated, truncated, _ = env.step(command.astype(space.dtype).reshape(space.shape))
            row = flat(env.observation_space, obs)
            if not np.isfinite([*row, float(reward)]).all() or _warnings(env) > warnings:
                self._break_off(index, applied[index])
                continue
            next_obs[index], self.reward[index] = row, reward
            if terminated or truncated:
                self._fallen[index] = int(self.episode_steps[index]) + 1
                self.cut[index] = not terminated
        return next_obs

    def _put_in_force(self, index: int, change: Change) -> None:
        self._dynamics[index].put_in_force(change)

    def _break_off(self, index: int, action: Array) -> None:
        """End the episode of a robot whose physics has just become unstable."""
        step, change = int(self.episode_steps[index]), self._changes[index]
        instability = Instability(step, change, np.zeros(0), action.copy(), self._seeds[index])
        if self._on_unstable == "raise":
            raise SimulationError(f"robot {index} of {self.num_robots} ('{self.robot.name}'): {instability}")
        self._instabilities[index] = instability


def _warnings(env: Env) -> int:
    """How often MuJoCo has found the state of an environment unstable; 0 where there is no MuJoCo."""
    under = mujoco_of(env)
    return 0 if under is None else sum(int(warning.number) for warning in under[1].warning[_UNSTABLE])
