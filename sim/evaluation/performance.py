"""How well a robot does at every control step, in the words and units of its objective."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.objective import Term
from sim.robot.task import RobotTask

Array = NDArray[np.float64]


def performance(robot: RobotTask, episodes: Sequence[Episode], steps: int = 0) -> Array:
    """The velocity that the objective rewards, if there is one, else the reward, (E, T).

    It is 0 after an episode that ended by itself, for example because the robot fell, and NaN after one that was cut.

    Args:
        robot: the robot, with its objective.
        episodes: E episodes.
        steps: the smallest T; T is at least the length of the longest episode.
    """
    channel = rewarded_velocity(robot)
    rows = [e.reward if channel is None else e.obs[1:, robot.spec.obs_index(channel)] for e in episodes]
    length = max(steps, *map(len, rows))
    return side_by_side(
        [np.pad(row, (0, length - len(row))) if e.ended else row for row, e in zip(rows, episodes, strict=True)], length
    )


def performance_label(robot: RobotTask) -> tuple[str, str]:
    """What `performance` is: as a title, and with its unit."""
    channel = rewarded_velocity(robot)
    if channel is None:
        rewarded = dict.fromkeys(c.replace("_", " ") for term in _terms(robot) for c in term.channels)
        return f"reward for {', '.join(rewarded)}" if rewarded else "reward", "reward per step"
    words = channel.replace("_", " ")
    return words, f"{words} [{_unit(robot, channel)}]"


def rewarded_velocity(robot: RobotTask) -> str | None:
    """The observation channel of the velocity that the objective rewards; None if it rewards none."""
    kinds = {c.name: c.kind for c in robot.spec.obs}
    for term in _terms(robot):
        if term.kind == "linear" and len(term.channels) == 1 and kinds[term.channels[0]] == "velocity":
            return term.channels[0]
    return None


def readings(robot: RobotTask, episode: Episode) -> list[str]:
    """What a viewer wants to read at each control step of an episode.

    For a robot whose velocity is rewarded it is this velocity and the distance since the episode began, for example
    ``4.2 m/s, 31.0 m``; for others it is the return so far.
    """
    channel = rewarded_velocity(robot)
    if channel is None:
        return [f"return {total:.1f}" for total in np.cumsum(episode.reward)]
    velocity = episode.obs[1:, robot.spec.obs_index(channel)]
    unit = _unit(robot, channel)
    covered = np.cumsum(velocity) * robot.spec.dt
    return [f"{v:.1f} {unit}, {d:.1f} {unit.removesuffix('/s')}" for v, d in zip(velocity, covered, strict=True)]


def side_by_side(rows: Sequence[np.ndarray], length: int) -> Array:
    """Rows of different lengths as one array, (E, length), with NaN where a row has nothing."""
    values = np.full((len(rows), length), np.nan)
    for i, row in enumerate(rows):
        values[i, : len(row)] = row
    return values


def _terms(robot: RobotTask) -> tuple[Term, ...]:
    return () if robot.objective is None else robot.objective.terms


def _unit(robot: RobotTask, channel: str) -> str:
    return robot.spec.obs[robot.spec.obs_index(channel)].unit
