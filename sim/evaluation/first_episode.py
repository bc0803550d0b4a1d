"""The video of an evaluation: its first episode, the adaptive arm beside the frozen one."""

from __future__ import annotations

from pathlib import Path

from sim.evaluation.arms import BeginArm
from sim.evaluation.environment_video import render_environment_video
from sim.evaluation.evaluate import Evaluation
from sim.evaluation.performance import readings
from sim.evaluation.video import Panel, render_video
from sim.robot.robot import Robot


def render_first_episode(evaluation: Evaluation, path: Path, begin: BeginArm) -> None:
    """Render the first episode of an evaluation.

    Args:
        evaluation: what the arms did.
        path: the mp4 file.
        begin: reports progress.

    Raises:
        VideoError: there is no renderer, or it failed.
    """
    course, robot = evaluation.scenarios[0], evaluation.setup.robot
    arms = {name: evaluation.arms[name] for name in ("adaptive", "frozen")}
    changes = [course.change_in_force(step) for step in range(course.steps)]
    progress = begin("video", course.steps)
    if not isinstance(robot, Robot):
        episodes = {name: arm.episodes[0] for name, arm in arms.items()}
        render_environment_video(robot, episodes, course.seed, changes, path, progress)
        return
    panels = [Panel(name, arm.qpos[: len(arm.episodes[0]), 0], readings(robot, arm.episodes[0])) for name, arm in arms.items()]
    render_video(robot, panels, changes, path, progress, robot.goals(course.seed, course.steps))
