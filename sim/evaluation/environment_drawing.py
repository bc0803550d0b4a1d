"""Draws the frames of a video of an environment, in a process of its own: `python -m sim.evaluation.environment_drawing JOB OUT`.

The environment makes its own pictures, so the episode is run again: with its seed, its changes and the actions that were sent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from PIL import Image

from adaptive_mbrl.errors import ConfigError
from sim.evaluation.drawing import HEIGHT, Frame, labelled, load_font
from sim.robot.environment import EnvironmentRobot
from sim.robot.loading import load_task
from sim.scenarios.scenario import parse_change
from sim.simulation.environments import EnvironmentSimulation


def frames(robot: EnvironmentRobot, job: Mapping[str, Any]) -> Iterator[Frame]:
    """Run the episode of each panel again and draw every control step.

    Args:
        robot: the robot of all panels.
        job: the content of the job's file, as `sim.evaluation.environment_video` writes it.

    Yields:
        One picture per step, the panels side by side, (height, width, 3).
    """
    panels, font = job["panels"], load_font()
    changes = [parse_change(values, robot.elements, "job", "changes") for values in job["changes"]]
    simulation = EnvironmentSimulation(robot, len(panels), on_unstable="end", render_mode="rgb_array")
    simulation.reset([job["seed"]] * len(panels), [changes[0]] * len(panels))
    for step, change in enumerate(changes):
        if step and change != changes[step - 1]:
            for index in np.flatnonzero(~simulation.ended).tolist():
                simulation.set_change(index, change)
        clock = f"{step * robot.spec.dt:.1f} s"
        pictures = [
            labelled(_sized(env.render()), panel["title"], panel["readings"][step], clock, job["captions"][step], font)
            for env, panel in zip(simulation.envs, panels, strict=True)
        ]
        yield np.concatenate(pictures, axis=1)
        simulation.step(np.array([panel["actions"][step] for panel in panels]))
    simulation.close()


def _sized(picture: Any) -> Frame:
    """A picture with the height of a panel and a width that video encoders like."""
    if picture is None:
        raise ConfigError("the environment makes no pictures; allowed: one whose 'make' takes render_mode=\"rgb_array\"")
    image = Image.fromarray(np.asarray(picture, dtype=np.uint8))
    width = max(16, round(image.width * HEIGHT / image.height / 16) * 16)
    return np.asarray(image.resize((width, HEIGHT)))


def main(arguments: Sequence[str]) -> None:
    """Draw a job, and print one line for every frame."""
    job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    robot = load_task(job["robot"])
    assert isinstance(robot, EnvironmentRobot), "only environments are drawn here"
    with imageio.get_writer(arguments[1], fps=1 / robot.spec.dt, codec="libx264", macro_block_size=16) as writer:
        for frame in frames(robot, job):
            writer.append_data(frame)  # type: ignore[attr-defined]
            print(".", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
