"""Write the tables of docs/ that come from reports: no figure is typed by hand.

Usage: python benchmarks/make_results.py

Between a line ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` in one of the `PAGES`, the text is replaced by what
docs/results/NAME.json says. `budgets` is about the shipped checkpoints; `in_short`, `test_ledger`, `evidence`,
`candidates_together` sum up several files.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from bench_tables import bench_tables
from bridge_tables import (
    bridge_table,
    faults_table,
    floods_table,
    fuzz_table,
    latency_cost_table,
    latency_table,
    soak_table,
    two_machines_table,
)
from claims import claims_table
from evidence_tables import (
    in_short,
    not_measured,
    reactions_table,
    reversal_alarms_table,
    sensors_table,
    starts_table,
    steps_table,
)
from learning_tables import (
    benchmark_tables,
    ceiling_table,
    gate_table,
    large_store_table,
    leads_table,
    overlap_table,
    physics_errors_table,
    privileges_table,
    rules_table,
    short_tables,
    tables,
)
from planning_tables import candidates_table, candidates_together, waiting_table
from scaling_tables import interrupted_table, scaling_table

from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, find_checkpoint, read_description
from sim.benchmark.markdown import table
from sim.evaluation.summary import summarize

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = (
    "results.md",
    "adaptation.md",
    "data.md",
    "performance.md",
    "physics.md",
    "protocols.md",
    "robot_machine.md",
    "robot_measured.md",
    "safety.md",
    "scaling.md",
    "training.md",
    "walker.md",
)
SHORT = (
    "never_worse",
    "multitask",
    "multitask_own",
    "delays",
    "delays_elsewhere",
    "reversals",
    "reversals_elsewhere",
    "cripple_50k",
)
"""Reports of benchmarks that are shown with one line for each arm."""


def main() -> None:
    """Replace every marked part; a mark without a report is an error, but for evidence that is still to be measured."""
    for name in PAGES:
        path = DOCS / name
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"<!-- begin (\S+) -->.*?<!-- end \1 -->", _replacement, text, flags=re.S), encoding="utf-8")


def _replacement(match: re.Match[str]) -> str:
    name = match.group(1)
    without_report = {
        "in_short": goals,
        "test_ledger": ledger_table,
        "budgets": budgets_table,
        "evidence": in_short,
        "candidates_together": candidate_sets,
        "leads": leads,
    }
    content = without_report[name]() if name in without_report else not_measured(name) or report_tables(name)
    return f"<!-- begin {name} -->\n{content}\n<!-- end {name} -->"


def report_tables(name: str) -> str:
    """What a report of docs/results says, as reports of its kind are shown."""
    report = read_report(name)
    if name in SHORT:
        return short_tables(report)
    make = next((make for key, make in TABLES.items() if key in report), tables)
    return make(report)


def read_report(name: str) -> dict[str, Any]:
    """A report; the figures of an evaluation are computed anew from its rewards, so that all reports have those of today."""
    report: dict[str, Any] = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    if "arms" in report:
        report["summary"] = summarize(report["arms"], report["scenarios"]) | {"open_loop_10": report["summary"]["open_loop_10"]}
    return report


def goals() -> str:
    """The goals beside what the suite `standard` has found."""
    return claims_table(read_report("standard"))


def leads() -> str:
    """The leads of arms in the report `multitask`, written before benchmarks computed differences of differences."""
    return leads_table(read_report("multitask"))


def candidate_sets() -> str:
    """The half-cheetah's planners over the episodes of all reports about them."""
    names = sorted(path.stem for path in (DOCS / "results").glob("candidates_half_cheetah*.json"))
    return candidates_together([read_report(name) for name in names])


def ledger_table() -> str:
    """The looks at held-out changes; those of committed reports that nobody wrote down are added."""
    with (DOCS / "results" / "test_ledger.csv").open(encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    for path in sorted((DOCS / "results").glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        # reports of earlier versions have no ledger, but their lines are in the file, perhaps with a reason
        known = [row[:-1] for row in rows]
        found = [[str(entry.get(name, "")) for name in head] for entry in report.get("ledger", [])]
        rows += [row for row in found if row[:-1] not in known]
    return "\n".join(table(head, rows))


def budgets_table() -> str:
    """What the training of each shipped checkpoint had, and how long it took."""
    keys = ("env_steps", "branch_steps", "oracle_steps", "updates", "seconds")
    rows = []
    for name in sorted(path.parent.name for path in find_checkpoint("arm").parent.glob(f"*/{DESCRIPTION_FILE}")):
        about = read_description(name).provenance
        rows.append((f"`{name}`", f"`{about['scenarios']}`", *(f"{about[key]:,.0f}" for key in keys)))
    head = ("checkpoint", "trained on", "env steps", "branch steps", "oracle steps", "outer steps", "time [s]")
    return "\n".join(table(head, rows))


TABLES = {
    "floods": floods_table,
    "fuzzed": fuzz_table,
    "privileges": privileges_table,
    "rules": rules_table,
    "gate_errors": gate_table,
    "physics_errors": physics_errors_table,
    "benchmark": benchmark_tables,
    "models": ceiling_table,
    "memory_growth": soak_table,
    "rate_hz": latency_table,
    "imperfections": bridge_table,
    "two_machines": two_machines_table,
    "faults": faults_table,
    "conditions": reactions_table,
    "growth_per_million_steps": steps_table,
    "starts_and_stops": starts_table,
    "sensor_faults": sensors_table,
    "reversal_alarms": reversal_alarms_table,
    "latency_cases": latency_cost_table,
    "candidate_cases": candidates_table,
    "waiting_cases": waiting_table,
    "meta_batches_per_second": large_store_table,
    "weak_scaling_of_two": scaling_table,
    "killed_often": interrupted_table,
    "overlap": overlap_table,
    "peak_flops": bench_tables,
}
"""How a report is shown, by a key that only reports of its kind have."""


if __name__ == "__main__":
    main()
