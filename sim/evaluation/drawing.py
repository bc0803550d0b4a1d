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
from sim.robot.scenery import goal_marker, make_planes_endless, side_camera

Frame = NDArray[np.uint8]

# multiples of 16, which video encoders like
WIDTH, HEIGHT = 480, 352
CAPTION_COLUMNS = 54
RED = (0.85, 0.1, 0.1, 1.0)


def frames(
    robot: Robot,
    titles: Sequence[str],
    qpos: NDArray[np.float64],
    red: NDArray[np.bool_],
    readings: Sequence[Sequence[str]],
    captions: Sequence[str],
    goals: NDArray[np.float32],
    times: NDArray[np.float64],
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Iterator[Frame]:
    """Draw some control steps.

    Args:
        robot: the robot of all panels.
        titles: the title of each panel.
        qpos: MuJoCo's joint positions, (panels, T, nq).
        red: which geoms are drawn red at each step, (T, ngeom).
        readings: the text below the title of each panel at each step, panels times T of them.
        captions: the text at the bottom of each step, T of them.
        goals: the goal at each step, (T, goal_dim), shown as `sim.evaluation.video.render_video` says.
        times: when each step begins, (T,) [s].
        width: width of a panel [pixels].
        height: height of a panel [pixels].

    Yields:
        One picture per step, (height, panels * width, 3).
    """
    model = copy.deepcopy(robot.model)
    model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
    model.vis.global_.offheight = max(height, model.vis.global_.offheight)
    make_planes_endless(model)
    nominal = model.geom_rgba.copy()
    marker = goal_marker(model, goals.shape[1])
    data = mujoco.MjData(model)
    data.qpos[:] = qpos[0, 0]
    mujoco.mj_forward(model, data)
    camera = side_camera(model, data)
    font = load_font(height)
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
                clock = f"{times[step]:.1f} s"
                images.append(labelled(renderer.render(), title, texts[step], clock, captions[step], font))
            yield np.concatenate(images, axis=1)


def load_font(height: int = HEIGHT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of a picture's texts; `height` is that of the picture."""
    return ImageFont.load_default(height / 18)


def labelled(
    image: Frame, title: str, reading: str, clock: str, caption: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> Frame:
    """A picture with its texts: title and reading above, clock and caption."""
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
        qpos, red, goals, times = (content[key] for key in ("qpos", "red", "goals", "times"))
    fps = 1 / (times[1] - times[0] if len(times) > 1 else robot.spec.dt)
    with imageio.get_writer(out, fps=fps, codec="libx264", macro_block_size=16) as writer:
        for frame in frames(robot, titles, qpos, red, readings, captions, goals, times):
            writer.append_data(frame)  # type: ignore[attr-defined]
            print(".", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
