"""The sub-command `benchmark`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from adaptive_mbrl.console import make_console
from adaptive_mbrl.errors import EXIT_INTERRUPTED, AdaptiveMBRLError
from adaptive_mbrl.file_lock import Purpose, locked_file
from adaptive_mbrl.options import BenchmarkOptions
from adaptive_mbrl.progress import shown_progress
from adaptive_mbrl.runtime import use_threads
from adaptive_mbrl.storage import write_text_atomically
from sim.benchmark.cells import Plan
from sim.benchmark.html import html_report
from sim.benchmark.looks import Looks
from sim.benchmark.markdown import markdown_report
from sim.benchmark.plan import make_plan
from sim.benchmark.runner import run_plan
from sim.benchmark.suite import Suite, load_suite
from sim.benchmark.summary import Report, summarize
from sim.evaluation.report import write_report


class BenchmarkError(AdaptiveMBRLError):
    """Cells of a benchmark failed, or another process works in its folder."""


IN_USE = Purpose("running a benchmark in", "runs a benchmark in", "--out", BenchmarkError)
"""What a benchmark's folder is locked for."""


def benchmark(options: BenchmarkOptions) -> None:
    """Run the cells of a suite that have no result yet, and write the reports."""
    suite = load_suite(options.suite, options.episodes)
    plan = make_plan(suite, options.runs, skip_missing=options.skip_missing)
    out = options.out or Path("runs/benchmark") / suite.name
    out.mkdir(parents=True, exist_ok=True)
    # the same arithmetic whether a cell runs in this process or in one of several
    use_threads(1)
    console = make_console(stderr=True)
    for place in plan.missing:
        console.print(f"left out, because it is not there: {place}", markup=False, soft_wrap=True)
    with locked_file(out, IN_USE):
        failed = _run(options, plan, out, suite.name)
        report = write_reports(suite, plan, out, failed, options.reason)
    _tell(report, out)
    if failed:
        key, error = next(iter(failed.items()))
        number = f"{len(failed)} of {len(plan.cells())} cells"
        raise BenchmarkError(f"{number} failed, the first was {plan.labels()[key]}: {error}; the reports leave them out")


def _run(options: BenchmarkOptions, plan: Plan, out: Path, name: str) -> dict[str, str]:
    """Run what has no result yet; what went wrong, by the key of the cell."""
    processes = options.processes or len(os.sched_getaffinity(0))
    looks = Looks(plan, out, options.ledger or out / "test_ledger.csv", options.reason)
    try:
        with shown_progress(make_console(stderr=True), f"benchmark {name}") as progress:
            return run_plan(plan, out, processes, progress, looks.note)
    except KeyboardInterrupt:
        again = shlex.join(["adaptive-mbrl", "benchmark", "--suite", options.suite, "--out", str(out), *_as_before(options)])
        print(f"\ninterrupted; finished cells are kept, go on with: {again}", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        looks.note_all()


def _as_before(options: BenchmarkOptions) -> list[str]:
    flags = [] if options.runs == BenchmarkOptions.runs else ["--runs", str(options.runs)]
    given = {"--episodes": options.episodes, "--processes": options.processes, "--ledger": options.ledger}
    for flag, value in (given | {"--reason": options.reason or None}).items():
        flags += [] if value is None else [flag, str(value)]
    return flags + (["--skip-missing"] if options.skip_missing else [])


def write_reports(suite: Suite, plan: Plan, out: Path, failed: dict[str, str], reason: str = "") -> Report:
    """Write report.json, report.html and report.md from all results that are there."""
    report = summarize(suite, plan, out, failed, reason)
    write_report(out / "report.json", report)
    write_text_atomically(out / "report.html", html_report(report))
    write_text_atomically(out / "report.md", markdown_report(report))
    return report


def _tell(report: Report, out: Path) -> None:
    """A line for each arm, and where the reports are."""
    console = make_console()
    for protocol in report["protocols"]:
        console.print(protocol["name"], markup=False, soft_wrap=True)
        for line in protocol["leaderboard"]:
            score, returns = line["normalized"]["mean"], line["return_after_change"]
            normalised = "" if score["value"] is None else f", normalised {score['value']:.2f}"
            console.print(
                f"  {line['arm']}: return after the change {returns['value']:.1f}{normalised}", markup=False, soft_wrap=True
            )
    for name in ("report.html", "report.md", "report.json"):
        console.print(f"Written: {out / name}", markup=False, soft_wrap=True)
