"""Write the tables of docs/baselines.md from the reports in docs/results/, so that no figure is typed by hand.

Usage: python benchmarks/make_baselines.py

Between a line ``<!-- begin NAME -->`` and ``<!-- end NAME -->``, the text is replaced by what docs/results/NAME.json says and all
reports in docs/results/baselines/ that are about the same scenario.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from adaptive_mbrl.errors import ConfigError
from sim.evaluation.summary import summarize

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "baselines.md"
OURS = ("adaptive", "frozen", "multitask")
Report = dict[str, Any]


def main() -> None:
    """Replace every marked part."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(text), encoding="utf-8")


def written(text: str) -> str:
    """The page with the tables of today's reports."""
    return re.sub(r"<!-- begin (\S+) -->.*?<!-- end \1 -->", _replacement, text, flags=re.S)


def _replacement(match: re.Match[str]) -> str:
    name = match.group(1)
    return f"<!-- begin {name} -->\n{table(name)}\n<!-- end {name} -->"


def table(name: str) -> str:
    """One row for each arm of the report and for each baseline, on the same episodes."""
    report = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    found = {path.stem: _baseline(path, report) for path in sorted((DOCS / "results" / "baselines").glob("*.json"))}
    baselines = {run: baseline for run, baseline in found.items() if baseline is not None}
    arms = report["arms"] | {run: _only_arm(baseline) for run, baseline in baselines.items()}
    summary = summarize(arms, report["scenarios"])
    seeds = [s["seed"] for s in report["scenarios"]]
    lines = [
        f"`{report['scenario']}`, {len(seeds)} episodes, seeds {min(seeds)} to {max(seeds)}.",
        "",
        "| arm | own env steps | steps only a simulator can give | return after the change [95 %] | normalised [95 %] "
        "| adaptive - arm [95 %] |",
        "|---|---|---|---|---|---|",
    ]
    order = sorted(baselines, key=lambda run: (-summary[run]["return_after_change"]["mean"], run))
    for arm in (*(a for a in OURS if a in arms), *order, *(a for a in ("oracle", "random") if a in arms)):
        about = baselines[arm]["config"]["provenance"] if arm in baselines else _provenance(report, arm)
        lines.append(_row(arm if arm in report["arms"] else _title(baselines[arm], report), about, summary, arm))
    return "\n".join(lines)


def _baseline(path: Path, report: Report) -> Report | None:
    """A baseline's report; None if it is about another scenario. About the same one, it must have the same episodes."""
    baseline: Report = json.loads(path.read_text(encoding="utf-8"))
    if baseline["scenario"] != report["scenario"]:
        return None
    if baseline["scenarios"] != report["scenarios"]:
        raise ConfigError(
            f"{path}: its episodes are not those of {report['scenario']} in docs/results; run baseline_returns.py anew"
        )
    return baseline


def _only_arm(baseline: Report) -> Report:
    (arm,) = baseline["arms"].values()
    return arm


def _title(baseline: Report, report: Report) -> str:
    (tag,) = baseline["arms"]
    name = {"ppo": "PPO", "sac": "SAC", "recurrent_ppo": "recurrent PPO (RL2)"}[tag]
    ours, theirs = _provenance(report, "adaptive")["env_steps"], baseline["config"]["provenance"]["env_steps"]
    return name if theirs == ours else f"{name}, {theirs / ours:.3g} x"


def _provenance(report: Report, arm: str) -> dict[str, Any]:
    # from the report: the checkpoint of that name may be another one today
    found: dict[str, Any] = report["config"]["provenance"].get(arm, {})
    return found


def _row(title: str, about: dict[str, Any], summary: Report, arm: str) -> str:
    difference = summary.get(f"adaptive_minus_{arm}", {}).get("return_after_change", {"mean": None})
    simulated = about.get("branch_steps", 0) + about.get("oracle_steps", 0)
    cells = [
        title,
        f"{about['env_steps']:,}" if about else "-",
        f"{simulated:,}" if about else "-",
        _interval(summary[arm]["return_after_change"], 0),
        _interval(summary[arm]["normalized_after_change"], 2),
        _interval(difference, 0),
    ]
    return "| " + " | ".join(cells) + " |"


def _interval(value: dict[str, Any], digits: int) -> str:
    if value["mean"] is None:
        return "-"
    if value["ci95"] is None:
        return f"{value['mean']:.{digits}f}"
    low, high = value["ci95"]
    return f"{value['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


if __name__ == "__main__":
    main()
