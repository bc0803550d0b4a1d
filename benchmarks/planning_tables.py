"""The tables of docs/performance.md that are about planners' settings and about threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from cells import named, with_interval

from adaptive_mbrl.intervals import mean_and_interval
from sim.benchmark.markdown import table
from sim.evaluation.metrics import ratio_and_interval


def candidates_table(report: dict[str, Any]) -> str:
    """What each planner earns, and how much it computes."""
    # the first case is the one that the others are compared with
    reference = report["candidate_cases"][0]["name"]
    head = (
        "planner, candidates",
        "predicted steps",
        "control step [ms]",
        "return after the change [95 %]",
        f"ratio to {reference} [95 %]",
    )
    rows = []
    for case in sorted(report["candidate_cases"], key=lambda case: -case["return_after_change"][0]):
        returns, ratio = with_interval(named(case["return_after_change"]), 0), with_interval(named(case["ratio"]), 2)
        rows.append((case["name"], f"{case['predicted_steps']:,}", f"{case['milliseconds']:.1f}", returns, ratio))
    about, first = report["machine"], report["seed"]
    return "\n".join(
        [
            f"`{report['robot']}`, {report['scenario']}, {report['episodes']} episodes, seeds {first} to "
            f"{first + report['episodes'] - 1}; times on one core of {about['cpu']}, revision {about['revision']}.",
            "",
            *table(head, rows),
        ]
    )


def candidates_together(reports: list[dict[str, Any]]) -> str:
    """The planners that several reports about one robot have, over the episodes of all of them."""
    found = [{case["name"]: case["returns"] for case in report["candidate_cases"]} for report in reports]
    # the first case of each report is the one that the others are compared with
    first = next(iter(found[0]))
    reference = np.concatenate([cases[first] for cases in found])
    rows = []
    for name in (name for name in found[0] if all(name in cases for cases in found)):
        returns = np.concatenate([cases[name] for cases in found])
        ratio = ratio_and_interval(returns, reference)
        rows.append((returns.mean(), name, mean_and_interval(returns), ratio, f"{(returns > reference).mean():.2f}"))
    head = ("planner, candidates", "episodes", "return after the change [95 %]", f"ratio to {first} [95 %]", "better in")
    cells = [
        (
            name,
            str(len(reference)),
            with_interval(named(mean), 0),
            with_interval(named(ratio), 2),
            "-" if name == first else share,
        )
        for _, name, mean, ratio, share in sorted(rows, reverse=True)
    ]
    return "\n".join(table(head, cells))


def waiting_table(report: dict[str, Any]) -> str:
    """How long control steps take with threads that wait in different ways."""
    numbers = list(report["waiting_cases"][0]["milliseconds"])
    head = (
        "busy processes",
        "threads",
        "OMP_WAIT_POLICY",
        *(f"{n} robot{'' if n == '1' else 's'}: median / p90 / p99 [ms]" for n in numbers),
    )
    rows = [
        (
            str(case["busy"]),
            str(case["threads"]),
            case["policy"],
            *(" / ".join(f"{x:.3g}" for x in case["milliseconds"][n]) for n in numbers),
        )
        for case in report["waiting_cases"]
    ]
    about = report["machine"]
    return "\n".join([f"{about['cpu']}, {about['cores']} cores, revision {about['revision']}.", "", *table(head, rows)])
