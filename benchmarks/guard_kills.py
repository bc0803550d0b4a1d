"""How soon the guard sends the safe action when the controller's process is killed, stopped, or takes too much memory.

Usage: python -m benchmarks.guard_kills [--times 100] [--real 20] [--conditions idle loaded] [--out FILE]

Each death strikes at a random moment of the control period of 0.04 s. `light` controllers are processes without a model that
speak to the real guard by the real line, because one with a model takes many seconds to start; `real` ones are those of the
command `bridge --guard` with the shipped cart-pole. The time is from the signal, and for `memory` from the moment at which the
controller has more memory than it may have, to the first safe action that an observer in another process gets, over DDS. The
observer looks at every command as in `bridge_faults.py`.

A light death takes about 1.5 s, a real one about 15 s. All of it takes about 25 minutes. The report is written after each kind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
import yaml

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_faults import JITTER, MAX_FAILURES, begun, figures_of
from benchmarks.bridge_machine import machine
from benchmarks.evidence.faults import STANDING, bridge_text
from benchmarks.evidence.figures import digits
from benchmarks.evidence.guard_client import COMMAND
from benchmarks.evidence.load import busy_cores
from benchmarks.evidence.rig import PACKAGE, Injection, operator, phases
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.machine.memory import resident_memory
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.safety.limits import command_limiter
from sim.robot.robot import load_robot
from tests.bridge.faults import Actuators, LineProcess

MEMORY_LIMIT = 300.0
"""Of a light controller, which takes less than half of it [MiB]."""
SAFE_COMMANDS = 5
TAKES_MEMORY = signal.SIGUSR1
LOOK = 0.001
"""Time between two looks at the memory of a controller [s]."""


@dataclass(frozen=True)
class Death:
    """A way to lose the controller.

    Attributes:
        number: the signal.
        periods: control periods in which the guard must have sent the safe action.
    """

    number: signal.Signals
    periods: int


DEATHS = {
    "killed": Death(signal.SIGKILL, 2),
    "stopped": Death(signal.SIGSTOP, 2),
    "memory": Death(TAKES_MEMORY, 2),
}


class Guarded:
    """A guard with a controller, an operator and an observer; the robot is one that stands still.

    Args:
        domain: DDS's domain id.
        folder: folder of the files.
        jitter: longest further time between two sensor messages [s].
    """

    def __init__(self, domain: int, folder: Path, jitter: float) -> None:
        self.spec = load_robot("cartpole").spec
        self._domain = str(domain)
        self._bridge, self._spec_file = folder / "bridge.yaml", folder / "spec.yaml"
        self._bridge.write_text(bridge_text(STANDING, {}))
        self._spec_file.write_text(yaml.safe_dump(to_mapping(self.spec)))
        limiter = command_limiter(self.spec, load_bridge_config(self._bridge).safety)
        promises = (limiter.low[0], limiter.high[0], limiter.rate[0], self.spec.dt)
        self.transport = DdsTransport(domain)
        self.actuators, self.operator = Actuators(self.transport), operator(self.transport)
        self.observer = LineProcess("observer", self._domain, *map(str, promises), package=PACKAGE)
        arguments = ("standing", self._domain, str(self._bridge), f"{jitter:g}", "0")
        self._robot = LineProcess("robot", *arguments, package=PACKAGE)
        self._robot.ask("good")

    def close(self) -> None:
        """End everything."""
        self._robot.close()
        self.observer.close()
        self.operator.close()
        self.transport.close()

    @contextmanager
    def light(self) -> Iterator[subprocess.Popen[str]]:
        """The guard that starts a new light controller for each line on its stdin."""
        arguments = (self._domain, str(self._bridge), str(self._spec_file), f"{MEMORY_LIMIT:g}")
        with self._process(f"{PACKAGE}.guard_host", *arguments) as host:
            yield host

    @contextmanager
    def real(self) -> Iterator[subprocess.Popen[str]]:
        """The command `bridge --guard`."""
        arguments = ("bridge", "--bridge", str(self._bridge), "--domain", self._domain, "--guard")
        with self._process("adaptive_mbrl", *arguments) as host:
            yield host

    def end(self, host: subprocess.Popen[str], death: Death, pause: float) -> Injection:
        """Let a controller end some time after a command [s], and look what the actuators get."""
        self.actuators.wait_for(lambda value: value != 0.0)
        self.observer.ask("take")
        self.actuators.wait_for(lambda value: value != 0.0)
        threading.Event().wait(pause)
        controllers = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
        if not controllers:
            raise AssertionError(f"the guard has no controller; somebody else may send commands in domain {self._domain}")
        controller = int(controllers[0])
        struck = time.monotonic()
        os.kill(controller, death.number)
        if death.number == TAKES_MEMORY:
            struck = _grown(controller)
        self.actuators.wait_for(lambda value: value == 0.0)
        for _ in range(SAFE_COMMANDS):
            self.actuators.wait_for(lambda value: True)
        if death.number == signal.SIGSTOP:
            os.kill(controller, signal.SIGKILL)
        witness = json.loads(self.observer.ask("take"))
        safe = next(at for at, value in witness["commands"] if at > struck and value == 0.0)
        limit = struck + death.periods * self.spec.dt
        late = sum(value != 0.0 and at > limit for at, value in witness["commands"])
        periods = (safe - struck) / self.spec.dt
        return Injection(periods, periods, late)

    def begin_next(self, host: subprocess.Popen[str]) -> None:
        """End the guard of the moment, after which a light one begins with the next controller."""
        assert host.stdin is not None
        host.stdin.write("next\n")
        host.stdin.flush()

    @contextmanager
    def _process(self, *module: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", *module]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as host:
            try:
                yield host
            finally:
                with suppress(OSError):
                    for child in Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split():
                        os.kill(int(child), signal.SIGKILL)
                host.kill()


def _grown(process: int) -> float:
    """When a process has more memory than a light controller may have, or has ended of it, monotonic [s]."""
    pause = threading.Event()
    while 0 < resident_memory(process) <= MEMORY_LIMIT:
        pause.wait(LOOK)
    return time.monotonic()


def main(
    times: int = 100,
    real: int = 20,
    conditions: tuple[str, ...] = ("idle", "loaded"),
    seed: int = 0,
    domain: int = 44,
    again: bool = False,
    out: Path = Path("docs/results/guard_kills.json"),
) -> None:
    """Kill, and write the report after each kind of death.

    Args:
        times: number of light controllers for each kind of death.
        real: number of real controllers that are killed.
        conditions: `idle`, `loaded`.
        seed: seed of the moments of death.
        domain: ROS 2's domain id.
        again: measure what is in the report, too.
        out: JSON file for the figures.
    """
    about = {"dt": load_robot("cartpole").spec.dt, "times": times, "real": real, "seed": seed, "kills": True}
    report = begun(out, again, about)
    for condition in conditions:
        found = report["conditions"].setdefault(condition, {})
        kinds = [(f"light, {name}", name, times) for name in DEATHS] + [("real, killed", "killed", real)]
        with busy_cores(condition == "loaded"):
            for title, name, number in kinds:
                if title in found or not number:
                    continue
                found[title] = measured(title.startswith("real"), DEATHS[name], number, JITTER[condition], seed, domain)
                write_text_atomically(out, json.dumps({**report, "machine": machine()}, indent=1) + "\n")
                print(condition, title, json.dumps({k: v for k, v in found[title].items() if k != "periods"}), flush=True)


def measured(is_real: bool, death: Death, times: int, jitter: float, seed: int, domain: int) -> dict[str, Any]:
    """Figures of one kind of death."""
    began = time.monotonic()
    injections: list[Injection] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        guarded = Guarded(domain, Path(folder), jitter)
        try:
            pauses = [float(pause) for pause in phases(times, guarded.spec.dt, seed)]
            while len(injections) + len(failures) < times and len(failures) <= MAX_FAILURES:
                # a real guard ends with its controller; a light one goes on with the next
                left = pauses[len(injections) + len(failures) :][: 1 if is_real else None]
                with guarded.real() if is_real else guarded.light() as host:
                    try:
                        for pause in left:
                            injections.append(guarded.end(host, death, pause))
                            guarded.begin_next(host)
                    except (AssertionError, OSError) as error:
                        failures.append(f"{type(error).__name__}: {error}")
            witness = json.loads(guarded.observer.ask("take"))
        finally:
            guarded.close()
    figures = figures_of(injections, death.periods, witness)
    return figures | {"seconds": digits(time.monotonic() - began, 1), "not_injected": failures}


if __name__ == "__main__":
    assert COMMAND != 0.0
    tyro.cli(main)
