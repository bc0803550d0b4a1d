"""The card of a robot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.objective import Term
from sim.catalog.card import Card, Rows
from sim.catalog.entries import leading_comment
from sim.paths import config_name
from sim.robot.config import RobotConfig
from sim.robot.goals import Goal
from sim.robot.robot import Robot, load_robot
from sim.robot.sources import Source
from sim.robot_file import read_robot


def show_robot(name: str) -> Card:
    """What a robot senses, does and is rewarded for, and what its parts are called in scenarios.

    Args:
        name: a shipped name, or the path of a YAML file.
    """
    robot = load_robot(name)
    config = from_mapping(RobotConfig, read_robot(robot.path), source=str(robot.path))
    obs = [
        {"channel": c.name, "unit": c.unit, "kind": c.kind, "predicted": c.target, "from": _source(entry.source)}
        for c, entry in zip(robot.spec.obs, config.obs, strict=True)
    ]
    actions = [{"channel": a.name, "unit": a.unit, "low": a.low, "high": a.high} for a in robot.spec.action]
    tables: dict[str, Rows] = {"Observation": obs, "Action": actions, "Reward": [_term(term) for term in config.objective]}
    tables["Shaping, for planners only"] = [_term(term) for term in config.shaping]
    tables["Names for scenarios"] = list(_names(robot))
    return Card("robot", config_name("robots", robot.path), leading_comment(robot.path), dict(_facts(robot, config)), tables)


def _facts(robot: Robot, config: RobotConfig) -> Iterator[tuple[str, Any]]:
    spec = robot.spec
    yield "file", str(robot.path)
    yield "name in checkpoints", robot.name
    yield "mjcf", config.mjcf
    if config.extends is not None:
        yield "variant of", config.extends
    yield "control period [s]", spec.dt
    yield "physics step [s]", float(robot.model.opt.timestep)
    yield "observation", f"{spec.obs_dim} channels"
    yield "action", f"{spec.action_dim} channels"
    yield "goal", _goal(config.goal)
    ranges = [f"{r.name} {_range(r.low, r.high)}" for r in spec.healthy]
    if spec.can_end:
        yield "an episode ends", "when the robot is not healthy: " + "; ".join(ranges)
    else:
        yield "an episode ends", "after its steps only" + (f"; healthy: {'; '.join(ranges)}" if ranges else "")
    yield "noise at the start", f"positions {config.reset.qpos_noise}, velocities {config.reset.qvel_noise}"


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:g}" if high is None else f"at most {high:g}"
    return f"{low:g} to {high:g}"


def _goal(goal: Goal | None) -> str:
    if goal is None:
        return "none"
    form = {"fixed": "{}", "uniform": "{} to {}"}.get(goal.kind, "{} ± {}")
    ends = [form.format(f"{low:g}", f"{high:g}") for low, high in zip(goal.low, goal.high or goal.low, strict=True)]
    again = f", drawn again every {goal.every} steps" if goal.every else ""
    return f"{goal.kind}: {', '.join(f'{name} {end}' for name, end in zip(goal.names, ends, strict=True))}{again}"


def _source(source: Source) -> str:
    """Where a channel's number is read, such as ``qpos of root [2]``."""
    index = "" if source.index is None else f" [{source.index}]"
    axis = "" if source.axis is None else f", {source.axis}"
    return f"{source.kind} of {source.element}{index}{axis}"


def _term(term: Term) -> Mapping[str, Any]:
    aim = [*term.goal] or [f"{y:g}" for y in term.target] or (["0"] if term.channels else [])
    return {
        "term": term.kind,
        "weight": term.weight,
        "channels": list(term.channels),
        "aims at": aim,
        "scale": term.scale if term.kind == "tolerance" else None,
    }


def _names(robot: Robot) -> Iterator[Mapping[str, Any]]:
    for kind in ("actuators", "bodies", "joints", "geoms"):
        yield {"parts": kind, "names": list(getattr(robot.elements, kind))}
