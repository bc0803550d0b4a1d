"""The figures of a protocol: a leaderboard, comparisons of arms, and performance profiles, over all its scenarios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.benchmark.curves import Curve, performance_profile
from sim.benchmark.data import ArmData, FieldData, mean_of_known
from sim.benchmark.statistics import (
    FEWEST_SEEDS,
    NOTHING,
    Draw,
    Estimate,
    Table,
    estimate,
    mean_difference,
    mean_of_ratios,
    pooled,
    probability_of_improvement,
)
from sim.benchmark.suite import VARIANTS
from sim.evaluation.metrics import interquartile_mean, steps_to_late_level, steps_to_share, task_scores

Array = NDArray[np.float64]
Report = dict[str, Any]
Entry = tuple[FieldData, ArmData]
"""An arm on one scenario."""
THRESHOLDS = np.linspace(-0.2, 1.4, 81)
"""Normalised scores of the performance profiles."""


def entries(fields: Sequence[FieldData], label: str) -> list[Entry]:
    """An arm on every scenario where it was run."""
    return [(field, arm) for field in fields for arm in field.arms if arm.label == label]


def labels(fields: Sequence[FieldData]) -> list[str]:
    """The names of all arms, in the suite's order."""
    return list(dict.fromkeys(arm.label for field in fields for arm in field.arms))


def covers(*arms: Sequence[Entry]) -> str:
    """What an interval covers, in words."""
    found = list(dict.fromkeys((field.field.scenario, len(field.scenarios)) for entry in arms for field, _ in entry))
    where = ", ".join(f"{number} episodes of {scenario}" for scenario, number in found)
    seeds = min(len(arm.seeds) for entry in arms for _, arm in entry)
    if seeds >= FEWEST_SEEDS:
        return f"{where}, planner noise of each episode's own, and {seeds} training seeds"
    number = "the one training seed" if seeds == 1 else f"these {seeds} training seeds"
    return f"{where}, and planner noise of each episode's own; it does not cover training seeds, and holds for {number} only"


def score_figures(arm: Sequence[Entry]) -> Report:
    """Normalised scores: mean, IQM, median and worst task; None without an oracle."""
    found = [(f, a, f.gain_and_gap(a)) for f, a in arm]
    if not found or any(pair is None or pair[1].mean() <= 0 for _, _, pair in found):
        return {"mean": NOTHING, "iqm": NOTHING, "median": NOTHING, "worst": None}
    gains = [f.table(a, pair[0]) for f, a, pair in found if pair]
    gaps = [_of_episodes(f, a, pair[1]) for f, a, pair in found if pair]
    scores = [f.table(a, s) for f, a in arm if (s := f.scores(a)) is not None]

    def iqm(draw: Draw) -> Array:
        return interquartile_mean(pooled(scores, draw))

    def median(draw: Draw) -> Array:
        return np.nanmedian(pooled(scores, draw), axis=-1)

    return {
        "mean": asdict(estimate(mean_of_ratios(gains, gaps), [*gains, *gaps])),
        "iqm": asdict(estimate(iqm, scores)),
        "median": asdict(estimate(median, scores)),
        "worst": _worst_task(arm),
    }


def leaderboard(fields: Sequence[FieldData]) -> list[Report]:
    """One line for each arm of each method."""
    return [_line(entries(fields, label), label) for label in labels(fields)]


def comparisons(fields: Sequence[FieldData]) -> list[Report]:
    """Each adaptive arm against its own variants and every multi-task method, and the first against the other adaptive ones."""
    by_label = {arm.label: arm for field in fields for arm in field.arms}
    adaptive = [arm.label for arm in by_label.values() if arm.arm == "adaptive"]
    multitask = [arm.label for arm in by_label.values() if arm.arm == "multitask"]
    pairs = []
    for label in adaptive:
        variants = [other for arm in VARIANTS if (other := f"{label}, {arm}") in by_label]
        pairs += [(label, other) for other in variants + multitask]
    pairs += [(adaptive[0], other) for other in adaptive[1:]]
    return [_compare(fields, ours, theirs) for ours, theirs in pairs]


def profiles(fields: Sequence[FieldData]) -> Report:
    """Performance profiles: for each arm the share of runs above each normalised score.

    An arm whose scenarios have different numbers of training seeds has none, and is listed under ``left_out``.
    """
    found: dict[str, Curve] = {}
    left_out: list[str] = []
    for label in labels(fields):
        scores = [s for f, a in entries(fields, label) if (s := f.scores(a)) is not None]
        if len({len(s) for s in scores}) > 1:
            left_out.append(label)
        elif scores:
            joined = np.concatenate(scores, axis=1)
            found[label] = performance_profile(joined, THRESHOLDS, [s.shape[1] for s in scores])
    return {"score": THRESHOLDS, "arms": {label: asdict(c) for label, c in found.items()}, "left_out": left_out}


def _line(arm: Sequence[Entry], label: str) -> Report:
    models = [m for f, a in arm for m in f.field.models if m.method == a.method and a.arm in m.arms]
    provenances = list({m.place: m.provenance for m in models}.values())
    privileged = [p["oracle_steps"] + p["branch_steps"] for p in provenances if "oracle_steps" in p and "branch_steps" in p]
    returns = [f.table(a, a.returns) for f, a in arm]
    return {
        "arm": label,
        "training_seeds": sorted({seed for _, a in arm for seed in a.seeds}),
        "return_after_change": asdict(estimate(_mean(returns), returns)),
        "normalized": score_figures(arm),
        "open_loop_10": asdict(_open_loop(arm)),
        "steps_to_late_level": _steps(arm, lambda f, a, s, e: _late(f, a.rewards[s][e], e)),
        "steps_to_oracle": _steps(arm, lambda f, a, s, e: _to_oracle(f, a, a.rewards[s][e], e)),
        "adapt_ms": mean_of_known([a.adapt_ms for _, a in arm]),
        "plan_ms": mean_of_known([a.plan_ms for _, a in arm]),
        "fell_back": mean_of_known([a.fell_back for _, a in arm]),
        "train_seconds": mean_of_known([p.get("seconds") for p in provenances]),
        "env_steps": mean_of_known([p.get("env_steps") for p in provenances]),
        "privileged_steps": mean_of_known(privileged),
        "covers": covers(arm),
    }


