"""A scenario: what happens to a robot's dynamics, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import did_you_mean, from_mapping
from adaptive_mbrl.errors import ConfigError
from sim.robot.elements import Elements
from sim.scenarios.change import Change


@dataclass(frozen=True)
class ScheduledChange:
    """From control step `at` on, `change` is in force.

    Attributes:
        at: the control step before which the change is made; 0 is before the first action.
        change: what differs from the nominal robot; it replaces an earlier change.
    """

    at: int
    change: Change

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as a scenario file writes them."""
        return {"at": self.at, **self.change.to_changes()}


@dataclass(frozen=True)
class Scenario:
    """What happens in one episode.

    Attributes:
        robot: name of a shipped robot, or path of a robot's YAML.
        steps: number of control steps.
        seed: seed of the initial state, the noise and the goals.
        changes: the changes; they are put into the order of their times.
        name: the file or split that the scenario came from, for reports.
    """

    robot: str
    steps: int
    seed: int = 0
    changes: tuple[ScheduledChange, ...] = ()
    name: str = "scenario"

    def __post_init__(self) -> None:
        times = [c.at for c in self.changes]
        for at in times:
            if not 0 <= at < self.steps:
                raise ConfigError(f"changes: at {at} is out of range; allowed: 0 to {self.steps - 1}")
        if len(set(times)) < len(times):
            raise ConfigError(
                f"changes: two changes at the same step ({sorted(times)}); each replaces the one before, so merge them"
            )
        object.__setattr__(self, "changes", tuple(sorted(self.changes, key=lambda c: c.at)))

    @property
    def last_change(self) -> int:
        """The step of the last change; 0 if there is none."""
        return self.changes[-1].at if self.changes else 0

    def change_in_force(self, step: int) -> Change:
        """The change in force while `step` is simulated."""
        past = [c for c in self.changes if c.at <= step]
        return past[-1].change if past else Change()

    def change_beginning(self, step: int) -> Change | None:
        """The change that begins at exactly `step`; None if there is none."""
        return next((c.change for c in self.changes if c.at == step), None)

    def episode(self, index: int, seed: int | None = None) -> Scenario:
        """The `index`-th of the scenarios that `episodes` gives, counted from 0."""
        return replace(self, seed=(self.seed if seed is None else seed) + index)

    def episodes(self, num_episodes: int, seed: int | None = None) -> list[Scenario]:
        """The same scenario with the seeds `seed`, `seed` + 1, ...; by default from its own seed on."""
        return [self.episode(i, seed) for i in range(num_episodes)]

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as a scenario file writes them."""
        return {"robot": self.robot, "steps": self.steps, "seed": self.seed, "changes": [c.to_mapping() for c in self.changes]}


def parse_change(values: Mapping[str, Any], elements: Elements, source: str, key: str) -> Change:
    """Build a `Change` from plain values and check its names.

    Args:
        values: the keys of the change, as a scenario file writes them.
        elements: the names of the robot's parts.
        source: the file, for error messages.
        key: the key of the change in that file, for error messages.
    """
    known = [f.name for f in fields(Change)]
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{source}: unknown key '{key}.{name}'{did_you_mean(name, known)}; allowed keys: at, {', '.join(known)}"
            )
    change = from_mapping(Change, values, source=source, key=key)
    try:
        change.check(elements, key)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    return change


def robot_reference(robot: str, path: Path) -> str:
    """The robot that the file `path` names: a path is relative to that file, a name stays as it is."""
    beside = path.parent / robot
    return str(beside) if robot.endswith((".yaml", ".yml", ".py")) and beside.is_file() else robot
