"""The tables of docs/performance.md, from reports of `adaptive-mbrl bench`."""

from __future__ import annotations

from typing import Any

from adaptive_mbrl.bench.tables import tables
from adaptive_mbrl.control.calibration import Calibration
from sim.benchmark.markdown import table


def bench_tables(report: dict[str, Any]) -> str:
    """The machine, and all tables of a report."""
    about, peaks = report["machine"], report["peak_flops"]
    rates = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in peaks.items())
    lines = [
        f"{about['processor']}, {about['cores']} cores, {about['threads']} thread(s), load before the measurement "
        f"{about['load_per_core']:.1f} per core, torch {about['torch']}, revision {about['git_revision']}. "
        f"Measured peak of matrix products [GFLOP/s]: {rates}."
    ]
    if "calibration" in report:
        lines += ["", f'The shipped checkpoint with `with_precision("auto")`: {Calibration(**report["calibration"])}.']
    for title, columns, rows in tables(report):
        lines += ["", f"{title[0].upper()}{title[1:]}:", "", *table(columns, rows)]
    return "\n".join(lines)
