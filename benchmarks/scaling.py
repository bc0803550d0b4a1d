"""Where does the time of an outer step go, for 1, 2 and 4 processes and stores of many sizes, and what follows for larger ones?

Usage: python benchmarks/scaling.py FOLDER --out FILE [--largest 50000000]

Writes stores of random numbers into FOLDER, as benchmarks/large_store.py does, and trains the half-cheetah's model on them for a
moment under torchrun. A step is compute, sampling and all-reduce, each of which is measured. A model of the three is fitted to
some of the measurements and held against the others. Needs a machine that does nothing else, and about 6 GB of disk.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from large_store import CONFIG, write_store
from scipy.optimize import nnls
from torch import Tensor

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.windows import ALL, Windows
from adaptive_mbrl.distributed import GroupProcess, process_of_launcher
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.process import Process
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.runtime import use_threads
from adaptive_mbrl.storage import write_text_atomically
from sim.training.config import load_train_config

SIZES = (100_000, 1_000_000, 10_000_000)
"""Transitions of the stores, besides the largest one."""
WARM_UP, STEPS = 5, 40
PARTS = ("compute", "sampling", "all_reduce")


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        processes: R.
        windows: of each process in an outer step.
        transitions: in the store.
        width: of the model's three layers.
        fitted: whether the model of the time is fitted to it; the others only test it.
    """

    processes: int
    windows: int
    transitions: int
    width: int = 256
    fitted: bool = True


def main(folder: tyro.conf.Positional[Path], out: Path, largest: int = 50_000_000) -> None:
    """Measure all cases and write the report.

    Args:
        folder: where the stores are, or will be.
        out: the JSON file.
        largest: transitions of the largest store.
    """
    for size in (*SIZES, largest):
        write_store(folder / str(size), size)
    cases = [
        *(Case(1, 64, size) for size in (*SIZES, largest)),
        Case(1, 128, SIZES[0]),
        Case(1, 64, SIZES[0], width=128),
        Case(2, 64, SIZES[0]),
        Case(2, 64, SIZES[0], width=128),
        Case(4, 64, SIZES[0]),
        # not used for the fit: another store, another share, another width, at another number of processes
        Case(2, 128, SIZES[1], fitted=False),
        Case(2, 64, largest, fitted=False),
        Case(4, 32, SIZES[1], fitted=False),
        Case(2, 64, SIZES[0], width=384, fitted=False),
    ]
    report = {
        "machine": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "git_revision": git_revision(),
        "steps": STEPS,
        "cases": [dataclasses.asdict(case) | measured(folder, case) for case in cases],
    }
    write_text_atomically(out, json.dumps(report | prediction(report), indent=1) + "\n")
    print(out.read_text())


