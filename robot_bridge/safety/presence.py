"""Those who should be heard again and again: a stream of goals, an operator who holds a button."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from robot_bridge.safety.faults import Fault, FaultKind


@dataclass(frozen=True)
class Expected:
    """A sender who must not fall silent.

    Attributes:
        kind: the fault if it does.
        who: who is silent, in words.
        heard: when it was last heard, monotonic [s]; -inf if never.
        max_age: longest silence [s].
    """

    kind: FaultKind
    who: str
    heard: Callable[[], float]
    max_age: float

    def look(self, now: float) -> list[Fault]:
        """The fault of being silent for too long at `now`, monotonic [s]."""
        silent = now - self.heard()
        if silent <= self.max_age:
            return []
        since = "is not there" if silent == math.inf else f"is silent for {silent:.2f} s; allowed: {self.max_age:g} s"
        return [Fault(self.kind, f"{self.who} {since}")]
