"""Faults of a robot and of its node, each in a process of its own, and what the actuators get meanwhile.

A command of 0.0 is the safe action: no plan gives exactly that.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Float64MultiArray
from tests.bridge.faulty_node import ABSENT
from tests.cartpole_bridge import CARTPOLE

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
"""Seconds for what takes about one."""
DT = 0.04
MAX_AGE = 0.5
MAX_MISSED = 25
BRIDGE = f"""{CARTPOLE}
safety:
  rate_limits: {{{{slide: {{rate}}}}}}
  obs_limits: {{{{cart_position: {{{{low: -2.0, high: 2.0}}}}}}}}
  max_age: {MAX_AGE}
  max_missed_deadlines: {MAX_MISSED}
  ramp_seconds: 0.05
  recovery_seconds: 0.1
"""
SENSORS = {
    "nan": "'cart_position' is not finite",
    "no joint": "s old, allowed: 0.5 s, and 1 more",
    "out of limits": "'cart_position' is 50; allowed: -2 to 2",
    "stamps frozen": "s old, allowed: 0.5 s, and 3 more",
    "clock back": "s old, allowed: 0.5 s, and 3 more",
    "publisher killed": "s old, allowed: 0.5 s, and 3 more",
}
"""Faults of the robot, and what the node says."""
NODE = {
    "planner": "no plan; planner: RuntimeError: a matrix is singular",
    "nan plan": "the plan is not 1 finite numbers",
    "planner hangs": "deadlines missed in a row; allowed: 25",
    "gpu": "planner: RuntimeError: CUDA error: an illegal memory access was encountered",
    "control thread": "the control loop stands still; no plan",
    "monotonic ahead": "",
}
"""Faults of the node, and what it says; a clock that jumped is right again before anybody can ask."""
Command = tuple[float, float]
"""When, monotonic [s], and what."""


@dataclass(frozen=True)
class Reaction:
    """The reaction to a fault.

    Attributes:
        followed: number of commands that followed the plan when this was no longer allowed.
        safe: number of safe actions until the fault was over.
        periods: time from the moment after which the plan must not be followed to the first safe action [control periods].
    """

    followed: int
    safe: int
    periods: float


@dataclass(frozen=True)
class Times:
    """The times of a fault, monotonic [s].

    Attributes:
        struck: beginning of the fault.
        limit: moment after which the plan must not be followed.
        over: end of the fault.
    """

    struck: float
    limit: float
    over: float


def reaction(commands: list[Command], times: Times, dt: float = DT) -> Reaction:
    """The reaction to a fault, found from the commands."""
    during = [(at, value) for at, value in commands if times.struck < at < times.over]
    safe = [at for at, value in during if value == 0.0]
    followed = [at for at, value in during if value != 0.0 and at > times.limit]
    return Reaction(len(followed), len(safe), (safe[0] - times.limit) / dt if safe else math.nan)


class LineProcess:
    """A process that reads lines and answers each with one."""

    def __init__(self, module: str, *arguments: str, before: tuple[str, ...] = (), package: str = "tests.bridge") -> None:
        command = [*before, sys.executable, "-m", f"{package}.{module}", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"'{line}' ended the process"
        return answer.strip()

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Actuators:
    """Keeps the commands that came, and waits for what shall come."""

    def __init__(self, transport: DdsTransport, topic: str = "/commands") -> None:
        self.commands: list[Command] = []
        self._changed = threading.Condition()
        transport.subscribe(topic, Float64MultiArray, self._receive, reliable=True)

    def wait_for(self, is_it: Callable[[float], bool]) -> float:
        """When the next such command comes."""
        with self._changed:
            begin = len(self.commands)
            assert self._changed.wait_for(lambda: any(is_it(value) for _, value in self.commands[begin:]), PATIENCE)
            return next(at for at, value in self.commands[begin:] if is_it(value))

    def _receive(self, message: Float64MultiArray, received: float) -> None:
        with self._changed:
            self.commands.append((received, message.data[0]))
            self._changed.notify_all()


class Rig:
    """A robot and its node, in processes; the actuators are here.

    Args:
        domain: DDS's domain id.
        bridge: the bridge file.
        dt: control period of its checkpoint [s].
    """

    def __init__(self, domain: int, bridge: Path, dt: float = DT) -> None:
        self.domain, self.dt = domain, dt
        self.transport = DdsTransport(domain)
        self.actuators = Actuators(self.transport)
        self.robot = LineProcess("faulty_robot", str(domain))
        self.node = LineProcess("faulty_node", str(domain), str(bridge))

    def strike(self, fault: str) -> tuple[Reaction, Reaction]:
        """Let a fault come, wait until the node says so, and let it go.

        Returns:
            By what the node sent, and by what the actuators got.
        """
        self.run()
        self.node.ask("log")
        # the log begins with what is right
        self.actuators.wait_for(lambda value: True)
        self._begin(fault)
        if fault == "monotonic ahead" and self.node.ask("within 1 hold") != "hold":
            # observations of after the jump came first, and nothing was old: again
            self._end(fault)
            return self.strike(fault)
        assert self.node.ask("until hold") == "hold"
        self._wait_until_said((SENSORS | NODE)[fault])
        for _ in range(5):
            self.actuators.wait_for(lambda value: True)
        self._end(fault)
        self.run()
        log = json.loads(self.node.ask("log"))
        times = sensor_fault(log) if fault in SENSORS else node_fault(log, fault, self.dt)
        sent = [(at, about) for at, what, about in log if what == "command"]
        return reaction(sent, times, self.dt), reaction(self.actuators.commands, times, self.dt)

    def run(self) -> None:
        """Wait until the plan is followed."""
        assert self.node.ask("until running") == "running"
        self.actuators.wait_for(lambda value: value != 0.0)

    def close(self) -> None:
        self.robot.close()
        self.node.close()
        self.transport.close()

    def _wait_until_said(self, words: str) -> None:
        # a busy machine may make the node hold for another reason first
        for _ in range(round(PATIENCE / self.dt)):
            said = self.node.ask("report")
            if words in said:
                return
            self.actuators.wait_for(lambda value: True)
        raise AssertionError(f"the node does not say '{words}' but '{said}'")

    def _begin(self, fault: str) -> None:
        if fault == "publisher killed":
            self.robot.kill()
        else:
            (self.robot if fault in SENSORS else self.node).ask(fault)

    def _end(self, fault: str) -> None:
        if fault == "publisher killed":
            self.robot = LineProcess("faulty_robot", str(self.domain))
        elif fault in SENSORS:
            self.robot.ask("good")
        else:
            self.node.ask("heal")


def sensor_fault(log: list[list[Any]], max_age: float = MAX_AGE) -> Times:
    """Times of a fault of the robot. A bad value counts at once; missing new values count from `max_age` on."""
    stamp, last, begin = -math.inf, math.nan, math.nan
    for at, what, about in log:
        if what != "obs":
            continue
        is_new = about[0] > stamp and about[1] != ABSENT
        is_good = is_new and about[1] == 0.0
        if math.isnan(begin) and (not is_good or at - last > max_age):
            begin = at if is_new and not is_good else last + max_age
        elif is_good and at > begin:
            return Times(begin, begin, at)
        if is_good:
            stamp, last = about[0], at
    raise AssertionError("the fault did not come or did not go")


def node_fault(log: list[list[Any]], fault: str, dt: float, max_missed: int = MAX_MISSED) -> Times:
    """Times of a fault inside the node."""
    struck = next(at for at, what, _ in log if what == "fault")
    healed = next(at for at, what, _ in log if what == "healed")
    if fault == "planner hangs":
        # earlier, if deadlines were missed before
        return Times(struck, struck + max_missed * dt, healed)
    if fault == "control thread":
        # the command of the period in which the thread stops is out already
        struck = dt + max(at for at, what, _ in log if what == "command" and at < struck)
    if fault in ("gpu", "monotonic ahead"):
        # these are over by themselves, which shows in the next plan that is followed
        after = [(at, about) for at, what, about in log if what == "command" and at > struck]
        first_safe = next(at for at, value in after if value == 0.0)
        healed = next(at for at, value in after if at > first_safe and value != 0.0)
    return Times(struck, struck, healed)


@contextmanager
def rig(domain: int, bridge: Path, dt: float = DT) -> Iterator[Rig]:
    """A rig, and its end."""
    made = Rig(domain, bridge, dt)
    try:
        yield made
    finally:
        made.close()
