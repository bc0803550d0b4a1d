"""The figures of a report, computed from the rewards in it; an older report gets the figures of today in this way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from adaptive_mbrl.intervals import mean_and_interval
from sim.evaluation.metrics import (
    NormalizedScore,
    difference_of_differences,
    normalized_score,
    return_after_change,
    steps_to_share,
)

COMPARED_WITH = ("frozen", "multitask")
Report = dict[str, Any]


def summarize(arms: Mapping[str, Report], scenarios: Sequence[Report]) -> Report:
    """Figures of each arm and of the differences between arms.

    Args:
        arms: for each arm its `rewards`, one list per episode, and its `model_error` and `prior_error` likewise, or None.
        scenarios: what happened in each episode, as a scenario file writes it, with the step of the `last_change`.
    """
    summary: Report = {name: _arm_summary(arms, name, scenarios) for name in arms}
    for other in compared_with(arms):
        summary[f"adaptive_minus_{other}"] = _comparison(arms, other, scenarios)
    return summary


def compared_with(arms: Mapping[str, Report]) -> tuple[str, ...]:
    """The arms that the adaptive one is compared with: `COMPARED_WITH`, there or not, and after them the baselines."""
    return *COMPARED_WITH, *(name for name in arms if name not in (*COMPARED_WITH, "adaptive", "oracle", "random"))


def kind_of_change(scenario: Report) -> str:
    """The parts that the last change of a scenario changes, whatever the values, for example ``actuator gain fshin``."""
    words = []
    for key, value in (scenario["changes"][-1] if scenario["changes"] else {}).items():
        if key != "at":
            parts = " ".join(sorted(value)) if isinstance(value, dict) else ""
            words.append(f"{key.replace('_', ' ')} {parts}".strip())
    return ", ".join(words) or "nominal"


def returns_after_change(rewards: Sequence[Sequence[float] | np.ndarray], scenarios: Sequence[Report]) -> list[float]:
    """Sum of each episode's rewards from its last change on."""
    return [return_after_change(np.asarray(r), s["last_change"]) for r, s in zip(rewards, scenarios, strict=True)]


def normalized(arms: Mapping[str, Report], name: str, scenarios: Sequence[Report]) -> NormalizedScore:
    """The normalised score of an arm; empty without an oracle."""
    if "oracle" not in arms:
        return NormalizedScore((None,) * len(scenarios))
    arm, random, oracle = (np.array(returns_after_change(arms[n]["rewards"], scenarios)) for n in (name, "random", "oracle"))
    return normalized_score(arm, random, oracle, [kind_of_change(s) for s in scenarios])


def steps_to_oracle(arms: Mapping[str, Report], name: str, scenarios: Sequence[Report]) -> list[int | None]:
    """Control steps of each episode until the arm reaches a share of the oracle's level, see `steps_to_share`."""
    if "oracle" not in arms:
        return [None] * len(scenarios)
    arm, random, oracle = (arms[n]["rewards"] for n in (name, "random", "oracle"))
    return [
        steps_to_share(np.asarray(a), np.asarray(r), np.asarray(o), s["last_change"])
        for a, r, o, s in zip(arm, random, oracle, scenarios, strict=True)
    ]


def _arm_summary(arms: Mapping[str, Report], name: str, scenarios: Sequence[Report]) -> Report:
    arm = arms[name]
    steps = steps_to_oracle(arms, name, scenarios)
    score = asdict(normalized(arms, name, scenarios))
    return {
        "return": mean_and_ci([float(np.sum(rewards)) for rewards in arm["rewards"]]),
        "return_after_change": mean_and_ci(returns_after_change(arm["rewards"], scenarios)),
        "normalized_after_change": {k: v for k, v in score.items() if k != "per_episode"},
        "steps_to_oracle": {
            "median": _median_steps(steps),
            "never": steps.count(None) if "oracle" in arms else None,
        },
        "model_error_after_change": _error_after_change(arm["model_error"], scenarios),
        "prior_error_after_change": _error_after_change(arm["prior_error"], scenarios),
    }


def _median_steps(steps: Sequence[int | None]) -> int | None:
    """The median, where what never happens counts as later than all that does; the upper one of two middle values."""
    return sorted(steps, key=lambda k: math.inf if k is None else k)[len(steps) // 2] if steps else None


def _comparison(arms: Mapping[str, Report], other: str, scenarios: Sequence[Report]) -> Report:
    """Differences between the adaptive arm and another one, paired by episode."""
    nothing = {"mean": None, "ci95": None}
    if other not in arms or "adaptive" not in arms:
        return {"return_after_change": nothing, "after_minus_before": nothing}
    ours, theirs = (returns_after_change(arms[n]["rewards"], scenarios) for n in ("adaptive", other))
    found = [
        difference_of_differences(np.asarray(a), np.asarray(b), first_change(s), s["last_change"])
        for a, b, s in zip(arms["adaptive"]["rewards"], arms[other]["rewards"], scenarios, strict=True)
    ]
    known = [value for value in found if value is not None]
    return {
        "return_after_change": mean_and_ci(np.subtract(ours, theirs)),
        "after_minus_before": mean_and_ci(known) if known else nothing,
    }


def first_change(scenario: Report) -> int:
    """Step of the first change that happens while the robot runs; 0 without one."""
    return next((change["at"] for change in scenario["changes"] if change["at"] > 0), 0)


def _error_after_change(errors: Sequence[Sequence[float | None]] | None, scenarios: Sequence[Report]) -> float | None:
    """Mean over the steps after the last change; the error at step t is about the transition from t - 1 to t."""
    if errors is None:
        return None
    values = [np.asarray(steps[s["last_change"] + 1 :], dtype=np.float64) for steps, s in zip(errors, scenarios, strict=True)]
    joined = np.concatenate(values)
    return float(joined.mean()) if len(joined) else None


def mean_and_ci(values: Sequence[float] | np.ndarray) -> Report:
    """Mean over episodes and its 95 % interval."""
    mean, interval = mean_and_interval(np.asarray(values, dtype=np.float64))
    return {"mean": mean, "ci95": interval}
