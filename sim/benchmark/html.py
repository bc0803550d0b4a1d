"""A benchmark's report as one HTML file that needs nothing else: tables, and pictures inside of the page."""

from __future__ import annotations

from typing import Any

from adaptive_mbrl.pages.template import render_page
from sim.benchmark.markdown import (
    COMPARISON,
    LEADERBOARD,
    SCORES,
    about,
    comparison_rows,
    evidence_row,
    kind_rows,
    leaderboard_rows,
    notes,
    references,
    score_rows,
)
from sim.benchmark.pictures import (
    evidence_picture,
    improvement_picture,
    profile_picture,
    recovery_picture,
    reward_rate_picture,
)

Report = dict[str, Any]


def html_report(report: Report) -> str:
    """The whole page."""
    robots: dict[str, list[Report]] = {}
    for protocol in report["protocols"]:
        robots.setdefault(protocol["robot"], []).append(_protocol(protocol))
    return render_page(
        "sim.benchmark",
        "report.html.j2",
        report=report,
        about=about(report),
        notes=notes(report),
        leaderboard=LEADERBOARD,
        scores=SCORES,
        comparison=COMPARISON,
        overall=_overall(report["overall"]),
        robots=[{"name": name, "protocols": protocols} for name, protocols in robots.items()],
    )


def _overall(overall: Report) -> Report | None:
    if not overall["arms"]:
        return None
    return {
        "rows": leaderboard_rows(overall["arms"]),
        "scores": score_rows(overall["arms"]),
        "comparisons": comparison_rows(overall["comparisons"]),
        "pictures": _summary_pictures(overall, "all protocols"),
    }


def _protocol(protocol: Report) -> Report:
    return {
        "name": protocol["name"],
        "rows": leaderboard_rows(protocol["leaderboard"]),
        "scores": score_rows(protocol["leaderboard"]),
        "references": references(protocol),
        "comparisons": comparison_rows(protocol["comparisons"]),
        "pictures": _summary_pictures(protocol, protocol["name"]),
        "scenarios": [_scenario(scenario) for scenario in protocol["scenarios"]],
    }


def _summary_pictures(found: Report, title: str) -> list[Report]:
    pictures = []
    if found["profiles"] and found["profiles"]["arms"]:
        words = "Performance profiles: share of runs above each normalised score, with a pointwise 95 % band."
        pictures.append({"svg": profile_picture(found["profiles"], title), "words": words})
    if any(pair["probability"]["value"] is not None for pair in found["comparisons"]):
        words = "Probability of improvement; bars are 95 % intervals, and 0.5 means no difference."
        pictures.append({"svg": improvement_picture(found["comparisons"], title), "words": words})
    return pictures


def _scenario(scenario: Report) -> Report:
    words = "Recovery: mean reward around the last change, with a 95 % band."
    pictures = [{"svg": recovery_picture(scenario), "words": words}]
    header, rows = kind_rows(scenario)
    tables: list[Report] = [{"header": header, "rows": rows}]
    if scenario["evidence"]["methods"]:
        pictures.append(
            {"svg": evidence_picture(scenario), "words": "K-shot: open-loop error after k transitions of the new dynamics."}
        )
        tables.append(_evidence("open-loop error after k transitions", scenario["evidence"], scenario["evidence"]["methods"]))
    if scenario["reward_rate"]["arms"]:
        words = "K-shot: mean reward of the 10 steps from the k-th on."
        pictures.append({"svg": reward_rate_picture(scenario), "words": words})
        tables.append(_evidence("reward rate from k transitions on", scenario["reward_rate"], scenario["reward_rate"]["arms"]))
    return {
        "name": scenario["name"],
        "about": f"{scenario['episodes']} episodes.",
        "pictures": pictures,
        "tables": tables,
    }


def _evidence(title: str, found: Report, curves: Report) -> Report:
    header = (title, *map(str, found["transitions"]))
    return {"header": header, "rows": [evidence_row(name, curve) for name, curve in curves.items()]}