def measured(folder: Path, case: Case) -> dict[str, float]:
    """Start the processes of a case and read what the main one prints."""
    about = json.dumps(dataclasses.asdict(case))
    script = [str(Path(__file__)), str(folder), "--out", "-", "--case", about]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(case.processes), "--"]
    done = subprocess.run(
        [sys.executable, *launcher, *script],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(case, found, file=sys.stderr)
    return found


@dataclass(frozen=True)
class TimedProcess(GroupProcess):
    """Counts the time that messages take, and waiting for the others."""

    seconds: list[float] = field(default_factory=list)

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        begun = time.perf_counter()
        super().reduce(tensors)
        self.seconds.append(time.perf_counter() - begun)


class TimedDataset:
    """Counts the time that windows take."""

    def __init__(self, dataset: EpisodeDataset) -> None:
        self._dataset = dataset
        self.seconds: list[float] = []

    def __len__(self) -> int:
        # an epoch is never over, so that gradients are not compared
        return 2**62

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def sample(self, num: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        begun = time.perf_counter()
        windows = self._dataset.sample(num, generator, part)
        self.seconds.append(time.perf_counter() - begun)
        return windows


def work(folder: Path, case: Case) -> None:
    """What each process of a case does."""
    use_threads(1)
    config = load_train_config(CONFIG)
    store = EpisodeStore.open(folder / str(case.transitions))
    with process_of_launcher() as found:
        process: Process = TimedProcess(found.rank, found.world_size) if found.world_size > 1 else found
        dataset = TimedDataset(EpisodeDataset(store.spec, store.episodes, [], config.window, config.outer.query))
        model = dataclasses.replace(config.model, hidden=(case.width,) * 3)
        outer = dataclasses.replace(config.outer, meta_batch_size=case.windows * case.processes)
        adapter = make_adapter(DynamicsModel(store.spec, model), config.adaptation, config.window)
        trainer = MetaTrainer(adapter, outer, process=process)
        trainer.fit(dataset, WARM_UP, fit_normalizer=False)
        for spent in (dataset.seconds, getattr(process, "seconds", [])):
            spent.clear()
        begun = time.perf_counter()
        trainer.fit(dataset, STEPS, fit_normalizer=False)
        step = (time.perf_counter() - begun) / STEPS
        sampling, messages = (sum(spent) / STEPS for spent in (dataset.seconds, getattr(process, "seconds", [])))
        parameters = sum(p.numel() for p in adapter.parameters())
    if process.is_main:
        parts = {"step": step, "sampling": sampling, "all_reduce": messages, "compute": step - sampling - messages}
        print(json.dumps({f"{name}_ms": round(1e3 * value, 3) for name, value in parts.items()} | {"parameters": parameters}))


def prediction(report: dict[str, Any]) -> dict[str, Any]:
    """A model of each part of a step, fitted to some of the cases, and how far it is from the others.

        compute    = max(1, R / cores) (k + w (c + d P))
        sampling   = max(1, R / cores) s w
        all-reduce = [R > 1] (a + b R P)

    w are the windows of a process, P the parameters. Waiting for slower processes is in the all-reduce.
    """

    def rows(case: dict[str, Any]) -> dict[str, list[float]]:
        crowd, w, size = max(1.0, case["processes"] / report["cores"]), case["windows"], case["parameters"]
        several = float(case["processes"] > 1)
        return {
            "compute": [crowd, crowd * w, crowd * w * size],
            "sampling": [crowd * w],
            "all_reduce": [several, several * case["processes"] * size],
        }

    fitted = [case for case in report["cases"] if case["fitted"]]
    coefficients = {part: _fitted([(rows(case)[part], case[f"{part}_ms"]) for case in fitted]) for part in PARTS}
    tested = [
        {k: case[k] for k in ("processes", "windows", "transitions", "width", "step_ms")}
        | {"predicted_ms": round(sum(float(np.dot(rows(case)[part], coefficients[part])) for part in PARTS), 3)}
        for case in report["cases"]
        if not case["fitted"]
    ]
    one, two = (next(c["step_ms"] for c in report["cases"] if c["processes"] == r and c["width"] == 256) for r in (1, 2))
    return {"coefficients": coefficients, "tested": tested, "weak_scaling_of_two": round(one / two, 3)}


def _fitted(pairs: list[tuple[list[float], float]]) -> list[float]:
    """Coefficients that are not negative, by least relative squares; pairs without time tell nothing."""
    told = [(row, time) for row, time in pairs if time > 0]
    rows, times = np.array([row for row, _ in told]), np.array([time for _, time in told])
    scale = np.abs(rows).max(0)
    return [float(c) for c in nnls(rows / scale / times[:, None], np.ones(len(times)))[0] / scale]


def entry(folder: tyro.conf.Positional[Path], out: str, largest: int = 50_000_000, case: str = "") -> None:
    """See the module's docstring; `case` is for the processes that this script starts."""
    if case:
        work(folder, Case(**json.loads(case)))
    else:
        main(folder, Path(out), largest)


if __name__ == "__main__":
    tyro.cli(entry)
