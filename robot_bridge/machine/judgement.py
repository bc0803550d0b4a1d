"""What is thought of one part of the node: how bad it is, in words, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OK, WARN, ERROR, STALE = range(4)
"""Levels of a diagnostic status, in the numbers of `diagnostic_msgs/msg/DiagnosticStatus`."""


@dataclass(frozen=True)
class Judgement:
    """The condition of one part.

    Attributes:
        level: `OK`, `WARN`, `ERROR` or `STALE`.
        words: what is wrong, or that nothing is.
        values: numbers by their names.
    """

    level: int
    words: str
    values: Mapping[str, object] = field(default_factory=dict)


def worst(findings: Mapping[str, int], fine: str, values: Mapping[str, object]) -> Judgement:
    """One judgement of several findings.

    Args:
        findings: the level of each finding, by its words; empty if there is none.
        fine: the words if nothing is wrong.
        values: numbers by their names.
    """
    return Judgement(max(findings.values(), default=OK), "; ".join(findings) or fine, values)
