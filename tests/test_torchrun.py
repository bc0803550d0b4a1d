"""Trainings under PyTorch's own launcher: real processes, real messages between them."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from adaptive_mbrl import distributed
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.process import Process
from tests.core.analytic import POINT, point_episodes

ROOT = Path(__file__).resolve().parents[1]
# a training of a moment; with `cvar` a meta-batch has to be balanced between the processes
SETTINGS = (
    "model={hidden: [16], members: 2, context_dim: 2}",
    "window=4",
    "outer={query: 3, meta_batch_size: 18, balancing: {cvar: {windows_per_task: 2}}, validation_windows: 16}",
    "updates_final=0",
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = EpisodeStore.open(tmp_path / "logs", POINT)
    store.append(
        [dataclasses.replace(e, tags={"source": "log", "validation": i < 2}) for i, e in enumerate(point_episodes(8, 0))]
    )
    return tmp_path


def command(processes: int, *flags: str, updates: int = 12, restarts: int = 0) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launched = [*launcher, "--max-restarts", str(restarts), "-m", "--"] if processes > 1 else ["-m"]
    train = ["adaptive_mbrl", "train", "--data", "logs", "--no-compare", "--no-report", "--device", "cpu", *flags]
    return [sys.executable, *launched, *train, "--set", f"updates_initial={updates}", *SETTINGS]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(arguments, cwd=folder, env=environment(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_train_what_one_trains(store: Path):
    out = run(store, *command(2, "--run", "two"))
    run(store, *command(1, "--run", "one"))

    # only the main process talks
    assert out.count("Checkpoint: two/checkpoint") == 1
    one, two = (load_file(store / name / "checkpoint/weights.safetensors") for name in ("one", "two"))
    torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-5)
    assert not all(torch.equal(tensor, one[name]) for name, tensor in two.items())


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_is_started_again_and_nothing_is_different(store: Path, rank: int):
    run(store, *command(2, "--run", "whole", updates=600))

    launcher = subprocess.Popen(
        command(2, "--run", "killed", "--save-every", "0", updates=600, restarts=2), cwd=store, env=environment()
    )
    try:
        wait_until(lambda: (store / "killed/fit.safetensors").is_file() and updates_in(store / "killed") > 20)
        os.kill(child_of(launcher.pid, rank), signal.SIGKILL)
        assert launcher.wait(timeout=240) == 0
    finally:
        launcher.kill()

    whole, killed = (load_file(store / name / "checkpoint/weights.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(tensor, killed[name]) for name, tensor in whole.items())


def updates_in(run: Path) -> int:
    return len(load_file(run / "fit.safetensors")["losses"])


def child_of(launcher: int, rank: int) -> int:
    """The process of a rank, by the environment that the launcher gave it."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    (found,) = [c for c in children if f"\0RANK={rank}\0" in Path(f"/proc/{c}/environ").read_text()]
    return int(found)


def wait_until(condition: object, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.process_of_launcher() as process:
        assert process == Process()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "two", "WORLD_SIZE": "2"}, "environment variable RANK: expected a number, got 'two'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "environment variable RANK: 2 is not below WORLD_SIZE, 2"),
    ],
)
def test_a_broken_environment_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message), distributed.process_of_launcher():
        pass
