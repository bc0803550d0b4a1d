"""Runs that differ in their seed alone are one thing, known better."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
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
    """Put the seeds of one configuration together, in the order in which they first appear; every group has a name of its own."""
    same: dict[str, list[Entry]] = {}
    for entry in entries:
        settings = repr((entry.robot, sorted((k, _without_seed(v)) for k, v in entry.settings.items())))
        same.setdefault(settings, []).append(entry)
    found = [group for group in same.values() for group in _sets_of_seeds(group)]
    order = {entry.name: number for number, entry in enumerate(entries)}
    found.sort(key=lambda group: order[group[0].name])
    names = [_name_of(group) for group in found]
    # other seeds of other settings may lie in the same folder, which then tells none of them from the others
    clashing = {name for name, number in Counter(names).items() if number > 1}
    full = [", ".join(e.name for e in group) for group in found]
    return [Group(long if name in clashing else name, tuple(group)) for name, long, group in zip(names, full, found, strict=True)]


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


def _sets_of_seeds(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries of one configuration, in sets in which every seed is there once.

    Two runs of one seed are two things: of another revision, or on another machine. Then each folder is a set.
    """
    if _once(entries):
        yield list(entries)
        return
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folders.setdefault(_SEED.sub("", entry.name), []).append(entry)
    for group in folders.values():
        yield from [group] if _once(group) else ([entry] for entry in group)


def _once(entries: Sequence[Entry]) -> bool:
    """Whether each has a seed that no other one has; arms of an evaluation have none."""
    seeds = [entry.seed for entry in entries]
    return len(seeds) == 1 or (None not in seeds and len(set(seeds)) == len(seeds))


def _without_seed(value: Any) -> Any:
    """A value, or the path of a run without its seed: models of one seed take the episodes of the same seed."""
    return _SEED.sub("", value) if isinstance(value, str) else value


def _name_of(group: Sequence[Entry]) -> str:
    return group[0].name if len(group) == 1 else _SEED.sub("", group[0].name) or "seeds"
