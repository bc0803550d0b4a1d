"""Write the tables of docs/results.md from the reports in docs/results/, so that no figure is typed by hand.

Usage: python benchmarks/make_results.py

Between a line ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` in docs/results.md, the text is replaced by what
docs/results/NAME.json says.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from adaptive_mbrl.checkpoint import load_checkpoint

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> None:
    """Replace every marked part; a mark without a report is an error."""
    path = DOCS / "results.md"
    text = path.read_text(encoding="utf-8")

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        report = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        content = ceiling_table(report) if "models" in report else tables(report)
        return f"<!-- begin {name} -->\n{content}\n<!-- end {name} -->"

    path.write_text(re.sub(r"<!-- begin (\S+) -->.*?<!-- end \1 -->", replacement, text, flags=re.S), encoding="utf-8")


def tables(report: dict[str, Any]) -> str:
    """Arms, differences and open-loop error of one report."""
    summary, config = report["summary"], report["config"]
    machine = config["machine"]
    lines = [
        *(_training(name, checkpoint) for name, checkpoint in config["checkpoints"].items() if name != "frozen"),
        "",
        f"{config['episodes']} episodes, seeds {config['seed']} to {config['seed'] + config['episodes'] - 1}; {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['torch_threads']} threads, {machine['device']}.",
        "",
        "| arm | return after change [95 %] | normalised: mean [95 %] | median | worst | IQM | 1-step error | recovery [steps] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        _arm_row(name, summary[name]) for name in ("adaptive", "frozen", "multitask", "oracle", "random") if name in summary
    ]
    lines += ["", "| difference in return after the change, paired by seed | mean [95 %] |", "|---|---|"]
    for other in ("frozen", "multitask"):
        lines.append(f"| adaptive - {other} | {_interval(summary[f'adaptive_minus_{other}']['return_after_change'], 1)} |")
    open_loop = summary["open_loop_10"]
    if open_loop:
        arms = [n for n in ("adaptive", "frozen", "multitask") if n in open_loop]
        lines += ["", "| open-loop error, mean over 1 to 10 steps | " + " | ".join(arms) + " | adaptive / multitask [95 %] |"]
        lines += ["|---" * (len(arms) + 2) + "|"]
        figures = " | ".join(f"{open_loop[n]:.3f}" for n in arms)
        lines += [f"| RMS over channels, in target stds | {figures} | {_interval(open_loop['adaptive_over_multitask'], 2)} |"]
    timing = report["arms"]["adaptive"]
    lines += ["", "| one robot alone | median | p99 |", "|---|---|---|"]
    for key in ("adapt_ms", "plan_ms"):
        lines.append(f"| {key.removesuffix('_ms')} [ms] | {timing[key]['median']:.1f} | {timing[key]['p99']:.1f} |")
    return "\n".join(lines)


def ceiling_table(report: dict[str, Any]) -> str:
    """What `adaptation_ceiling.py` found."""
    figures = list(report["models"]["known"])
    lines = ["| model | " + " | ".join(f.replace("adapted_", "").replace("_", " ") for f in figures) + " |"]
    lines += ["|---" * (len(figures) + 1) + "|"]
    for name, values in report["models"].items():
        lines.append(f"| {name} | " + " | ".join(_number(values[f], 3) for f in figures) + " |")
    caption = (
        f"{report['updates']:,} updates on {report['episodes']} episodes of `{report['run']}`; errors on its held-out episodes."
    )
    return "\n".join([caption, "", *lines])


def _training(arm: str, checkpoint: str) -> str:
    """What the checkpoint cost, in one line."""
    about = load_checkpoint(checkpoint).description.provenance
    steps = f"{about['env_steps']:,} env steps, {about['branch_steps']:,} branch steps"
    oracle = f", {about['oracle_steps']:,} steps simulated by the oracle" if about["oracle_steps"] else ""
    return f"- {arm}: `{checkpoint}`, trained in {about['seconds']:,.0f} s on {steps}{oracle}; {about['updates']:,} updates."


def _arm_row(name: str, arm: dict[str, Any]) -> str:
    score = arm["normalized_after_change"]
    recovery = arm["recovery_steps"]
    recovered = "-" if recovery["median"] is None else f"{recovery['median']:.0f} ({recovery['never']} never)"
    cells = [
        name,
        _interval(arm["return_after_change"], 1),
        _interval(score, 2),
        *(_number(score[k], 2) for k in ("median", "worst", "iqm")),
        _number(arm["model_error_after_change"], 3),
        recovered,
    ]
    return "| " + " | ".join(cells) + " |"


def _interval(value: dict[str, Any], digits: int) -> str:
    if value["mean"] is None:
        return "-"
    if value["ci95"] is None:
        return _number(value["mean"], digits)
    low, high = value["ci95"]
    return f"{value['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
