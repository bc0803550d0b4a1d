"""The report of a benchmark as plain values: what report.json holds, and what the Markdown and HTML reports show."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adaptive_mbrl import __version__
from adaptive_mbrl.machine import cpu_model
from sim.benchmark.cells import Plan
from sim.benchmark.courses import evidence_curves, recovery, reward_rates
from sim.benchmark.data import FieldData, read_field
from sim.benchmark.figures import comparisons, kind_scores, labels, leaderboard, profiles
from sim.benchmark.looks import looked_at
from sim.benchmark.run_cell import read_result
from sim.benchmark.statistics import NOTHING
from sim.benchmark.suite import Suite
from sim.evaluation.report import PACKAGES, plain

Report = dict[str, Any]


def summarize(suite: Suite, plan: Plan, out: Path, failed: dict[str, str], reason: str = "") -> Report:
    """The report of all results that are there.

    Args:
        suite: what was asked for.
        plan: its cells.
        out: folder of the benchmark.
        failed: why cells failed, by their key.
        reason: why one looks at held-out changes, for the ledger's lines.
    """
    fields = [data for field in plan.fields if (data := read_field(field, out)) is not None and data.scenarios]
    by_protocol: dict[str, list[FieldData]] = {}
    for field in fields:
        by_protocol.setdefault(field.field.protocol, []).append(field)
    found = [(cell, result) for cell in plan.cells() if (result := read_result(cell, out)) is not None]
    results, names = [result for _, result in found], plan.labels()
    return plain(
        {
            "benchmark": suite.name,
            "config": {
                "episodes": suite.episodes,
                "seed": suite.seed,
                "arms": list(suite.arms),
                "planner_noise": "one stream per episode, from its seed",
                "machine": {
                    "cpu": cpu_model(),
                    "platform": f"{platform.system()} {platform.machine()}",
                    "threads_per_process": 1,
                },
                "versions": {
                    "adaptive-mbrl": __version__,
                    "python": platform.python_version(),
                    **{p: version(p) for p in PACKAGES},
                },
                "git_revisions": sorted({result["git_revision"] or "unknown" for result in results}),
                "date": max((result["date"] for result in results), default=None),
                "cell_seconds": sum(result["seconds"] for result in results),
            },
            "missing": list(plan.missing),
            "failed": [{"cell": names[key], "key": key, "error": error} for key, error in failed.items()],
            "overall": _overall(list(by_protocol.values())),
            "protocols": [_protocol(name, group) for name, group in by_protocol.items()],
            "ledger": [asdict(entry) for entry in looked_at(found, reason)],
        }
    )


def _protocol(name: str, fields: Sequence[FieldData]) -> Report:
    return {
        "name": name,
        "robot": fields[0].field.robot,
        "leaderboard": leaderboard(fields),
        "references": _references(fields),
        "comparisons": comparisons(fields),
        "profiles": profiles(fields),
        "scenarios": [_scenario(field) for field in fields],
    }


def _scenario(field: FieldData) -> Report:
    return {
        "name": field.field.scenario,
        "dt": field.dt,
        "episodes": len(field.scenarios),
        "kinds_of_change": _kinds(field),
        "left_out": list(field.left_out),
        "recovery": recovery(field),
        "evidence": evidence_curves(field),
        "reward_rate": reward_rates(field),
        "returns": {arm.label: arm.returns for arm in field.arms},
    }


def _kinds(field: FieldData) -> Report:
    """Episodes and normalised score of every arm, for each kind of change; None where the oracle is hardly better than random."""
    scores = {arm.label: kind_scores(field, arm) for arm in field.arms}
    return {
        kind: {"episodes": number, "normalized": {label: found.get(kind) for label, found in scores.items()}}
        for kind, number in Counter(field.tasks).items()
    }


def _references(fields: Sequence[FieldData]) -> Report:
    """Mean return after the change of the oracle and of the random policy, over all scenarios."""
    found: dict[str, list[float]] = {}
    for field in fields:
        oracle = next((arm.oracle for arm in field.arms if arm.oracle is not None), None)
        for name, rewards in (("oracle", oracle), ("random", field.random)):
            if rewards is not None:
                found.setdefault(name, []).append(float(field.after(rewards).mean()))
    return {name: sum(means) / len(means) for name, means in found.items()}


def _overall(groups: Sequence[Sequence[FieldData]]) -> Report:
    """Arms and comparisons of the same name in all protocols, where there are several of them."""
    if len(groups) < 2:
        return {"arms": [], "comparisons": [], "profiles": None}
    everywhere = [label for label in labels(groups[0]) if all(label in labels(group) for group in groups)]
    fields = [field for group in groups for field in group]
    # returns of different robots have different units
    common = [
        {**comparison, "return_after_change": NOTHING, "after_minus_before": NOTHING}
        for comparison in comparisons(fields)
        if comparison["ours"] in everywhere and comparison["theirs"] in everywhere
    ]
    arms = [{**line, "return_after_change": NOTHING} for line in leaderboard(fields) if line["arm"] in everywhere]
    curves = profiles(fields)
    curves["arms"] = {label: found for label, found in curves["arms"].items() if label in everywhere}
    curves["left_out"] = [label for label in curves["left_out"] if label in everywhere]
    return {"arms": arms, "comparisons": common, "profiles": curves}
