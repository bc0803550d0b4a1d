"""Draws the frames of a video, in a process of its own: `python -m sim.evaluation.drawing JOB OUT`."""

from __future__ import annotations

import copy
import sys
import textwrap
from collections.abc import Iterator, Sequence

import imageio.v2 as imageio
import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sim.robot.robot import Robot, load_robot

Frame = NDArray[np.uint8]

# multiples of 16, which video encoders like
WIDTH, HEIGHT = 480, 352
CAPTION_COLUMNS = 46
RED = (0.85, 0.1, 0.1, 1.0)


def frames(
    robot: Robot,
    titles: Sequence[str],
    qpos: NDArray[np.float64],
    red: NDArray[np.bool_],
    readings: Sequence[Sequence[str]],
    captions: Sequence[str],
    goals: NDArray[np.float32],
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Iterator[Frame]:
    """Draw every control step.

    Args:
        robot: the robot of all panels.
        titles: the title of each panel.
        qpos: MuJoCo's joint positions, (panels, T, nq).
        red: which geoms are drawn red at each step, (T, ngeom).
        readings: the text below the title of each panel at each step, panels times T of them.
        captions: the text at the bottom of each step, T of them.
        goals: the goal at each step, (T, goal_dim), shown as `sim.evaluation.video.render_video` says.
        width: width of a panel [pixels].
        height: height of a panel [pixels].

    Yields:
        One picture per step, (height, panels * width, 3).
    """
    model = copy.deepcopy(robot.model)
    model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
    model.vis.global_.offheight = max(height, model.vis.global_.offheight)
    _make_planes_endless(model)
    nominal = model.geom_rgba.copy()
    marker = _goal_marker(model, goals.shape[1])
    data = mujoco.MjData(model)
    data.qpos[:] = qpos[0, 0]
    mujoco.mj_forward(model, data)
    camera = _camera(model, data)
    font = ImageFont.load_default(height / 18)
    with mujoco.Renderer(model, height, width) as renderer:
        # without a GPU, shadows and reflections would take most of the time
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = 0
        for step in range(qpos.shape[1]):
            model.geom_rgba[:] = np.where(red[step][:, None], RED, nominal)
            images = []
            for title, texts, positions in zip(titles, readings, qpos[:, step], strict=True):
                data.qpos[:] = positions
                mujoco.mj_forward(model, data)
                if marker is not None:
                    data.site_xpos[marker] = goals[step]
                renderer.update_scene(data, camera)
                clock = f"{step * robot.spec.dt:.1f} s"
                images.append(_labelled(renderer.render(), title, texts[step], clock, captions[step], font))
            yield np.concatenate(images, axis=1)


def _make_planes_endless(model: mujoco.MjModel) -> None:
    """Draw planes without an end, as they are simulated; else a robot that runs far would seem to fly."""
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE):
        size, material = model.geom_size[geom, :2].copy(), model.geom_matid[geom]
        model.geom_size[geom, :2] = 0
        if material >= 0 and size.min() > 0 and not model.mat_texuniform[material]:
            # a texture that was spread over the plane's size repeats every metre on an endless plane
            model.mat_texrepeat[material] /= 2 * size


def _goal_marker(model: mujoco.MjModel, goal_dim: int) -> int | None:
    """Make the site `goal` visible and return its index; None if the model has none, or if the goals are not positions."""
    site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "goal")
    if site < 0 or goal_dim != 3:
        return None
    model.site_group[site] = 0
    return site


def _camera(model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjvCamera:
    """A camera that follows the first body from the side, with the whole robot in view."""
    moving = model.geom_bodyid > 0
    reach = np.linalg.norm(data.geom_xpos[moving] - data.xpos[1], axis=1) + model.geom_rbound[moving]
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
    camera.trackbodyid = 1
    camera.azimuth, camera.elevation = 90.0, -12.0
    camera.distance = 3.5 * float(reach.max())
    return camera


def _labelled(
    image: Frame, title: str, reading: str, clock: str, caption: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> Frame:
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for place, anchor, text, colour in (
        ((10, 8), "la", title, "white"),
        ((10, 12 + height / 16), "la", reading, "white"),
        ((width - 10, 8), "ra", clock, "white"),
        ((10, height - 8), "ld", textwrap.fill(caption, CAPTION_COLUMNS), "#FF6655"),
    ):
        draw.text(place, text, fill=colour, font=font, anchor=anchor, stroke_width=2, stroke_fill="black")
    return np.asarray(picture)


def main(job: str, out: str) -> None:
    """Draw a job of `sim.evaluation.video.render_video`, and print one line for every frame."""
    with np.load(job, allow_pickle=False) as content:
        robot = load_robot(str(content["robot"]))
        titles, captions = ([str(text) for text in content[key]] for key in ("titles", "captions"))
        readings = [[str(text) for text in row] for row in content["readings"]]
        qpos, red, goals = content["qpos"], content["red"], content["goals"]
    with imageio.get_writer(out, fps=1 / robot.spec.dt, codec="libx264", macro_block_size=16) as writer:
        for frame in frames(robot, titles, qpos, red, readings, captions, goals):
            writer.append_data(frame)  # type: ignore[attr-defined]
            print(".", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
