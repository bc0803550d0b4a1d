"""Pictures of the robot of an environment, drawn by Gymnasium's own MuJoCo renderer."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np
from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.robot.robot import Robot
from sim.robot.scenery import goal_marker, make_planes_endless, side_camera

RENDER_MODES = ("human", "rgb_array")


def check_render_mode(mode: str | None) -> None:
    """Refuse a mode that does not exist, or a window where there is no display, where opening one would end the process."""
    if mode is not None and mode not in RENDER_MODES:
        raise ConfigError(f"render_mode: got '{mode}'; allowed: {', '.join(RENDER_MODES)}, or none")
    if mode == "human" and sys.platform.startswith("linux") and not _has_display():
        raise ConfigError(
            "render_mode: 'human' needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; allowed: rgb_array"
        )


class Picture:
    """Draws one robot with a camera that follows it from the side.

    Args:
        robot: the robot.
        mode: ``rgb_array`` for pictures, ``human`` for a window.
        width: width of a picture [pixels].
        height: height of a picture [pixels].
    """

    def __init__(self, robot: Robot, mode: str, width: int, height: int) -> None:
        self._mode = mode
        self._model = copy.deepcopy(robot.model)
        self._model.vis.global_.offwidth = max(width, self._model.vis.global_.offwidth)
        self._model.vis.global_.offheight = max(height, self._model.vis.global_.offheight)
        make_planes_endless(self._model)
        self._goal = goal_marker(self._model, robot.objective.goal_dim)
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        camera = side_camera(self._model, self._data)
        self._settings = {name: getattr(camera, name) for name in ("type", "trackbodyid", "azimuth", "elevation", "distance")}
        self._renderer = MujocoRenderer(self._model, self._data, self._settings, width, height)

    def draw(self, qpos: NDArray[np.float64], goal: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        """Draw the robot at the joint positions `qpos` (nq,) with its goal (goal_dim,).

        Returns:
            A picture, (height, width, 3); None in the mode ``human``, which shows it in the window.
        """
        self._data.qpos[:] = qpos
        mujoco.mj_forward(self._model, self._data)
        if self._goal is not None:
            self._data.site_xpos[self._goal] = goal
        # the camera of a picture is fixed, so it is moved along; that of a window follows by itself
        self._settings["lookat"] = self._data.xpos[1].copy()
        viewer = self._renderer.viewer
        if self._mode == "rgb_array":
            if viewer is None:
                return self._first_picture()
            # another environment of this process may have drawn last
            viewer.make_context_current()
            viewer.cam.lookat[:] = self._data.xpos[1]
        return self._renderer.render(self._mode)

    def _first_picture(self) -> NDArray[np.uint8]:
        """Try the ways to draw one after the other; what Gymnasium tries by itself ends in an error where there is no display."""
        problem: Exception | None = None
        for name in _backends():
            try:
                with _opengl_by(name):
                    return self._renderer.render(self._mode)
            except (RuntimeError, ImportError, AttributeError, mujoco.FatalError) as error:
                problem = error
        raise ConfigError(
            "render_mode: no renderer works here; install libegl1 or libosmesa6 (see `adaptive-mbrl info`)"
        ) from problem

    def close(self) -> None:
        """Close the window and free the renderer."""
        self._renderer.close()


def _backends() -> tuple[str, ...]:
    """Values of MUJOCO_GL to try: the user's own, or one that fits the display."""
    wanted = os.environ.get("MUJOCO_GL")
    if wanted:
        return (wanted,)
    return ("glfw", "egl", "osmesa") if _has_display() else ("egl", "osmesa")


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def _opengl_by(name: str) -> Iterator[None]:
    """Within the block, Gymnasium's renderer uses this value of MUJOCO_GL."""
    before = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = before
