"""Many scenarios at once as a Gymnasium vector environment, stepped together by one batched simulation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.environment.episodes import Episodes, Flags
from sim.environment.rendering import Picture
from sim.environment.source import load_source
from sim.environment.spaces import action_space, observation_space
from sim.robot.robot import load_robot

Obs = NDArray[np.float32]
Info = dict[str, Any]


class ScenarioVectorEnv(VectorEnv[Obs, NDArray[np.floating], NDArray[Any]]):
    """B robots, each with scenarios of its own; every one does what a `ScenarioEnv` does.

    After `reset(seed=s)`, robot i does what a `ScenarioEnv` does after `reset(seed=s + i)` if the part is drawn at random. In any
    other part, the robots share one series: robot i begins with the i-th scenario of those that `evaluate` runs from the seed s
    on, and goes on to the one B places later.

    `info` holds under ``change`` one mapping per robot, the change in force when its next action acts, and under ``scenario`` the
    scenarios of the episodes that have just begun. The robot itself could not know either.

    Args:
        num_envs: B.
        scenario: a scenario file, or the name of a shipped one; the part of a split may follow after a colon.
        part: the part of a split; ``train`` by default.
        autoreset_mode: when a robot whose episode is over begins the next one: ``NextStep``, ``SameStep``, or ``Disabled``, where
            `reset(options={"reset_mask": mask})` does it.
        num_threads: number of worker threads of the simulator; 0 for all that the process may use.
        render_mode: ``rgb_array`` for pictures, None for none.
        width: width of a picture [pixels].
        height: height of a picture [pixels].

    Raises:
        ConfigError: a file, a part or a mode does not exist, or the file is wrong.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int,
        scenario: str | Path,
        part: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        num_threads: int = 0,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 352,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode: got '{render_mode}'; allowed: rgb_array, or none")
        self.source = load_source(scenario, part)
        self.robot = load_robot(self.source.course.robot)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        fps = round(1 / self.robot.spec.dt)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode, "render_fps": fps}
        self.single_observation_space = observation_space(self.robot)
        self.single_action_space = action_space(self.robot)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._size = (width, height)
        self._picture: Picture | None = None
        self._episodes = Episodes(self.robot, num_envs, num_threads)
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self._first_seeds: list[int | None] = [None] * num_envs
        self._next = np.arange(num_envs)
        self._stride = np.full(num_envs, num_envs)
        self._done = np.ones(num_envs, dtype=bool)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: Info | None = None) -> tuple[Obs, Info]:
        """Begin an episode on every robot.

        Args:
            seed: one seed for all as described above, or a list of one for each robot, which then does exactly what a
                `ScenarioEnv` with this seed does; without one, the series go on, as they do where the list has None.
            options: ``{"reset_mask": mask}`` with (B,) bool to begin on some robots only; ``{"episode": i}`` begins with the i-th
                episode in a part that is not drawn at random, and with the next ones on the other robots. Robots outside of the
                mask go on with their series whatever the seed and the episode are.

        Returns:
            The observations, (B, obs_dim + goal_dim), and the information about the episodes.
        """
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ConfigError(
                f"options of reset: 'reset_mask': allowed: {self.num_envs} values of bool, at least one of them true"
            )
        first = self.source.episode_option(options)
        if seed is not None:
            self._seed(seed, mask)
        if first is not None:
            self._next = np.where(mask, first + np.arange(self.num_envs), self._next)
        obs = self._begin(mask)
        return obs, self._info(mask)

    def step(self, actions: NDArray[np.floating]) -> tuple[Obs, NDArray[np.float64], Flags, Flags, Info]:
        """Send the actions (B, action_dim), and simulate one control step."""
        waiting = self._done
        if self.autoreset_mode == AutoresetMode.DISABLED and waiting.any():
            raise ResetNeeded(f"the episodes of robots {np.flatnonzero(waiting).tolist()} are over; reset them with 'reset_mask'")
        step = self._episodes.step(np.where(waiting[:, None], 0.0, actions))
        reward = np.where(waiting, 0.0, step.reward)
        terminated, truncated = step.terminated & ~waiting, step.truncated & ~waiting
        self._done = terminated | truncated
        same_step = self.autoreset_mode == AutoresetMode.SAME_STEP
        begin = self._done if same_step else waiting
        if not begin.any():
            return step.obs, reward, terminated, truncated, self._info(begin)
        final: Info = {"final_obs": _objects(list(step.obs), begin), "_final_obs": begin} if same_step else {}
        if same_step:
            final |= {"final_info": self._info(np.zeros_like(begin), of=begin), "_final_info": begin}
        done = self._done
        obs = self._begin(begin)
        self._done = np.zeros_like(done) if same_step else done
        return obs, reward, terminated, truncated, self._info(begin) | final

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """One picture of each robot, (height, width, 3)."""
        if self.render_mode is None:
            return None
        if self._picture is None:
            self._picture = Picture(self.robot, self.render_mode, *self._size)
        qpos = self._episodes.simulation.physics.arrays["qpos"]
        pictures = [self._picture.draw(q, g) for q, g in zip(qpos, self._episodes.goals, strict=True)]
        return tuple(p for p in pictures if p is not None)

    def close_extras(self, **kwargs: Any) -> None:
        if self._picture is not None:
            self._picture.close()
            self._picture = None

    def _seed(self, seed: int | Sequence[int | None], robots: Flags) -> None:
        """Begin the series of these robots (B,) anew; those with None go on."""
        if isinstance(seed, int | np.integer):
            for index in np.flatnonzero(robots).tolist():
                self._begin_series(index, int(seed), int(seed) + index, index, self.num_envs)
            return
        if len(seed) != self.num_envs:
            raise ConfigError(f"seed: got {len(seed)} of them; allowed: one number, or one for each of {self.num_envs} robots")
        for index, value in enumerate(seed):
            if value is not None and robots[index]:
                self._begin_series(index, value, value, 0, 1)

    def _begin_series(self, robot: int, first_seed: int, own_seed: int, first: int, stride: int) -> None:
        """Give one robot a new generator and a new place in the series of scenarios."""
        self._generators[robot] = seeding.np_random(own_seed)[0]
        self._first_seeds[robot], self._next[robot], self._stride[robot] = first_seed, first, stride

    def _begin(self, robots: Flags) -> Obs:
        """Begin the next episode on these robots, (B,)."""
        indices = np.flatnonzero(robots).tolist()
        scenarios = [self.source.draw(self._generators[i], int(self._next[i]), self._first_seeds[i]) for i in indices]
        self._next[indices] += self._stride[indices]
        self._done = self._done & ~robots
        return self._episodes.begin(indices, scenarios)

    def _info(self, begun: Flags, of: Flags | None = None) -> Info:
        """What is known about the robots `of` (B,), all by default, and the scenarios of those whose episode has just begun."""
        about = np.ones(self.num_envs, dtype=bool) if of is None else of
        each = [self._episodes.about(i) if about[i] else {} for i in range(self.num_envs)]
        info: Info = {"change": _objects([e.get("change") for e in each], about), "_change": about}
        unstable = np.array(["unstable" in e for e in each])
        if unstable.any():
            info |= {"unstable": _objects([e.get("unstable") for e in each], unstable), "_unstable": unstable}
        if begun.any():
            scenarios = [s.to_mapping() if b else None for s, b in zip(self._episodes.scenarios, begun, strict=True)]
            info |= {"scenario": _objects(scenarios, begun), "_scenario": begun.copy()}
        return info


def _objects(values: Sequence[Any], where: Flags) -> NDArray[np.object_]:
    """An array of objects, (B,), as Gymnasium holds values that are no numbers; None outside of `where`."""
    array = np.full(len(where), None, dtype=object)
    for index in np.flatnonzero(where).tolist():
        array[index] = values[index]
    return array


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        allowed = ", ".join(m.value for m in AutoresetMode)
        raise ConfigError(f"autoreset_mode: got {mode!r}; allowed: {allowed}") from error
