"""What happens around and after a change on one scenario, as curves: recovery, and what few transitions are worth (K-shot)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.benchmark.curves import Curve, curve
from sim.benchmark.data import ArmData, FieldData
from sim.evaluation.evidence import EVIDENCE
from sim.evaluation.metrics import MEAN_STEPS

Array = NDArray[np.float64]
Report = dict[str, Any]
BEFORE = 50
"""Number of control steps before the change that a recovery curve shows."""
_MOST_POINTS = 150


def recovery(field: FieldData) -> Report:
    """Reward per step of every arm around the last change, each the mean over the last 10 steps."""
    after = max(scenario["steps"] - change for scenario, change in zip(field.scenarios, field.changes, strict=True))
    offsets = np.arange(-min(BEFORE, min(field.changes)), after)
    offsets = offsets[:: -(-len(offsets) // _MOST_POINTS)]
    curves = {arm.label: _recovery(field, arm.rewards, offsets) for arm in field.arms}
    oracle = next((arm.oracle for arm in field.arms if arm.oracle is not None), None)
    for name, rewards in (("oracle", oracle), ("random", field.random)):
        if rewards is not None:
            curves[name] = _recovery(field, (rewards,), offsets)
    return {"steps": offsets, "arms": {label: asdict(c) for label, c in curves.items()}}


def evidence_curves(field: FieldData) -> Report:
    """Open-loop error of every method after k transitions of the new dynamics."""
    return {
        "transitions": list(field.evidence),
        "methods": {method: asdict(curve(errors)) for method, errors in field.errors.items()},
    }


def reward_rates(field: FieldData) -> Report:
    """Reward after k control steps under the new dynamics, between the random policy's (0) and the oracle's (1).

    Each is the mean of the 10 steps from the k-th on. Sums over episodes are divided, not single episodes.
    """
    found = {arm.label: rate for arm in field.arms if (rate := _reward_rate(field, arm)) is not None}
    return {"transitions": list(EVIDENCE), "window": MEAN_STEPS, "arms": {label: asdict(c) for label, c in found.items()}}


def _recovery(field: FieldData, rewards: tuple[tuple[Array, ...], ...], offsets: NDArray[np.int64]) -> Curve:
    rows = [[_trailing(r, change + offsets) for r, change in zip(row, field.changes, strict=True)] for row in rewards]
    return curve(np.array(rows))


def _trailing(rewards: Array, steps: NDArray[np.int64]) -> Array:
    """Mean reward of the 10 steps that end with each step; NaN outside of the episode."""
    total = np.concatenate([[0.0], np.cumsum(rewards)])
    inside = (steps >= 0) & (steps < len(rewards))
    last = np.where(inside, steps, 0)
    first = np.maximum(last - MEAN_STEPS + 1, 0)
    return np.where(inside, (total[last + 1] - total[first]) / (last + 1 - first), np.nan)


def _reward_rate(field: FieldData, arm: ArmData) -> Curve | None:
    if arm.oracle is None or field.random is None:
        return None
    ends = np.array(EVIDENCE) + MEAN_STEPS - 1
    ours = np.array([[_trailing(r, c + ends) for r, c in zip(row, field.changes, strict=True)] for row in arm.rewards])
    oracle, random = (
        np.array([_trailing(r, c + ends) for r, c in zip(rewards, field.changes, strict=True)])
        for rewards in (arm.oracle, field.random)
    )
    return curve(ours - random, np.broadcast_to(oracle - random, ours.shape))
