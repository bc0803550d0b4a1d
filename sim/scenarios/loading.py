"""Scenario files: one scenario, or a split with its train and test parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import MAX_SEED, bounded, from_mapping, read_mapping
from adaptive_mbrl.errors import ConfigError
from sim.paths import config_name, find_config
from sim.robot.loading import load_task
from sim.robot_file import robot_text
from sim.scenarios.distribution import PARTS, ScenarioDistribution, load_split
from sim.scenarios.scenario import Scenario, ScheduledChange, parse_change, robot_reference


@dataclass(frozen=True)
class ScenarioFile:
    """A single scenario.

    Attributes:
        robot: name of a shipped robot, or path of a robot's file relative to this one.
        steps: number of control steps.
        seed: seed of the initial state, the noise and the goals.
        changes: what changes, and before which control step `at`; each change replaces the one before it.
    """

    robot: str
    steps: int = bounded(low=1, high=1_000_000)
    seed: int = bounded(0, low=0, high=MAX_SEED)
    changes: tuple[Mapping[str, Any], ...] = ()


def load_scenario(path_or_name: str | Path) -> Scenario | ScenarioDistribution:
    """Load a scenario, or one part of a split.

    Args:
        path_or_name: a path or a shipped name. A split's part follows after a colon: ``half_cheetah/cadm_cripple:test``.
    """
    path, part = find_scenario(path_or_name)
    content = read_mapping(path)
    is_split = any(p in content for p in PARTS)
    if is_split:
        return load_split(content, path, part)
    if part:
        raise ConfigError(f"{path}: has no parts, got ':{part}'; allowed: the file alone")
    return parse_scenario(content, path)


def load_training_part(name: str) -> ScenarioDistribution:
    """Load the part of a split that the key `scenarios` of a training names.

    Raises:
        ConfigError: it is a single scenario, or there is no such part.
    """
    distribution = load_scenario(name)
    if not isinstance(distribution, ScenarioDistribution):
        raise ConfigError(
            f"key 'scenarios': '{name}' is a single scenario; training needs a split's part, for example cartpole/mass_gain:train"
        )
    return distribution


def files_of_training(name: str, distribution: ScenarioDistribution) -> dict[str, str]:
    """The texts that a training keeps copies of, by the names of the copies: the robot's file and the split's.

    Args:
        name: what the key `scenarios` of the training names.
        distribution: what was loaded by that name.
    """
    robot = find_config("robots", distribution.robot)
    return {
        f"robot{robot.suffix}": robot_text(robot),
        "scenarios.yaml": find_scenario(name)[0].read_text(encoding="utf-8"),
    }


def parts_of(path: Path) -> tuple[str, ...]:
    """The parts of the split in the file `path`; none if the file is a single scenario."""
    content = read_mapping(path)
    return tuple(p for p in PARTS if p in content)


def find_scenario(path_or_name: str | Path) -> tuple[Path, str]:
    """The file behind what `load_scenario` takes, and the part named after the colon or an empty string."""
    text, _, part = str(path_or_name).rpartition(":")
    if not text or "/" in part or part.endswith((".yaml", ".yml")):
        text, part = str(path_or_name), ""
    return find_config("scenarios", text, part), part


def parse_scenario(content: Mapping[str, Any], path: Path) -> Scenario:
    """Build and check a scenario from the content of `path`."""
    file = from_mapping(ScenarioFile, content, source=str(path))
    robot = robot_reference(file.robot, path)
    elements = load_task(robot).elements
    changes = []
    for i, entry in enumerate(file.changes):
        key = f"changes[{i}]"
        values = dict(entry)
        at = values.pop("at", None)
        if type(at) is not int or not 0 <= at < file.steps:
            got = "it is missing" if at is None else f"got {at!r}"
            raise ConfigError(f"{path}: key '{key}.at': {got}; allowed: a whole number of steps, 0 to {file.steps - 1}")
        changes.append(ScheduledChange(at, parse_change(values, elements, str(path), key)))
    try:
        return Scenario(robot, file.steps, file.seed, tuple(changes), name=config_name("scenarios", path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
