"""What the cards of all robots have: their actions, rewards, ends and the names of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptive_mbrl.objective import Term
from adaptive_mbrl.spec import RobotSpec
from sim.catalog.card import Rows
from sim.robot.task import RobotTask


def action_rows(robot: RobotTask) -> Rows:
    """A row for each action channel."""
    return [{"channel": a.name, "unit": a.unit, "low": a.low, "high": a.high} for a in robot.spec.action]


def reward_tables(robot: RobotTask) -> Mapping[str, Rows]:
    """The terms of the reward and those that only planners maximise; empty where the simulation itself pays the reward."""
    rewarded: Sequence[Term] = () if robot.objective is None else robot.objective.terms
    planned: Sequence[Term] = () if robot.planning_objective is None else robot.planning_objective.terms
    return {
        "Reward": [_term(term) for term in rewarded],
        "Shaping, for planners only": [_term(term) for term in planned[len(rewarded) :]],
    }


def names_rows(robot: RobotTask) -> Rows:
    """What the parts of a robot are called in scenarios."""
    kinds = ("actuators", "bodies", "joints", "geoms")
    return [{"parts": kind, "names": list(getattr(robot.elements, kind))} for kind in kinds]


def healthy_in_words(spec: RobotSpec) -> str:
    """When an episode ends because the robot is not healthy; empty if nothing is said about it."""
    ranges = "; ".join(f"{r.name} {_range(r.low, r.high)}" for r in spec.healthy)
    if spec.can_end:
        return f"when the robot is not healthy: {ranges}"
    return f"after its steps only; healthy: {ranges}" if ranges else ""


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:g}" if high is None else f"at most {high:g}"
    return f"{low:g} to {high:g}"


def _term(term: Term) -> Mapping[str, Any]:
    aim = [*term.goal] or [f"{y:g}" for y in term.target] or (["0"] if term.channels else [])
    return {
        "term": term.kind,
        "weight": term.weight,
        "channels": list(term.channels),
        "aims at": aim,
        "scale": term.scale if term.kind == "tolerance" else None,
    }
