"""Counts of errors that are shown to people: what is new since the last time."""

from __future__ import annotations

from collections.abc import Mapping


class Growth:
    """By how much counts, which begin at 0, have grown from one call to the next."""

    def __init__(self) -> None:
        self._before: Mapping[str, int] = {}

    def __call__(self, counts: Mapping[str, int]) -> dict[str, int]:
        """The counts that have grown, and by how much."""
        before, self._before = self._before, dict(counts)
        return {name: count - before.get(name, 0) for name, count in counts.items() if count > before.get(name, 0)}


def in_words(counts: Mapping[str, int]) -> list[str]:
    """For example ``3 missed deadlines`` for a count of `missed_deadlines`."""
    return [f"{count} {name.replace('_', ' ')}" for name, count in counts.items()]
