"""What will stand in the files of a robot, before a template writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One entry of a list in a YAML file, or one that stands there as a comment to be switched on.

    Attributes:
        values: its keys.
        comment: what a newcomer has to know about it; empty for nothing.
        active: whether it counts; otherwise it is written as a comment.
    """

    values: Mapping[str, Any]
    comment: str = ""
    active: bool = True


@dataclass(frozen=True)
class Timing:
    """When commands come.

    Attributes:
        dt: control period [s].
        sim_dt: physics step [s].
        reason: where the control period comes from, as a sentence.
        horizon: how many control periods the planner looks ahead.
    """

    dt: float
    sim_dt: float
    reason: str
    horizon: int


@dataclass(frozen=True)
class Task:
    """What is rewarded, and how an episode starts.

    Attributes:
        name: run, balance, reach or posture, or the name of an environment's own task.
        summary: what the robot shall do, as a sentence.
        objective: the reward terms.
        reset: the content of the key `reset`.
        reset_comment: what a newcomer may want to change about it.
        goal: the content of the key `goal`; None for a fixed task.
        healthy: ranges in which the robot has not fallen.
        terminates: whether an episode ends outside of them.
        shaping: terms that only planners see.
        notes: further sentences about the objective.
    """

    name: str
    summary: str
    objective: tuple[Entry, ...]
    reset: Mapping[str, Any]
    reset_comment: str = ""
    goal: Mapping[str, Any] | None = None
    healthy: tuple[Entry, ...] = ()
    terminates: bool = True
    shaping: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()


def rounded(number: float, digits: int = 3) -> float:
    """A number as people write it: with few digits, and zero for what rounding errors have left of one."""
    return float(f"{number:.{digits}g}") if abs(number) > 1e-9 else 0.0
