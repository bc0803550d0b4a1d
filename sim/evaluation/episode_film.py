"""A film of an episode that a training has recorded.

An episode holds observations and actions, but MuJoCo's positions are what is drawn. So the recorded actions are simulated once
more, from the same seed and under the same changes. Where that leads to other observations, by more than `TOLERANCE`, the
episode is not shown. A robot that is an environment draws itself while it repeats the episode.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.data.episode import Episode
from sim.evaluation.drawing_process import VideoError, pick_renderer
from sim.evaluation.environment_video import render_environment_video
from sim.evaluation.performance import readings
from sim.evaluation.repeated import TOLERANCE, deviation
from sim.evaluation.video import Panel, render_video
from sim.robot.loading import load_task
from sim.robot.robot import Robot
from sim.robot.task import RobotTask
from sim.scenarios.loading import load_training_part, parse_scenario
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import apply_changes, start

MOST_SECONDS = 8.0
"""Length of a film [s]; of a longer episode it shows the part with the least reward."""
FRAMES_PER_SECOND = 12.5
"""Without a GPU, drawing the frames takes most of the time."""


def film_of(scenarios: str) -> Callable[[Episode, Path], None]:
    """What films the episodes of a training; the robot and a renderer are looked for with the first one.

    Args:
        scenarios: the split that the training draws from, which names the robot.
    """
    robot = functools.cache(lambda: load_task(load_training_part(scenarios).robot))
    renderer = functools.cache(pick_renderer)
    return lambda episode, path: film_episode(robot(), episode, path, renderer())


def film_episode(robot: RobotTask, episode: Episode, path: Path, renderer: str | None = None) -> None:
    """Film an episode.

    Args:
        robot: its robot.
        episode: simulated, from its scenario's beginning on.
        path: the mp4 file.
        renderer: what `pick_renderer` gave; it is asked if not given.

    Raises:
        VideoError: there is no renderer, it failed, or the episode cannot be simulated again.
    """
    if "scenario" not in episode.tags:
        raise VideoError("the episode was not simulated: it does not say which scenario it is of")
    scenario = parse_scenario(episode.tags["scenario"], Path("episode"))
    source = str(episode.tags.get("source", ""))
    title, steps = "controller" if source == "policy" else source, shown_steps(episode, robot.spec.dt)
    changes = [scenario.change_in_force(step) for step in range(len(episode))]
    if not isinstance(robot, Robot):
        render_environment_video(
            robot, {title: episode}, scenario.seed, changes, path, steps=steps, captions=False, renderer=renderer
        )
        return
    panel = Panel(title, replayed(robot, episode, scenario), readings(robot, episode))
    goals = robot.goals(scenario.seed, len(episode))
    render_video(robot, [panel], changes, path, goals=goals, steps=steps, captions=False, renderer=renderer)


def shown_steps(episode: Episode, dt: float) -> range:
    """The control steps that are drawn: all of a short episode's, or the stretch with the least reward, but not every step."""
    length, every = max(1, round(MOST_SECONDS / dt)), max(1, math.ceil(1 / (dt * FRAMES_PER_SECOND) - 1e-9))
    if len(episode) <= length:
        return range(0, len(episode), every)
    sums = np.convolve(episode.reward, np.ones(length), mode="valid")
    begin = int(np.argmin(sums))
    return range(begin, begin + length, every)


def replayed(robot: Robot, episode: Episode, scenario: Scenario) -> NDArray[np.float64]:
    """MuJoCo's joint positions before each control step of an episode, (T, nq).

    Raises:
        VideoError: the recorded actions lead to other observations than the recorded ones.
    """
    simulation = BatchSimulation(robot, 1, on_unstable="end")
    seen, positions = [start(simulation, [scenario])[0]], []
    for action in episode.action:
        apply_changes(simulation, [scenario])
        positions.append(simulation.physics.arrays["qpos"][0].copy())
        seen.append(simulation.step(action[np.newaxis])[0])
    if not deviation(np.stack(seen), episode.obs) <= TOLERANCE:
        raise VideoError("the recorded actions no longer lead to the recorded observations; has the robot's model changed since?")
    return np.stack(positions)
