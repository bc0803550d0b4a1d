"""Does a training that is killed, or spread over processes, end where an undisturbed one ends?

Usage: python benchmarks/interrupted.py STORE --config CONFIG --runs FOLDER --out FILE [--kills 100]

Trains on a store of episodes: with several seeds undisturbed, which says how far trainings differ anyway; with the first seed in
two processes; and with the first seed in one process that is killed (SIGKILL) at random moments, five times and then many times,
in as many trainings as that takes, and started again each time. After each kill, what the training had saved must still be there,
and never less than before. FILE keeps what is measured already; without it, the folder of runs is begun anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from safetensors.torch import load_file

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.unfinished_fit import FIT_FILE

LOSS = "validation/adapted_loss"
FEW = 5
SAVE_EVERY = 0.3
"""Time between two saves [s]."""
SECONDS = (0.0, 1.5)
"""A process is killed so long after it has saved for the first time, or has been busy for `START_UP` [s]."""
START_UP = 60.0


def main(store: tyro.conf.Positional[Path], config: Path, runs: Path, out: Path, kills: int = 100, seeds: int = 3) -> None:
    """Run all trainings and write the report.

    Args:
        store: the episodes.
        config: configuration of the training.
        runs: where the runs go.
        out: the JSON file.
        kills: how often the last training is killed.
        seeds: number of undisturbed trainings.
    """
    report: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"seeds": []}
    if not report["seeds"]:
        shutil.rmtree(runs, ignore_errors=True)
        runs.mkdir(parents=True)
    for seed in range(len(report["seeds"]), seeds):
        undisturbed(command(store, config, runs / f"seed_{seed}", seed))
        report["seeds"].append(losses(runs / f"seed_{seed}"))
        write(out, report)
    if "two_processes" not in report:
        undisturbed(command(store, config, runs / "two_processes", 0, processes=2))
        report["two_processes"] = losses(runs / "two_processes")
        write(out, report)
    for name, number in (("killed", FEW), ("killed_often", kills)):
        trainings = report.setdefault(name, [])
        while sum(training["kills"] for training in trainings) < number:
            run = runs / f"{name}_{len(trainings)}"
            left = number - sum(training["kills"] for training in trainings)
            outcome = killed(command(store, config, run, 0), run, left, seed=len(trainings))
            trainings.append(outcome | losses(run) | {"same_weights": same_weights(run, runs / "seed_0")})
            write(out, report)
    print(json.dumps(report, indent=1))


def write(out: Path, report: dict[str, Any]) -> None:
    """Keep what is known so far, with where it was measured; parts may be of several revisions."""
    revisions = [text for text in report.get("git_revision", "").split(", ") if text]
    report |= {"machine": cpu_model(), "git_revision": ", ".join(dict.fromkeys([*revisions, git_revision() or "unknown"]))}
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")


def command(store: Path, config: Path, run: Path, seed: int, processes: int = 1) -> list[str]:
    """The words that start a training."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launched = [*launcher, "-m", "--"] if processes > 1 else ["-m"]
    train = ["adaptive_mbrl", "train", "--data", str(store), "--config", str(config), "--no-compare", "--run", str(run)]
    # saved often, so that many kills meet a save
    return [sys.executable, *launched, *train, "--device", "cpu", "--save-every", str(SAVE_EVERY), "--set", f"seed={seed}"]


def undisturbed(words: list[str]) -> None:
    """Run to the end."""
    subprocess.run(words, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)


def killed(words: list[str], run: Path, number: int, seed: int) -> dict[str, Any]:
    """Kill a training `number` times, or until it has ended, and then let it end."""
    rng = np.random.default_rng(seed)
    saved, lost, counted = 0, 0, 0
    while counted < number and not (run / "checkpoint").is_dir():
        process = subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        while updates_saved(run) <= saved and process.poll() is None and time.monotonic() - begun < START_UP:
            time.sleep(0.02)
        time.sleep(rng.uniform(*SECONDS))
        if process.poll() is not None:
            break
        told = updates_saved(run)
        process.kill()
        process.wait()
        found = updates_saved(run)
        lost += found < max(told, saved)
        saved, counted = found, counted + 1
        print(f"killed {counted} times; {saved} updates saved", file=sys.stderr)
    undisturbed(words)
    return {"kills": counted, "lost_what_was_saved": lost}


def updates_saved(run: Path) -> int:
    """Outer steps that a run has kept, in its rounds and in a fit that is going on."""
    done = sorted((run / "rounds").glob("[0-9]*"))
    in_rounds = load_yaml(done[-1] / RECORD_FILE, RoundRecord).updates if done else 0
    try:
        fit = load_file(run / FIT_FILE)
    except (FileNotFoundError, OSError):
        # between two rounds there is none
        return in_rounds
    return max(in_rounds, int(fit["trainer.updates"]))


def losses(run: Path) -> dict[str, Any]:
    """What a finished run says of the held-out episodes."""
    (*_, last) = sorted((run / "rounds").glob("[0-9]*"))
    record = load_yaml(last / RECORD_FILE, RoundRecord)
    return {"validation_loss": record.scalars[LOSS], "updates": record.updates, "seconds": round(record.seconds, 1)}


def same_weights(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights, to the bit."""
    first, second = (load_file(run / "checkpoint/weights.safetensors") for run in (one, other))
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


if __name__ == "__main__":
    tyro.cli(main)
