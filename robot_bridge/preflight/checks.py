"""The result of a check before the first command: a verdict, what was measured, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from adaptive_mbrl.errors import AdaptiveMBRLError


class Verdict(Enum):
    """The outcome of a check, in the order of severity."""

    PASS = "pass"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the preflight's table.

    Attributes:
        name: the thing that was checked, e.g. ``topic /joint_states``.
        verdict: the outcome.
        measured: the finding in words, with units.
        advice: what the user should do; empty if there is nothing to do.
    """

    name: str
    verdict: Verdict
    measured: str
    advice: str = ""


class PreflightError(AdaptiveMBRLError):
    """The robot is not as its bridge file and its checkpoint say."""


def failed(checks: Sequence[Check]) -> list[Check]:
    """The failed checks; a robot with any of them must not be started."""
    return [check for check in checks if check.verdict is Verdict.FAIL]


def summary(checks: Sequence[Check]) -> str:
    """A line about how many checks passed and which ones gave a warning."""
    warned = [f"{check.name}: {check.measured}" for check in checks if check.verdict is Verdict.WARN]
    passed = f"{sum(check.verdict is Verdict.PASS for check in checks)} of {len(checks)} checks passed"
    return f"{passed}; {len(warned)} warned: {'; '.join(warned)}" if warned else passed


def require_passed(checks: Sequence[Check]) -> None:
    """Raise an error that names all failed checks in one line; warnings raise nothing."""
    failures = failed(checks)
    if failures:
        found = "; ".join(f"{check.name}: {check.measured}" for check in failures)
        raise PreflightError(f"preflight: {len(failures)} of {len(checks)} checks failed: {found}")
