"""rollout.mp4 of a robot that is an environment: arms side by side, in the environment's own pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.storage import write_text_atomically
from sim.evaluation.drawing_process import draw, pick_renderer
from sim.evaluation.performance import readings
from sim.evaluation.video import captions_of, held_text
from sim.robot.task import RobotTask
from sim.scenarios.change import Change


def render_environment_video(
    robot: RobotTask,
    episodes: Mapping[str, Episode],
    seed: int,
    changes: Sequence[Change],
    path: Path,
    progress: Callable[[], None] = lambda: None,
    steps: range | None = None,
    captions: bool = True,
    renderer: str | None = None,
) -> None:
    """Render episodes side by side, in real time.

    Args:
        robot: the robot of all episodes.
        episodes: what is shown, by title; all have the same seed and changes.
        seed: the seed of the episodes.
        changes: the change in force at every control step, T of them.
        path: the mp4 file; an old one is replaced when the new one is complete.
        progress: called after every frame.
        steps: the control steps that are drawn, of T; all of them if not given.
        captions: whether the changes are written below the robots.
        renderer: what `pick_renderer` gave; it is asked if not given.

    Raises:
        VideoError: the environment cannot make pictures here, or does not repeat the recorded episodes.
    """
    panels = []
    for title, episode in episodes.items():
        # a robot whose episode has ended stands still, whatever is sent to it
        actions = episode.action[np.minimum(np.arange(len(changes)), len(episode) - 1)]
        panels.append(
            {
                "title": title,
                "actions": actions.tolist(),
                "obs": episode.obs.tolist(),
                "readings": held_text(readings(robot, episode), len(changes)),
            }
        )
    drawn = range(len(changes)) if steps is None else steps
    job = {
        "robot": str(robot.path),
        "seed": seed,
        "changes": [change.to_changes() for change in changes],
        "captions": captions_of(changes, robot.spec.dt) if captions else [""] * len(changes),
        "steps": [drawn.start, drawn.stop, drawn.step],
        "panels": panels,
    }
    # an environment without MuJoCo needs no renderer of MuJoCo's
    draw(
        path,
        "sim.evaluation.environment_drawing",
        "job.json",
        lambda file: write_text_atomically(file, json.dumps(job)),
        renderer or pick_renderer(),
        progress,
    )
