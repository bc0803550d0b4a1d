"""The results of a scenario's cells as arrays: one row for each training seed, one column for each episode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.benchmark.cells import Cell, Field
from sim.benchmark.run_cell import Result, read_result
from sim.benchmark.statistics import EPISODES, SEEDS, Table
from sim.benchmark.suite import VARIANTS
from sim.evaluation.metrics import SMALLEST_GAP, above_before
from sim.evaluation.summary import first_change, kind_of_change, returns_after_change

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ArmData:
    """What one arm of a method did on a scenario.

    Attributes:
        method: name of the method.
        arm: adaptive, frozen, ungated, immediate, as_wired or multitask.
        seeds: the training seeds, S of them.
        rewards: rewards of every seed's episodes, S times E arrays.
        returns: return after the last change, (S, E).
        oracle: rewards of the oracle of the method's planner in the same episodes, E arrays; None without one.
        adapt_ms, plan_ms: median computing times with one robot alone [ms], means over seeds.
        fell_back: share of steps that used the prior because adapting had predicted worse, mean over episodes.
    """

    method: str
    arm: str
    seeds: tuple[int, ...]
    rewards: tuple[tuple[Array, ...], ...]
    returns: Array
    oracle: tuple[Array, ...] | None
    adapt_ms: float | None
    plan_ms: float | None
    fell_back: float | None

    @property
    def label(self) -> str:
        """The arm's name in the report."""
        return f"{self.method}, {self.arm}" if self.arm in VARIANTS else self.method


@dataclass(frozen=True)
class FieldData:
    """What was done on one scenario.

    Attributes:
        field: the models and their cells.
        dt: control period [s].
        scenarios: what happened in each of the E episodes that were stable in all arms.
        arms: the arms, in the suite's order.
        random: rewards of the random policy, E arrays; None without it.
        evidence: the numbers k of transitions that prediction errors were measured after.
        errors: prediction errors by method, (S, E, len(evidence)).
        left_out: episodes that were unstable in some arm, in words.
    """

    field: Field
    dt: float
    scenarios: tuple[dict[str, Any], ...]
    arms: tuple[ArmData, ...]
    random: tuple[Array, ...] | None
    evidence: tuple[int, ...]
    errors: dict[str, Array]
    left_out: tuple[str, ...]

    @property
    def changes(self) -> list[int]:
        """The step of each episode's last change, E of them."""
        return [scenario["last_change"] for scenario in self.scenarios]

    @property
    def tasks(self) -> list[str]:
        """The kind of each episode's last change."""
        return [kind_of_change(scenario) for scenario in self.scenarios]

    def after(self, rewards: Sequence[Array]) -> Array:
        """Return after the last change of E episodes, (E,)."""
        return np.array(returns_after_change(rewards, self.scenarios), dtype=np.float64)

    def returns_above_before(self, arm: ArmData) -> Array | None:
        """The `above_before` of each episode, (S, E), whose difference between two arms is the difference of differences.

        None where an episode has no step before a change.
        """
        firsts = [first_change(scenario) for scenario in self.scenarios]
        if 0 in firsts:
            return None
        steps = list(zip(firsts, self.changes, strict=True))
        rows = [[above_before(r, *at) for r, at in zip(row, steps, strict=True)] for row in arm.rewards]
        return np.array(rows, dtype=np.float64)

    def table(self, arm: ArmData, values: Array) -> Table:
        """Numbers of an arm, (S, E), with the axes that they share with other arms."""
        # both arms of a checkpoint share its training seeds, as do all scenarios of a protocol
        seeds = f"{SEEDS}{self.field.protocol}|{arm.method}|{arm.seeds}"
        return Table(values, seeds, f"{EPISODES}{self.field.protocol}|{self.field.scenario}")

    def gain_and_gap(self, arm: ArmData) -> tuple[Array, Array] | None:
        """Return after the change above the random policy's, (S, E), and the oracle's, (E,); None without oracle or random."""
        if arm.oracle is None or self.random is None:
            return None
        base = self.after(self.random)
        return arm.returns - base, self.after(arm.oracle) - base

    def scores(self, arm: ArmData) -> Array | None:
        """Normalised scores, (S, E); NaN where oracle - random is too small to divide by."""
        found = self.gain_and_gap(arm)
        if found is None:
            return None
        gain, gap = found
        usable = gap > SMALLEST_GAP * max(float(gap.mean()), 0.0)
        return np.where(usable, gain / np.where(usable, gap, 1.0), np.nan)


