"""A scenario as a Gymnasium environment: one robot whose dynamics change in the middle of the episode."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Space
from numpy.typing import NDArray

from sim.environment.episodes import Episodes
from sim.environment.rendering import RENDER_MODES, Picture, check_render_mode
from sim.environment.source import load_source
from sim.environment.spaces import action_space, observation_space
from sim.robot.robot import load_robot

Obs = NDArray[np.float32]


class ScenarioEnv(gymnasium.Env[Obs, NDArray[np.floating]]):
    """One robot, one scenario per episode.

    The observation is the robot's channels, followed by the goal if the robot has one. The action is the robot's, in its own
    units; one beyond the limits is clipped. The reward is the robot's objective, without shaping. An episode is truncated after
    the scenario's steps, and terminated if the physics becomes unstable or the robot's own condition ends it. What the robot
    cannot know is in `info`, see `sim.environment.episodes.Episodes.about`; `reset` adds the whole ``scenario``.

    The part ``train`` of a split is drawn at random, from the seed given to `reset`. In any other part, and for a single
    scenario, `reset(seed=s)` begins with the first scenario of those that `evaluate` runs from the seed s on, and each further
    `reset()` goes on to the next one; `reset(options={"episode": i})` chooses the i-th.

    Args:
        scenario: a scenario file, or the name of a shipped one; the part of a split may follow after a colon.
        part: the part of a split; ``train`` by default.
        render_mode: ``rgb_array`` for pictures, ``human`` for a window, None for neither.
        width: width of a picture [pixels].
        height: height of a picture [pixels].

    Raises:
        ConfigError: a file, a part or a mode does not exist, or the file is wrong.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        scenario: str | Path,
        part: str | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 352,
    ) -> None:
        check_render_mode(render_mode)
        self.source = load_source(scenario, part)
        self.robot = load_robot(self.source.course.robot)
        self.observation_space = cast(Space[Obs], observation_space(self.robot))
        self.action_space = cast(Space[NDArray[np.floating]], action_space(self.robot))
        self.metadata = {**type(self).metadata, "render_fps": round(1 / self.robot.spec.dt)}
        self.render_mode = render_mode
        self._size = (width, height)
        self._picture: Picture | None = None
        # one robot is one simulation, which one thread steps
        self._episodes = Episodes(self.robot, 1, num_threads=1)
        self._first_seed: int | None = None
        self._episode = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: seed of this episode and of those that follow; without one, the series goes on.
            options: ``{"episode": i}`` for the i-th episode of a part that is not drawn at random.

        Returns:
            The first observation, (obs_dim + goal_dim,), and the information about the episode.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._first_seed, self._episode = seed, -1
        chosen = self.source.episode_option(options)
        self._episode = self._episode + 1 if chosen is None else chosen
        scenario = self.source.draw(self.np_random, self._episode, self._first_seed)
        obs = self._episodes.begin([0], [scenario])
        self._show()
        return obs[0], self._episodes.about(0) | {"scenario": scenario.to_mapping()}

    def step(self, action: NDArray[np.floating]) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Send an action, (action_dim,), and simulate one control step."""
        step = self._episodes.step(np.asarray(action)[None])
        self._show()
        return (
            step.obs[0],
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            self._episodes.about(0),
        )

    def render(self) -> NDArray[np.uint8] | None:
        """The present picture, (height, width, 3), in the mode ``rgb_array``; a window shows it by itself."""
        return self._draw() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        if self._picture is not None:
            self._picture.close()
            self._picture = None

    def _show(self) -> None:
        if self.render_mode == "human":
            self._draw()

    def _draw(self) -> NDArray[np.uint8] | None:
        if self._picture is None:
            assert self.render_mode is not None
            self._picture = Picture(self.robot, self.render_mode, *self._size)
        return self._picture.draw(self._episodes.simulation.physics.arrays["qpos"][0], self._episodes.goals[0])
