"""The card of a robot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adaptive_mbrl.config import from_mapping
from sim.catalog.card import Card, Rows
from sim.catalog.entries import leading_comment
from sim.catalog.robot_rows import action_rows, healthy_in_words, names_rows, reward_tables
from sim.catalog.show_environment import show_environment
from sim.paths import config_name, find_config
from sim.robot.config import RobotConfig
from sim.robot.goals import Goal
from sim.robot.robot import Robot, load_robot
from sim.robot.sources import Source
from sim.robot_file import is_environment, read_robot


def show_robot(name: str) -> Card:
    """What a robot senses, does and is rewarded for, and what its parts are called in scenarios.

    Args:
        name: a shipped name, or the path of a YAML or Python file.
    """
    path = find_config("robots", name)
    if is_environment(path):
        return show_environment(path)
    robot = load_robot(path)
    config = from_mapping(RobotConfig, read_robot(robot.path), source=str(robot.path))
    obs = [
        {"channel": c.name, "unit": c.unit, "kind": c.kind, "predicted": c.target, "from": _source(entry.source)}
        for c, entry in zip(robot.spec.obs, config.obs, strict=True)
    ]
    tables: dict[str, Rows] = {"Observation": obs, "Action": action_rows(robot), **reward_tables(robot)}
    tables["Names for scenarios"] = names_rows(robot)
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
    yield "an episode ends", healthy_in_words(spec) or "after its steps only"
    yield "noise at the start", f"positions {config.reset.qpos_noise}, velocities {config.reset.qvel_noise}"


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
