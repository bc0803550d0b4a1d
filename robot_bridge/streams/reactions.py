"""What `~/reaction` says: what is done about faults, and how a watched stop goes, such as `hold under_way`."""

from __future__ import annotations

from dataclasses import dataclass

from robot_bridge.safety.reactions import REACTIONS, stops

OUTCOMES = ("", "under_way", "succeeded")
"""What may be said of a stop beside `failed`; nothing where it is not watched."""
CUT_POWER = "cut the power"
_WORDS = {
    "under_way": "the robot is being stopped",
    "succeeded": "the robot is at rest",
    "failed": f"THE ROBOT DOES NOT COME TO REST: {CUT_POWER}",
}


@dataclass(frozen=True)
class Reacting:
    """A message of `~/reaction`, for people.

    Attributes:
        text: a few words; empty where nothing is done.
        level: `normal`, `warning` or `bad`.
        failed: whether a stop has not brought the robot to rest.
    """

    text: str
    level: str
    failed: bool


def reacting(said: str) -> Reacting:
    """Read a message of `~/reaction`.

    Args:
        said: its text.
    """
    rung, _, outcome = said.partition(" ")
    words = [] if rung in ("none", "") else [f"reaction: {rung}"]
    words += [_WORDS.get(outcome, outcome)] if outcome else []
    is_stop = rung in REACTIONS and stops(rung)
    level = "bad" if is_stop or outcome == "failed" else "warning" if words else "normal"
    return Reacting(", ".join(words), level, outcome == "failed")