def read_field(field: Field, out: Path) -> FieldData | None:
    """The results of a scenario; cells that have none are left out. None if no model has one."""
    results = {cell.key: result for cell in field.cells() if (result := read_result(cell, out)) is not None}
    control = {key: result for key, result in results.items() if "rewards" in result}
    if not any(cell.key in control for model in field.models for cell in model.arms.values()):
        return None
    first = next(iter(control.values()))
    unstable = {i for result in control.values() for i, instability in enumerate(result["instabilities"]) if instability}
    kept = [i for i in range(len(first["scenarios"])) if i not in unstable]
    scenarios = tuple(first["scenarios"][i] for i in kept)
    arms = tuple(arm for method, name in _arm_names(field) if (arm := _arm(field, method, name, control, kept, scenarios)))
    evidence, errors = _errors(field, results, kept)
    random = control.get(field.random.key) if field.random else None
    left_out = tuple(_left_out(result) for result in control.values() if any(result["instabilities"]))
    return FieldData(
        field, first["dt"], scenarios, arms, None if random is None else _rewards(random, kept), evidence, errors, left_out
    )


def _arm_names(field: Field) -> list[tuple[str, str]]:
    return list(dict.fromkeys((model.method, arm) for model in field.models for arm in model.arms))


def _arm(
    field: Field, method: str, name: str, control: dict[str, Result], kept: list[int], scenarios: tuple[dict[str, Any], ...]
) -> ArmData | None:
    models = [m for m in field.models if m.method == method and name in m.arms and m.arms[name].key in control]
    if not models or not kept:
        return None
    results = [control[model.arms[name].key] for model in models]
    rewards = tuple(_rewards(result, kept) for result in results)
    oracle = models[0].oracle
    return ArmData(
        method,
        name,
        tuple(model.seed for model in models),
        rewards,
        np.array([returns_after_change(row, scenarios) for row in rewards]),
        _rewards(control[oracle.key], kept) if oracle and oracle.key in control else None,
        mean_of_known(result["adapt_ms"]["median"] for result in results),
        mean_of_known(result["plan_ms"]["median"] for result in results),
        mean_of_known(share for result in results for share in result["fell_back"]),
    )


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there; None if none is."""
    known = [float(v) for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _rewards(result: Result, kept: list[int]) -> tuple[Array, ...]:
    return tuple(np.asarray(result["rewards"][i], dtype=np.float64) for i in kept)


def _errors(field: Field, results: dict[str, Result], kept: list[int]) -> tuple[tuple[int, ...], dict[str, Array]]:
    """Prediction errors of every method, (S, E, K); all were asked about the same windows."""

    def found(cell: Cell | None) -> Result | None:
        return results.get(cell.key) if cell else None

    evidence: tuple[int, ...] = ()
    errors: dict[str, list[Array]] = {}
    for model in field.models:
        result = found(model.prediction)
        if result is not None and result["evidence"]:
            evidence = tuple(result["evidence"])
            errors.setdefault(model.method, []).append(np.array(result["errors"], dtype=np.float64)[kept])
    return evidence, {method: np.stack(rows) for method, rows in errors.items()}


def _left_out(result: Result) -> str:
    episodes = [i for i, instability in enumerate(result["instabilities"]) if instability]
    arm = result["arm"] if result["checkpoint"] is None else f"{result['arm']} of {result['checkpoint']}"
    return f"episodes {', '.join(map(str, episodes))} ({arm})"
