"""One number of threads for torch and the simulator: the flag, else the environment variable, else the usable cores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.runtime import num_threads, use_threads
from sim.robot.robot import load_robot
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor
from sim.simulation.physics import Physics

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    # whatever a test puts there, monkeypatch puts back what was there before it
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("variable", "wanted"), [("3", 3), ("4,2", 4), (" 2 ", 2), ("many", None), ("0", None), ("", None)])
def test_the_environment_variable_counts_if_it_is_a_number(variable: str, wanted: int | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(7)))
    monkeypatch.setenv("OMP_NUM_THREADS", variable)

    assert num_threads() == (wanted or 7)


def test_without_it_all_usable_cores_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {4, 5, 6})
    monkeypatch.delenv("OMP_NUM_THREADS")

    assert num_threads() == 3


def test_the_flag_counts_more_and_holds_for_torch_and_for_processes_that_are_started():
    use_threads(2)

    assert num_threads() == torch.get_num_threads() == 2
    assert os.environ["OMP_NUM_THREADS"] == "2"
    use_threads(None)
    assert num_threads() == 2


@pytest.mark.parametrize(
    "command", ["demo", "train --config c", "evaluate --checkpoint c --scenario s", "collect --robot cartpole"]
)
def test_commands_have_the_flag(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(cli, "command_of", lambda given: lambda options: print(options.threads, num_threads()))

    assert cli.main([*command.split(), "--threads", "5"]) == 0
    assert cli.main([*command.split(), "--threads", "0"]) == 2

    assert capsys.readouterr() == ("5 5\n", "error: --threads: 0 is out of range; allowed: 1 to 1024\n")


def test_torch_starts_with_as_many_threads_as_the_flag_says():
    program = (
        "from adaptive_mbrl import cli\n"
        "def command_of(given):\n    import torch\n    return lambda options: print(torch.get_num_threads())\n"
        "cli.command_of = command_of\n"
        "cli.main(['collect', '--robot', 'cartpole', '--threads', '3'])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)

    assert result.stdout == "3\n"


@pytest.mark.parametrize(("variable", "wanted"), [("1", 1), ("3", 3), ("50", 6)])
def test_the_simulator_takes_no_more_threads_than_it_may_or_has_robots_for(
    variable: str, wanted: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", variable)

    assert Physics(load_robot("cartpole"), 6).num_threads == wanted
    assert Physics(load_robot("cartpole"), 6, num_threads=2).num_threads == 2


def simulated(threads: int) -> list[np.ndarray]:
    """What seven robots and the oracle's candidates do."""
    robot = load_robot("half_cheetah")
    simulation = BatchSimulation(robot, 7, num_threads=threads)
    oracle = OraclePredictor(simulation, 5, num_threads=threads)
    rng = np.random.default_rng(0)
    seen = [simulation.step(rng.uniform(-1, 1, (7, 6))) for _ in range(10)]
    oracle.sync()
    plans = torch.as_tensor(rng.uniform(-1, 1, (7, 5, 4, 6)), dtype=torch.float32)
    return [*seen, oracle.roll_out(torch.as_tensor(simulation.obs), plans).next_obs.numpy()]


def test_what_is_simulated_does_not_depend_on_the_number_of_threads():
    for one, several in zip(simulated(1), simulated(3), strict=True):
        np.testing.assert_array_equal(one, several)
