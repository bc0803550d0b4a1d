"""Signals to the command `bridge` over real sockets: SIGINT, SIGTERM, a second SIGINT, and those that nobody can answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.simulated.robot import SimulatedRobot
from robot_bridge.simulated.steady_clock import SteadyClock
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario
from sim.simulation.substeps import SubstepSimulation
from tests.bridge.faults import BRIDGE, DT, MAX_AGE, PATIENCE, ROOT, Actuators, LineProcess, Times, reaction

# real time over real sockets: a starved machine, as many tests at once make it, is a fault of its own
pytestmark = pytest.mark.slow

DOMAIN = 61 + os.getpid() % 50
SLOW = 0.5
"""Fastest change of a command [unit/s] where coming to rest shall take several control periods."""


@pytest.fixture
def transport() -> Iterator[DdsTransport]:
    opened = DdsTransport(DOMAIN)
    yield opened
    opened.close()


@pytest.fixture
def standing() -> Iterator[None]:
    robot = LineProcess("faulty_robot", str(DOMAIN))
    yield
    robot.close()


@pytest.fixture
def bridge_file(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Callable[[float], Path]:
    checkpoint, path = make_checkpoint(tmp_path / "checkpoint"), tmp_path / "bridge.yaml"

    def write(rate: float) -> Path:
        path.write_text(BRIDGE.format(checkpoint=checkpoint, rate=rate))
        return path

    return write


@contextmanager
def bridge(path: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "adaptive_mbrl", "bridge", "--bridge", str(path), "--domain", str(DOMAIN), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_start_ends_at_once(number: signal.Signals, bridge_file):
    """Preflight would listen for a minute; nothing was sent, so nothing has to come to rest."""
    with bridge(bridge_file(100.0), "--preflight-seconds", "60") as process:
        assert process.stdout.readline().startswith("loading ")
        process.send_signal(number)
        lines, mistakes = process.communicate(timeout=min(PATIENCE, 50.0))

    assert (process.returncode, mistakes, lines) == (0, "", "stopped before the start\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_the_safe_action_and_one_line(number: signal.Signals, bridge_file, transport, standing):
    actuators = Actuators(transport)
    with bridge(bridge_file(100.0)) as process:
        actuators.wait_for(lambda value: value != 0.0)
        signalled = actuators.wait_for(lambda value: value != 0.0)
        process.send_signal(number)
        lines, mistakes = process.communicate(timeout=PATIENCE)

    answered = reaction(actuators.commands, Times(signalled, signalled, np.inf))
    print(f"{number.name}: {answered.periods:.2f} control periods to the safe action at the actuators")
    assert (process.returncode, mistakes) == (0, "")
    assert [line.split(":")[0] for line in lines.splitlines()].count("inactive") == 1
    assert lines.splitlines()[-1].startswith("inactive: ")
    values = [value for at, value in actuators.commands if at > signalled]
    assert values[-1] == 0.0
    # a plan that is followed again would move the actuators after the first safe action
    assert not np.any(values[values.index(0.0) :])


def test_a_second_signal_does_not_cut_the_way_to_rest_short(bridge_file, transport, standing):
    actuators, wanted = Actuators(transport), threading.Event()
    with bridge(bridge_file(SLOW)) as process:
        moving = actuators.wait_for(lambda value: abs(value) > 3 * SLOW * DT)
        process.send_signal(signal.SIGINT)
        actuators.wait_for(lambda value: True)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            wanted.wait(DT / 4)
        lines, mistakes = process.communicate(timeout=PATIENCE)

    assert (process.returncode, mistakes) == (0, "")
    assert lines.splitlines()[-1].startswith("inactive: ")
    values = [value for at, value in actuators.commands if at >= moving]
    assert values[-1] == 0.0
    # it was a way, on which the second signal came
    assert np.count_nonzero(values) >= 2


class Applied(SubstepSimulation):
    """Keeps what the actuators really do."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.actions: list[float] = []

    def advance(self, action: np.ndarray) -> None:
        self.actions.append(float(action[0]))
        super().advance(action)


@pytest.fixture
def simulated(bridge_file, transport) -> Iterator[SimulatedRobot]:
    """A robot whose driver lets go of the actuators after 0.2 s without a command."""
    stop = threading.Event()
    simulation = Applied(load_robot("cartpole"), Scenario("cartpole", steps=10_000, seed=1))
    config = load_bridge_config(bridge_file(100.0))
    robot = SimulatedRobot(simulation, config, transport, SteadyClock(stop), command_timeout=0.2)
    thread = threading.Thread(target=robot.run)
    thread.start()
    yield robot
    stop.set()
    thread.join()


def wait_until(is_it: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if is_it():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come")


def test_a_node_that_can_send_nothing_any_more_is_answered_by_the_robot(simulated, bridge_file, transport):
    actuators, simulation, commands = Actuators(transport), simulated.simulation, simulated.commands
    with bridge(bridge_file(100.0)) as process:
        actuators.wait_for(lambda value: value != 0.0)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: commands.timeouts == 1)
        stopped, sent = len(simulation.actions), len(actuators.commands)
        # longer than the oldest observation may be acted on
        wait_until(lambda: len(simulation.actions) > stopped + 2 * MAX_AGE / simulation.sim_dt)
        assert not np.any(simulation.actions[stopped:])
        assert len(actuators.commands) == sent

        # the plan that it has is of another time
        process.send_signal(signal.SIGCONT)
        actuators.wait_for(lambda value: value != 0.0)
        assert 0.0 in [value for _, value in actuators.commands[sent:]]

        process.kill()
        wait_until(lambda: commands.timeouts == 2)
        killed = len(simulation.actions)
        wait_until(lambda: len(simulation.actions) > killed + 1)
        assert not np.any(simulation.actions[killed:])
    assert process.returncode == -signal.SIGKILL
