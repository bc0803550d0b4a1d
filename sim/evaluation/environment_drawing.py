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
from numpy.typing import NDArray
from PIL import Image

from adaptive_mbrl.errors import EXIT_MISTAKE, AdaptiveMBRLError, ConfigError
from sim.evaluation.drawing import HEIGHT, Frame, labelled, load_font
from sim.evaluation.repeated import TOLERANCE, deviation
from sim.robot.environment import EnvironmentRobot
from sim.robot.loading import load_task
from sim.scenarios.scenario import parse_change
from sim.simulation.environments import EnvironmentSimulation


def frames(robot: EnvironmentRobot, job: Mapping[str, Any]) -> Iterator[Frame]:
    """Run the episode of each panel again and draw the control steps that are asked for.

    Args:
        robot: the robot of all panels.
        job: the content of the job's file, as `sim.evaluation.environment_video` writes it.

    Yields:
        One picture per step, the panels side by side, (height, width, 3).

    Raises:
        ConfigError: the environment makes no pictures, or does not repeat a recorded episode.
    """
    simulation = EnvironmentSimulation(robot, len(job["panels"]), on_unstable="end", render_mode="rgb_array")
    try:
        yield from _repeated(simulation, robot, job)
    finally:
        simulation.close()


def _repeated(simulation: EnvironmentSimulation, robot: EnvironmentRobot, job: Mapping[str, Any]) -> Iterator[Frame]:
    panels, font, drawn = job["panels"], load_font(), range(*job["steps"])
    changes = [parse_change(values, robot.elements, "job", "changes") for values in job["changes"]]
    recorded = [np.array(panel["obs"], dtype=np.float32) for panel in panels]
    seen = [simulation.reset([job["seed"]] * len(panels), [changes[0]] * len(panels))]
    for step, change in enumerate(changes[: drawn.stop]):
        _require_repeated(np.stack(seen, 1), recorded)
        if step and change != changes[step - 1]:
            for index in np.flatnonzero(~simulation.ended).tolist():
                simulation.set_change(index, change)
        if step in drawn:
            clock = f"{step * robot.spec.dt:.1f} s"
            pictures = [
                labelled(_sized(env.render()), panel["title"], panel["readings"][step], clock, job["captions"][step], font)
                for env, panel in zip(simulation.envs, panels, strict=True)
            ]
            yield np.concatenate(pictures, axis=1)
        seen.append(simulation.step(np.array([panel["actions"][step] for panel in panels])))
    _require_repeated(np.stack(seen, 1), recorded)


def _require_repeated(seen: NDArray[np.float32], recorded: Sequence[NDArray[np.float32]]) -> None:
    """Refuse an environment that shows another episode than the recorded one.

    Args:
        seen: the observations up to now, (B, T, obs_dim).
        recorded: those of each recorded episode, B of them, each perhaps shorter.
    """
    for own, episode in zip(seen, recorded, strict=True):
        if not deviation(own[: len(episode)], episode) <= TOLERANCE:
            raise ConfigError(
                "the environment does not repeat the recorded episode from its seed, so that a video would show another one; "
                "allowed: an environment whose reset and steps draw from `self.np_random` alone"
            )


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
    rate = 1 / (robot.spec.dt * job["steps"][2])
    with imageio.get_writer(arguments[1], fps=rate, codec="libx264", macro_block_size=16) as writer:
        for frame in frames(robot, job):
            writer.append_data(frame)  # type: ignore[attr-defined]
            print(".", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except AdaptiveMBRLError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
