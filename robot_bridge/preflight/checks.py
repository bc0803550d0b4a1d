"""What a check before the first command found: a verdict, what was measured, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from adaptive_mbrl.errors import AdaptiveMBRLError


class Verdict(Enum):
    """How a check ended; the order is that of severity."""

    PASS = "pass"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        name: what was looked at, e.g. ``topic /joint_states``.
        verdict: how it ended.
        measured: what was found, in words and with units.
        advice: what to do about it; empty where nothing is to be done.
    """

    name: str
    verdict: Verdict
    measured: str
    advice: str = ""


class PreflightError(AdaptiveMBRLError):
    """A robot is not what its bridge file and checkpoint say."""


def failed(checks: Sequence[Check]) -> list[Check]:
    """The checks that a robot must not be started with."""
    return [check for check in checks if check.verdict is Verdict.FAIL]


def summary(checks: Sequence[Check]) -> str:
    """How many checks passed, and what was warned of, in one line."""
    warned = [f"{check.name}: {check.measured}" for check in checks if check.verdict is Verdict.WARN]
    passed = f"{sum(check.verdict is Verdict.PASS for check in checks)} of {len(checks)} checks passed"
    return f"{passed}; {len(warned)} warned: {'; '.join(warned)}" if warned else passed


def require_passed(checks: Sequence[Check]) -> None:
    """Raise with all failures in one line; warnings let a robot through."""
    failures = failed(checks)
    if failures:
        found = "; ".join(f"{check.name}: {check.measured}" for check in failures)
        raise PreflightError(f"preflight: {len(failures)} of {len(checks)} checks failed: {found}")
