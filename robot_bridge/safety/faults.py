"""Faults: what is wrong at a control step, of which kind, and which kinds leave no plan that could be followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
    "stale",
    "not_finite",
    "out_of_limits",
    "unlike_training",
    "no_plan",
    "missed_deadlines",
    "model_error",
    "frozen",
    "jump",
    "drift",
    "derivative",
    "goal_lost",
    "operator_gone",
    "actuator_weak",
    "actuator_dead",
    "actuator_reversed",
    "sign_turned",
    "battery_low",
    "battery_critical",
    "hot",
    "too_hot",
    "high_load",
    "overload",
    "falling",
    "fallen",
    "monitor_warning",
    "monitor_fault",
    "monitor_lost",
    "plan_leaves_workspace",
    "plan_collides",
    "contradiction",
    "belief_oscillates",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
UNFIT: frozenset[FaultKind] = frozenset(
    ("stale", "not_finite", "out_of_limits", "unlike_training", "no_plan", "missed_deadlines")
)
"""With these no plan can be followed, so a robot's file may not answer them with `warn` or `slow`."""

OF_PLANNER: frozenset[FaultKind] = frozenset(
    ("no_plan", "missed_deadlines", "model_error", "plan_leaves_workspace", "plan_collides", "belief_oscillates")
)
"""These are about the planner, its plans and its model, and no fault of another source of commands."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong.

    Attributes:
        kind: what a robot's file chooses the reaction by.
        words: what it is, for people.
        about: the channel, actuator or monitor that it is about; empty if it is about none in particular.
    """

    kind: FaultKind
    words: str
    about: str = ""
