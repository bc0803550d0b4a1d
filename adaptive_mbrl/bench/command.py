"""The command `bench`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import rich.table
import torch

from adaptive_mbrl.bench.cases import Case, adapting_cases, planning_cases
from adaptive_mbrl.bench.driven import Driven, driven_by, observed, planning_operations
from adaptive_mbrl.bench.memory import largest_memory
from adaptive_mbrl.bench.peak import matrix_peak
from adaptive_mbrl.bench.pictures import draw_sweeps
from adaptive_mbrl.bench.pytorch_mppi import PytorchMppi
from adaptive_mbrl.bench.tables import compiled_words, name_of, tables
from adaptive_mbrl.bench.timing import Spread, measure
from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint
from adaptive_mbrl.console import make_console
from adaptive_mbrl.control.calibration import Calibration
from adaptive_mbrl.control.step import PRECISIONS
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.intervals import bootstrap_interval
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.options.bench import BenchOptions
from adaptive_mbrl.planning.sampling import SamplingPlanner
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.timing import in_turn, timed

BUSY = 0.3
"""A load per core above which the machine is said to be busy."""
PEER_SECONDS = 10
"""The comparison with a library lasts so many times as long as a case."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def bench(options: BenchOptions) -> None:
    """Measure, print the tables, and write bench.json and bench.png.

    Raises:
        ConfigError: there is no such device, a package is missing, or the checkpoint has no reward.
        CheckpointError: there is no such checkpoint.
    """
    device = resolve_device(options.device)
    checkpoint = load_checkpoint(options.checkpoint, device)
    # a library that is missing is found out before anything is measured
    peers = [PytorchMppi(Case(), checkpoint) for _ in options.against]
    report: dict[str, Any] = {"machine": _machine(device), "seconds": options.seconds}
    report["peak_flops"] = {name: matrix_peak(dtype, device) for name, dtype in _DTYPES.items()}
    controller = AdaptiveController.load(options.checkpoint, device=device).with_compile(options.compile)
    report["calibration"] = controller.calibrate()._asdict()
    own = observed(controller, checkpoint, 1)
    report["cases"] = [_measured(options.checkpoint, own, options.seconds, report["peak_flops"])]
    for case in planning_cases(options.sweeps, options.compile):
        _tell(name_of(asdict(case)))
        driven = driven_by(case, checkpoint, device)
        cell = _measured(name_of(asdict(case)), driven, options.seconds, report["peak_flops"])
        report["cases"].append({"case": asdict(case)} | cell)
    report["adapting"] = []
    for case in adapting_cases(options.compile):
        _tell(case.rule)
        times = measure(driven_by(case, checkpoint, device), options.seconds)
        report["adapting"].append({"case": asdict(case)} | times.as_mapping())
    report["peers"] = [entry for peer in peers for entry in _against(peer, checkpoint, options)]
    _show(report, options)


def _show(report: dict[str, Any], options: BenchOptions) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(options.out / "bench.json", json.dumps(report, indent=1) + "\n")
    if options.sweeps:
        draw_sweeps([cell for cell in report["cases"] if "case" in cell], options.sweeps, options.out / "bench.png")
    console = make_console(160)
    for title, columns, rows in tables(report):
        shown = rich.table.Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            shown.add_column(column, justify="right" if number else "left")
        for row in rows:
            shown.add_row(*row)
        console.print(shown)
    about = report["machine"]
    peaks = ", ".join(f"{name} {value / 1e9:.0f} GFLOP/s" for name, value in report["peak_flops"].items())
    print(f"{about['processor']}, {about['threads']} thread(s); measured peak of matrix products: {peaks}")
    print(f"{options.checkpoint}, precision auto: {Calibration(**report['calibration'])}")
    if about["load_per_core"] > BUSY:
        print(f"note: the machine was busy before this began (load {about['load_per_core']:.1f} per core); times are too long")
    print(f"wrote {options.out / 'bench.json'}" + (f" and {options.out / 'bench.png'}" if options.sweeps else ""))


def _measured(name: str, driven: Driven, seconds: float, peak: dict[str, float]) -> dict[str, Any]:
    """The figures of one controller."""
    times = measure(driven, seconds)
    controller, batch = driven.controller, driven.observations.shape[1]
    planner, precision = controller.settings.planner, controller.settings.precision
    rate = planning_operations(controller, batch) / (1e-3 * times.plan.median)
    iterations = planner.num_iterations if isinstance(planner, SamplingPlanner) else 1
    predicted = batch * planner.num_samples * planner.horizon * iterations
    return {
        "name": name,
        **times.as_mapping(),
        "samples_per_second": predicted / (1e-3 * times.plan.median),
        "flops": rate,
        "share_of_peak": rate / peak[precision],
        "memory_bytes": _memory(driven),
    }


def _memory(driven: Driven) -> int | None:
    """None where it is not seen what kernels of a compiler take."""
    if driven.controller.compile != "off":
        return None
    if driven.controller.device.type != "cuda":
        return largest_memory(lambda: driven.step(0))
    torch.cuda.reset_peak_memory_stats(driven.controller.device)
    before = torch.cuda.memory_allocated(driven.controller.device)
    driven.step(0)
    return torch.cuda.max_memory_allocated(driven.controller.device) - before


def _against(peer: PytorchMppi, checkpoint: Checkpoint, options: BenchOptions) -> list[dict[str, Any]]:
    """Our plans of the base case in each precision, and those of a library, in turn."""
    base = Case(compile=options.compile)
    ours = {precision: driven_by(replace(base, precision=precision), checkpoint, "cpu") for precision in PRECISIONS}
    obs = torch.from_numpy(ours["float32"].observations[0, 0])
    contestants = {precision: _planning(driven) for precision, driven in ours.items()} | {"": timed(lambda: peer.plan(obs))}
    times = in_turn(contestants, PEER_SECONDS * options.seconds)
    return [
        {
            "name": "N = 256, H = 20, 3 x 256" + compiled_words(asdict(base)),
            "precision": precision,
            "library": f"pytorch-mppi {importlib.metadata.version('pytorch-mppi')}",
            "ours_ms": asdict(Spread.of(times[precision])),
            "library_ms": asdict(Spread.of(times[""])),
            "ratio": _ratio(times[""], times[precision]),
        }
        for precision in PRECISIONS
    ]


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """How many times longer theirs take, as the ratio of medians, with its interval over rounds."""
    pairs = np.column_stack([theirs, ours])
    interval = bootstrap_interval(lambda r: np.median(r[..., 0], 1) / np.median(r[..., 1], 1), pairs)
    low, high = (float("nan"), float("nan")) if interval is None else interval
    return float(np.median(theirs) / np.median(ours)), low, high


def _planning(driven: Driven) -> Callable[[], float]:
    """A control step without adapting; drawing the noise is part of it, as it is of the library's."""

    def run() -> float:
        begun = time.perf_counter()
        command = driven.step(0)
        return time.perf_counter() - begun - command.info.adapt_seconds

    return run


def _machine(device: torch.device) -> dict[str, Any]:
    return {
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", ""),
        "load_per_core": os.getloadavg()[0] / (os.cpu_count() or 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "git_revision": git_revision(),
    }


def _tell(what: str) -> None:
    print(f"measuring: {what}", flush=True)
