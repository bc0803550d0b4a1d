"""The tables of docs/performance.md that are about planners' settings and about threads."""

from __future__ import annotations

from typing import Any

from cells import named, with_interval

from sim.benchmark.markdown import table


def candidates_table(report: dict[str, Any]) -> str:
    """What each planner earns, and how much it computes."""
    head = (
        "planner, candidates",
        "predicted steps",
        "control step [ms]",
        "return after the change [95 %]",
        "ratio to the shipped [95 %]",
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
