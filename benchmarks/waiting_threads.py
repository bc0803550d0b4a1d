"""How many threads should plan, and how should they wait for work? On an idle machine and beside busy processes.

Usage: python -m benchmarks.waiting_threads [--seconds 3]

PyTorch divides its operations among OpenMP threads. How these wait for the next operation is settled when the library is loaded,
so that every case is measured in a process of its own:

    OMP_WAIT_POLICY=PASSIVE    they sleep; `prepare_process` sets this
    GOMP_SPINCOUNT=N           beside it, they spin about N times before they sleep
    nothing, or ACTIVE         they spin for some milliseconds, or all the time

Measured are control steps of the shipped half-cheetah controller, of one robot and of twelve at once. The busy processes never
pause.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import tyro

from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.evidence.load import busy_processes

CORES = len(os.sched_getaffinity(0))
POLICIES: tuple[tuple[str, dict[str, str]], ...] = (
    ("PASSIVE", {"OMP_WAIT_POLICY": "PASSIVE"}),
    ("PASSIVE, GOMP_SPINCOUNT=1000", {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}),
    ("PASSIVE, GOMP_SPINCOUNT=10000", {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}),
    ("PASSIVE, GOMP_SPINCOUNT=100000", {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "100000"}),
    ("not set", {}),
    ("ACTIVE", {"OMP_WAIT_POLICY": "ACTIVE"}),
)
ROBOTS = (1, 12)
MEASURE = "from benchmarks.waiting_threads import measure; import sys; measure(int(sys.argv[1]), float(sys.argv[2]))"


def main(seconds: float = 3.0, out: Path = Path("docs/results/waiting_threads.json")) -> None:
    """Measure all cases in turn.

    Args:
        seconds: time for each number of robots in each case [s].
        out: JSON file for the figures.
    """
    report: dict[str, Any] = {"machine": machine(), "seconds": seconds, "waiting_cases": []}
    for busy in dict.fromkeys((0, 1, CORES)):
        for name, settings in POLICIES:
            for threads in (1, CORES) if name == "PASSIVE" else (CORES,):
                inherited = {n: v for n, v in os.environ.items() if n not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
                command = [sys.executable, "-c", MEASURE, str(threads), str(seconds)]
                with busy_processes(busy):
                    told = subprocess.run(command, env=inherited | settings, capture_output=True, text=True, check=True).stdout
                row = {"busy": busy, "threads": threads, "policy": name, "milliseconds": json.loads(told)}
                report["waiting_cases"].append(row)
                print(row, flush=True)
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")


def measure(threads: int, seconds: float) -> None:
    """Print the median, the 90th and the 99th percentile of control steps [ms] for each number of robots."""
    import torch

    from adaptive_mbrl.bench.driven import observed
    from adaptive_mbrl.bench.timing import measure as measured
    from adaptive_mbrl.checkpoint import load_checkpoint
    from adaptive_mbrl.controller import AdaptiveController

    torch.set_num_threads(threads)
    checkpoint, found = load_checkpoint("half_cheetah"), {}
    for robots in ROBOTS:
        times = measured(observed(AdaptiveController.load("half_cheetah"), checkpoint, robots), seconds)
        found[robots] = [round(x, 1) for x in astuple(times.total)]
    print(json.dumps(found))


if __name__ == "__main__":
    tyro.cli(main)
