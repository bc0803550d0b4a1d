"""How fast are windows drawn from a store that is larger than memory, and how much memory does it take?

Usage: python benchmarks/large_store.py FOLDER [--transitions 50000000] --out FILE

Writes a store of random numbers with the channels of the half-cheetah into FOLDER, unless it is there already (100 bytes for each
transition), then opens it in a process of its own and draws meta-batches of the shipped training. Compares with the meta-batches
that the training itself uses in a second, on the same machine, one thread each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.runtime import use_threads
from adaptive_mbrl.storage import write_text_atomically
from sim.robot.robot import load_robot
from sim.training.config import load_train_config

CONFIG = "half_cheetah"
STEPS = 1000
EPISODES_PER_FILE = 1000
SECONDS = 20.0
"""How long windows are drawn."""
UPDATES = 30


def main(folder: tyro.conf.Positional[Path], out: Path, transitions: int = 50_000_000) -> None:
    """Measure and write the report.

    Args:
        folder: where the store is, or will be.
        out: the JSON file.
        transitions: number of control steps in the store.
    """
    write_store(folder, transitions)
    with get_context("spawn").Pool(1) as pool:
        report = pool.apply(measured, (folder,))
    report |= {"machine": cpu_model(), "git_revision": git_revision()}
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def write_store(folder: Path, transitions: int) -> None:
    """Write random episodes until there are as many transitions as asked for."""
    spec = load_robot("half_cheetah").spec
    store = EpisodeStore.open(folder, spec)
    rng = np.random.default_rng(0)
    while store.num_steps < transitions:
        num = min(EPISODES_PER_FILE, -(-(transitions - store.num_steps) // STEPS))
        obs = rng.standard_normal((num, STEPS + 1, spec.obs_dim), np.float32)
        action = rng.uniform(-1, 1, (num, STEPS, spec.action_dim)).astype(np.float32)
        reward = np.zeros(STEPS, np.float32)
        first = len(store.episodes)
        tags = [{"source": "log", "situation": (first + i) // 10} for i in range(num)]
        store.append([Episode(o, a, reward, t) for o, a, t in zip(obs, action, tags, strict=True)])
        print(f"{store.num_steps} transitions written", file=sys.stderr)
        # what was appended is in memory, and what is opened again is not
        store = EpisodeStore.open(folder, spec)


def measured(folder: Path) -> dict[str, Any]:
    """Open the store, draw from it, and train on it for a moment; runs in a process of its own."""
    use_threads(1)
    config = load_train_config(CONFIG)
    before = memory()
    begun = time.perf_counter()
    store = EpisodeStore.open(folder)
    dataset = EpisodeDataset(store.spec, store.episodes, [], config.window, config.outer.query)
    start_up = time.perf_counter() - begun
    statistics = elapsed(dataset.statistics)
    generator = torch.Generator().manual_seed(0)
    size = config.outer.meta_batch_size
    drawn = rate(lambda: dataset.sample(size, generator), SECONDS)
    after = memory()
    trainer = MetaTrainer(make_adapter(DynamicsModel(store.spec, config.model), config.adaptation, config.window), config.outer)
    windows = dataset.sample(size, generator)
    trainer.step(windows)
    used = UPDATES / elapsed(lambda: [trainer.step(windows) for _ in range(UPDATES)])
    return {
        "transitions": store.num_steps,
        "episodes": len(store.episodes),
        "gigabytes": round(sum(e.obs.nbytes + e.action.nbytes + e.reward.nbytes for e in store.episodes) / 1e9, 2),
        "start_up_seconds": round(start_up, 2),
        "statistics_seconds": round(statistics, 1),
        "meta_batches_per_second": round(drawn, 1),
        "updates_per_second": round(used, 2),
        "ratio": round(drawn / used, 1),
        "memory_mib": round(after["RssAnon"] - before["RssAnon"]),
        "mapped_mib": round(after["RssFile"] - before["RssFile"]),
    }


def rate(call: Callable[[], object], seconds: float) -> float:
    """How often a call can be made in a second, over some time."""
    begun, calls = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        call()
        calls += 1
    return calls / (time.perf_counter() - begun)


def elapsed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def memory() -> dict[str, float]:
    """Memory of this process [MiB]: `RssAnon` is its own, `RssFile` are pages of files, which the system takes back at need."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {
        name: float(value.split()[0]) / 1024 for name, _, value in (x.partition(":") for x in lines) if name.startswith("Rss")
    }


if __name__ == "__main__":
    tyro.cli(main)
