"""Runs that differ in their seed alone are one thing, known better."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_mbrl.compare.entries import Entry

_SEED = re.compile(r"[+/_]?seed[=_]\d+")


@dataclass(frozen=True)
class Group:
    """Entries that differ in their seed alone.

    Attributes:
        name: tells it from other groups.
        entries: at least one.
    """

    name: str
    entries: tuple[Entry, ...]

    @property
    def robot(self) -> str:
        """Name of its robot."""
        return self.entries[0].robot

    @property
    def label(self) -> str:
        """The name, with the number of seeds if there are several."""
        return self.name if len(self.entries) == 1 else f"{self.name} ({len(self.entries)} seeds)"


def group_seeds(entries: Sequence[Entry]) -> list[Group]:
    """Put the seeds of one configuration together, in the order in which they first appear."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        same = repr((entry.robot, sorted((k, _without_seed(v)) for k, v in entry.settings.items())))
        # two runs of one seed are two things: of another revision, or on another machine
        twice = entry.seed is None or any(entry.seed == e.seed for e in groups.get(same, []))
        groups.setdefault(f"{same} {entry.name}" if twice else same, []).append(entry)
    return [Group(_name_of(group), tuple(group)) for group in groups.values()]


def differences(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """The settings that differ: the value in each group, in their order.

    A key that some group does not have is left out: its value belongs to a kind that this group is not of, which differs, too.
    """
    settings = [{k: _without_seed(v) for k, v in group.entries[0].settings.items()} for group in groups]
    keys = [key for key in settings[0] if all(key in one for one in settings)]
    seeds = [[e.seed for e in group.entries] for group in groups]
    found: dict[str, list[Any]] = {key: [one[key] for one in settings] for key in keys}
    if all(None not in some for some in seeds):
        found["seed"] = [some[0] if len(some) == 1 else some for some in seeds]
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def _without_seed(value: Any) -> Any:
    """A value, or the path of a run without its seed: models of one seed take the episodes of the same seed."""
    return _SEED.sub("", value) if isinstance(value, str) else value


def _name_of(group: Sequence[Entry]) -> str:
    return group[0].name if len(group) == 1 else _SEED.sub("", group[0].name) or "seeds"