def _compare(fields: Sequence[FieldData], ours: str, theirs: str) -> Report:
    left, right = entries(fields, ours), entries(fields, theirs)
    both = [f for f, _ in left if any(f is g for g, _ in right)]
    left, right = ([(f, a) for f, a in side if any(f is g for g in both)] for side in (left, right))
    if not both:
        figures = dict.fromkeys(("return_after_change", "after_minus_before", "normalized", "probability"), NOTHING)
        return {"ours": ours, "theirs": theirs, **figures}
    x, y = ([f.table(a, a.returns) for f, a in side] for side in (left, right))
    return {
        "ours": ours,
        "theirs": theirs,
        "return_after_change": asdict(estimate(mean_difference(x, y), [*x, *y])),
        "after_minus_before": asdict(_after_minus_before(left, right)),
        "normalized": asdict(_normalized_difference(left, right)),
        "probability": asdict(estimate(probability_of_improvement(x, y), [*x, *y])),
        "covers": covers(left, right),
    }


def _after_minus_before(left: Sequence[Entry], right: Sequence[Entry]) -> Estimate:
    """The difference of differences: how much further ahead ours is after the change than before it."""
    sides = []
    for side in (left, right):
        found = [(f, a, f.returns_above_before(a)) for f, a in side]
        if any(values is None for _, _, values in found):
            return Estimate(None)
        sides.append([f.table(a, values) for f, a, values in found if values is not None])
    ours, theirs = sides
    return estimate(mean_difference(ours, theirs), [*ours, *theirs])


def _normalized_difference(left: Sequence[Entry], right: Sequence[Entry]) -> Estimate:
    sides = []
    for side in (left, right):
        found = [(f, a, f.gain_and_gap(a)) for f, a in side]
        if any(pair is None or pair[1].mean() <= 0 for _, _, pair in found):
            return Estimate(None)
        gains = [f.table(a, pair[0]) for f, a, pair in found if pair]
        sides.append((gains, [_of_episodes(f, a, pair[1]) for f, a, pair in found if pair]))
    ours, theirs = (mean_of_ratios(*side) for side in sides)
    return estimate(lambda draw: ours(draw) - theirs(draw), [table for gains, gaps in sides for table in (*gains, *gaps)])


def _of_episodes(field: FieldData, arm: ArmData, values: Array) -> Table:
    """Numbers that belong to episodes alone, (E,), the same in every row."""
    return field.table(arm, np.broadcast_to(values, arm.returns.shape))


def _mean(tables: Sequence[Table]) -> Callable[[Draw], Array]:
    return lambda draw: np.mean([t.drawn(draw).mean((-2, -1)) for t in tables], axis=0)


def _worst_task(arm: Sequence[Entry]) -> float | None:
    """The lowest score of a kind of change on a scenario."""
    return min((score for field, a in arm for score in kind_scores(field, a).values()), default=None)


def kind_scores(field: FieldData, arm: ArmData) -> dict[str, float]:
    """The score of each kind of change on a scenario; kinds where the oracle is hardly better than random are left out."""
    pair = field.gain_and_gap(arm)
    return {} if pair is None else task_scores(*pair, field.tasks)


def _open_loop(arm: Sequence[Entry]) -> Estimate:
    """Error of the predictions with all the evidence; that of the prior for a frozen arm."""
    tables = []
    for field, a in arm:
        errors = field.errors.get(a.method)
        if errors is not None and errors.shape[0] == len(a.seeds):
            known = np.isfinite(errors[..., -1]).all(0)
            tables.append(field.table(a, errors[:, known, 0 if a.arm == "frozen" else -1]))
    tables = [t for t in tables if t.values.size]
    return estimate(_mean(tables), tables) if tables else Estimate(None)


def _late(field: FieldData, rewards: Array, episode: int) -> int | None:
    return None if field.random is None else steps_to_late_level(rewards, field.random[episode], field.changes[episode])


def _to_oracle(field: FieldData, arm: ArmData, rewards: Array, episode: int) -> int | None:
    if field.random is None or arm.oracle is None:
        return None
    return steps_to_share(rewards, field.random[episode], arm.oracle[episode], field.changes[episode])


def _steps(arm: Sequence[Entry], steps_of: Callable[[FieldData, ArmData, int, int], int | None]) -> Report:
    """The median number of control steps, all scenarios together, with how often the level was never reached.

    What never happened counts as later than all that did, so that a median above the middle is unknown, not small, and an
    interval can have an upper end of None.
    """
    tables, never, total = [], 0, 0
    for field, a in arm:
        steps = [[steps_of(field, a, s, e) for e in range(len(field.scenarios))] for s in range(len(a.seeds))]
        values = np.array([[np.inf if k is None else float(k) for k in row] for row in steps])
        never, total = never + int(np.isinf(values).sum()), total + values.size
        tables.append(field.table(a, values))

    def median(draw: Draw) -> Array:
        # the upper one of two middle values: the mean with one that was never reached says nothing
        ordered = np.sort(pooled(tables, draw), axis=-1)
        return ordered[..., ordered.shape[-1] // 2]

    return {"median": asdict(estimate(median, tables, may_be_infinite=True)), "never": never, "episodes": total}
