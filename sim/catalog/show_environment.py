"""The card of a robot that is an environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.catalog.card import Card, Rows
from sim.catalog.entries import leading_comment
from sim.catalog.robot_rows import action_rows, healthy_in_words, names_rows, reward_tables
from sim.paths import config_name
from sim.robot.loading import load_task
from sim.robot_file import read_robot

if TYPE_CHECKING:
    from sim.robot.environment import EnvironmentRobot


def show_environment(path: Path) -> Card:
    """What the environment is, what it observes and takes, what is learned of it, and what scenarios can change.

    Args:
        path: the YAML or Python file of the robot.
    """
    from sim.robot.environment import EnvironmentRobot

    robot = load_task(path)
    assert isinstance(robot, EnvironmentRobot), "the file describes an environment"
    tables: dict[str, Rows] = {
        "Observation": [{"channel": c.name, "unit": c.unit, "kind": c.kind, "predicted": c.target} for c in robot.spec.obs],
        "Action": action_rows(robot),
        **reward_tables(robot),
        "Parameters that scenarios can change": [
            {"parameter": name, "low": low, "high": high, "usual": robot.nominal[name]}
            for name, (low, high) in robot.elements.parameters.items()
        ],
        "Names for scenarios": [row for row in names_rows(robot) if row["names"]],
    }
    return Card("robot", config_name("robots", path), _about(path), dict(_facts(robot, path)), tables)


def _facts(robot: EnvironmentRobot, path: Path) -> Iterator[tuple[str, Any]]:
    yield "file", str(path)
    yield "name in checkpoints", robot.name
    if path.suffix == ".py":
        yield "environment", f"made by the variable 'robot' of {path.name}"
    else:
        content = read_robot(path)
        yield "environment", content["environment"]
        if content.get("options"):
            yield "options", ", ".join(f"{key}: {value}" for key, value in content["options"].items())
        if "extends" in content:
            yield "variant of", content["extends"]
    yield "control period [s]", robot.spec.dt
    yield "observation", f"{robot.spec.obs_dim} channels"
    yield "action", f"{robot.spec.action_dim} channels"
    yield "reward", "learned from what the environment pays" if robot.objective is None else "the terms below"
    yield "an episode ends", _ends(robot)
    yield "changes that it can have", ", ".join(robot.elements.changes)


def _ends(robot: EnvironmentRobot) -> str:
    known = "a function tells planners" if robot.ends is not None else ""
    learned = "a training learns it" if robot.learns_ends else ""
    by_itself = "; ".join(part for part in (known, learned) if part) or "planners are not told"
    healthy = healthy_in_words(robot.spec)
    return "; ".join(part for part in (healthy, f"when the environment ends it ({by_itself})") if part)


def _about(path: Path) -> str:
    if path.suffix != ".py":
        return leading_comment(path)
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())
