"""What is won by collecting while fitting, and what does it cost? Trainings that alternate and trainings with a collector.

Usage: python benchmarks/overlap.py [--seeds 0 1] [--runs runs/overlap] [--out docs/results/overlap.json]

Each training is a process of its own, one after the other: alternating with one thread and with two, and with one collector,
where learner and collector have one thread each. All have the same configuration, seeds, env steps and updates. The trained
controllers then run the same episodes, of the train part under seeds that no training draws, and predict the held-out episodes of
all trainings. Times are worth something on a machine that does nothing else: the report has its load when the script began.
Trainings in --runs that are complete are not repeated.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.rounds import RoundRecord
from sim.episodes.policies import ControllerPolicy, load_controller
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_training_part

CONFIG = "cartpole_on_policy"
SETTINGS = (
    "data.steps=100",
    "data.random_episodes=12",
    "data.iterations=4",
    "data.episodes_per_iteration=6",
    "planner.icem.num_samples=32",
    "updates_initial=300",
    "updates_per_iteration=200",
    "updates_final=600",
)
WAYS = {
    "alternating, 1 thread": ("--threads", "1"),
    "alternating, 2 threads": ("--threads", "2"),
    "1 collector, 1 thread each": ("--threads", "1", "--collectors", "1"),
}
FIRST_EPISODE, EPISODES, WINDOWS = 5000, 12, 512


def main(
    seeds: tuple[int, ...] = (0, 1), runs: Path = Path("runs/overlap"), out: Path = Path("docs/results/overlap.json")
) -> None:
    """Train, evaluate and write the report.

    Args:
        seeds: seeds of the trainings.
        runs: folder of their runs.
        out: the JSON file.
    """
    load = os.getloadavg()[0]
    folders = {(way, seed): runs / f"{way.replace(', ', '_').replace(' ', '_')}_{seed}" for seed in seeds for way in WAYS}
    for (way, seed), folder in folders.items():
        train(folder, seed, WAYS[way])
    config = load_yaml(next(iter(folders.values())) / "config.yaml", TrainConfig)
    stores = [EpisodeStore.open(f / "episodes") for f in folders.values()]
    held_out = [e for store in stores for e in store.episodes if e.tags["validation"]]
    dataset = EpisodeDataset(stores[0].spec, held_out, held_out, config.window, config.outer.query, torch.device("cpu"))
    unit = load_checkpoint(next(iter(folders.values())) / "checkpoint").adapter.normalizer.target_std
    found: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        of_way = [folders[way, seed] for seed in seeds]
        records = [load_yaml(sorted(f.glob("rounds/[0-9]*/round.yaml"))[-1], RoundRecord) for f in of_way]
        found[way] = {
            "seconds": [json.loads((f / "wall.json").read_text())["seconds"] for f in of_way],
            "env_steps": records[0].env_steps,
            "updates": records[0].updates,
            "staleness": staleness_of(of_way),
            "returns": [returns_of(f / "checkpoint", config) for f in of_way],
            "error": [error_of(f / "checkpoint", dataset, unit) for f in of_way],
        }
        found[way]["return"] = mean_and_interval(np.concatenate(found[way]["returns"]))
        print(f"{way}: {found[way]}", flush=True)
    report = {
        "overlap": found,
        "config": CONFIG,
        "settings": SETTINGS,
        "scenario": config.scenarios,
        "seeds": seeds,
        "episodes": EPISODES,
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "load": round(load, 1)},
        "git_revision": git_revision(),
        "command": shlex.join(["python", "benchmarks/overlap.py", *sys.argv[1:]]),
    }
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")


def train(folder: Path, seed: int, flags: tuple[str, ...]) -> None:
    """Run a training and write down its wall-clock time, unless it is complete."""
    if (folder / "wall.json").is_file():
        return
    settings = [*SETTINGS, f"seed={seed}"]
    command = [sys.executable, "-m", "adaptive_mbrl", "train", "--config", CONFIG, "--run", str(folder), *flags]
    begun = time.perf_counter()
    subprocess.run([*command, "--device", "cpu", "--set", *settings], check=True)
    write_text_atomically(folder / "wall.json", json.dumps({"seconds": round(time.perf_counter() - begun, 1)}))


def staleness_of(folders: list[Path]) -> float | None:
    """Mean number of updates that the learner was ahead of the checkpoints that collected; None where it collected itself."""
    records = [load_yaml(path, RoundRecord) for f in folders for path in f.glob("rounds/[0-9]*/round.yaml")]
    values = [r.scalars["collect/staleness"] for r in records if "collect/staleness" in r.scalars]
    return float(np.mean(values)) if values else None


def returns_of(checkpoint: Path, config: TrainConfig) -> list[float]:
    """Returns of a trained controller on `EPISODES` episodes that no training saw."""
    assert config.scenarios is not None
    distribution = load_training_part(config.scenarios)
    robot = load_robot(distribution.robot)
    rng = np.random.default_rng(FIRST_EPISODE)
    scenarios = [distribution.sample(rng, config.data.steps) for _ in range(EPISODES)]
    policy = ControllerPolicy(load_controller(checkpoint, robot, seed=FIRST_EPISODE))
    recorded = run_scenarios(robot, scenarios, policy, source="policy")
    return [round(float(e.reward.sum()), 2) for e in recorded.episodes]


@torch.no_grad()
def error_of(checkpoint: Path, dataset: EpisodeDataset, unit: Tensor) -> float:
    """RMS error of the adapted model at the last step of the query of held-out windows, in `unit`, one number per channel."""
    adapter = load_checkpoint(checkpoint).adapter.eval()
    windows = dataset.held_out(WINDOWS)
    assert windows is not None
    errors = (
        query_errors(adapter.condition(adapter.infer(windows.recent)), windows).mean(0) * adapter.normalizer.target_std / unit
    )
    return round(float(errors[:, -1].square().mean(-1).sqrt().mean()), 4)


if __name__ == "__main__":
    tyro.cli(main)
