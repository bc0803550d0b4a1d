"""The goals of docs/results.md, and whether what was found reaches them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.benchmark.markdown import interval, number, table


def reached(found: dict[str, Any], bar: float, *, below: bool) -> str:
    """Whether a figure is beyond its bar. A time is to be below it, everything else above it; an end of None is "never"."""
    if found["value"] is None:
        return "no figure"
    if not (found["value"] <= bar if below else found["value"] > bar):
        return "no"
    if found["ci95"] is None:
        return "on average; no interval"
    low, high = (float("inf") if end is None else end for end in found["ci95"])
    return "yes" if (high <= bar if below else low > bar) else "on average; the interval holds the bar"


Found = tuple[dict[str, Any], str]
NOTHING: Found = ({"value": None, "ci95": None}, "-")


def normalized_score(protocol: dict[str, Any], arm: str = "adaptive") -> Found:
    """The mean normalised score of an arm."""
    line = _leader(protocol, arm)
    return (line["normalized"]["mean"], _covered(line)) if line else NOTHING


def over_frozen(protocol: dict[str, Any]) -> Found:
    """By how much the normalised score of the adaptive arm is higher than that of the same model without adapting."""
    return _difference(protocol, "adaptive, frozen")


def over_multitask(protocol: dict[str, Any]) -> Found:
    """By how much it is higher than that of the multi-task model."""
    return _difference(protocol, "multitask")


def lead_over_frozen(protocol: dict[str, Any]) -> Found:
    """By how much the adaptive arm's lead in return over the frozen one is larger after the change than before."""
    return _difference(protocol, "adaptive, frozen", "after_minus_before")


def lead_over_multitask(protocol: dict[str, Any]) -> Found:
    """By how much its lead in return over the multi-task model is larger after the change than before."""
    return _difference(protocol, "multitask", "after_minus_before")


def ratio_to_frozen(protocol: dict[str, Any]) -> Found:
    """The normalised score of the adaptive arm in multiples of the frozen one's; without an interval."""
    ours, frozen = (normalized_score(protocol, arm)[0]["value"] for arm in ("adaptive", "adaptive, frozen"))
    if ours is None or frozen is None:
        return NOTHING
    return {"value": ours / frozen if frozen > 0 else float("inf"), "ci95": None}, "no interval"


def time_to_late_level(protocol: dict[str, Any]) -> Found:
    """Control steps after the change until the adaptive arm is at 90 % of its own late level, the median."""
    line, frozen = _leader(protocol, "adaptive"), _leader(protocol, "adaptive, frozen")
    if line is None:
        return NOTHING
    without = number(frozen["steps_to_late_level"]["median"]["value"], 0) if frozen else "not known"
    return line["steps_to_late_level"]["median"], f"{_covered(line)}; without adapting it is {without}"


def _leader(protocol: dict[str, Any], arm: str) -> dict[str, Any] | None:
    return next((line for line in protocol["leaderboard"] if line["arm"] == arm), None)


def _difference(protocol: dict[str, Any], theirs: str, figure: str = "normalized") -> Found:
    pair = next((c for c in protocol["comparisons"] if (c["ours"], c["theirs"]) == ("adaptive", theirs)), None)
    return (pair[figure], pair["covers"]) if pair else NOTHING


def _covered(line: dict[str, Any]) -> str:
    seeds = len(line["training_seeds"])
    return "episodes, planner noise" + (", training seeds" if seeds >= 3 else f"; not training seeds, of which there is {seeds}")


CHEETAH, DEAD = "half-cheetah, anything", "half-cheetah, held-out dead motor"
CHEETAH_KINDS = "half-cheetah, kinds of change that training never had"
QUADROTOR, CARTPOLE, ARM = "quadrotor, anything", "cart-pole, anything", "arm, payload and force"
QUADROTOR_KINDS, CARTPOLE_KINDS = (f"{robot}, kinds of change that training never had" for robot in ("quadrotor", "cart-pole"))
Claim = tuple[str, str, Callable[[dict[str, Any]], Found], float]


def _claims(words: str, protocol: str, *further: tuple[str, Callable[[dict[str, Any]], Found], float]) -> tuple[Claim, ...]:
    common = (
        ("adaptive - frozen above 0", over_frozen, 0.0),
        ("adaptive - multitask above 0", over_multitask, 0.0),
        ("lead over frozen larger than before the change, in return", lead_over_frozen, 0.0),
        ("lead over multitask larger than before the change, in return", lead_over_multitask, 0.0),
    )
    first = (f"**{words}**: normalised above 0.8", protocol, normalized_score, 0.8)
    return (first, *((name, protocol, find, bar) for name, find, bar in (*further, *common)))


_RATIO = ("more than 2 x frozen", ratio_to_frozen, 2.0)
_TIME = ("steps to 90 % of the late level at most 20", time_to_late_level, 20.0)
CLAIMS: tuple[Claim, ...] = (
    *_claims("half-cheetah, held-out changes", CHEETAH, _TIME, _RATIO),
    *_claims("half-cheetah, unseen kinds of change", CHEETAH_KINDS),
    *_claims("half-cheetah, held-out dead motor", DEAD),
    *_claims("quadrotor, held-out changes", QUADROTOR, _TIME),
    *_claims("quadrotor, unseen kinds of change", QUADROTOR_KINDS),
    *_claims("cart-pole, held-out changes", CARTPOLE, _TIME),
    *_claims("cart-pole, unseen kinds of change", CARTPOLE_KINDS),
    *_claims("arm, payload or force", ARM),
)
"""Goal in words, protocol of the suite `standard`, figure, and the bar."""


def claims_table(report: dict[str, Any]) -> str:
    """The goals beside what was found. A goal is reached where the whole interval is beyond its bar, else at best on average."""
    protocols = {protocol["name"]: protocol for protocol in report["protocols"]}
    rows = []
    for goal, name, find, bar in CLAIMS:
        if name not in protocols:
            rows.append((goal, "not measured", "-", "-"))
            continue
        found, covers = find(protocols[name])
        digits = 0 if find in (time_to_late_level, lead_over_frozen, lead_over_multitask) else 2
        rows.append((goal, interval(found, digits), reached(found, bar, below=find is time_to_late_level), covers))
    return "\n".join(table(("goal", "found [95 %]", "reached?", "what the interval covers"), rows))
