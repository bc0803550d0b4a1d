"""The node over real sockets, with a log of what passes it, and with faults from inside.

python -m tests.bridge.faulty_node DOMAIN BRIDGE

Lines on stdin, each answered by one: a fault of `Faults`, `heal`, `until STATE`, `log`, `report`, `reasons`. The log is a list of
[when, what, about], where `when` is monotonic [s] and no fault moves that clock: `obs` with stamp and cart position, `command`,
`operator`, `goal`, `fault`, `healed`.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from robot_bridge.bags.recording_transport import RecordingTransport
from robot_bridge.control.warm_up import WarmedUp, warm_up
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.fields import joint_value
from robot_bridge.middleware.messages import Bool, Float64MultiArray, JointState, Message, Twist
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.robot_files import load_controller

STEADY = time.monotonic
PATIENCE = 60
"""Seconds for what takes about one."""


ABSENT = "absent"
"""What the log of a node says of an observation whose message does not name the joint."""


class Log:
    """Takes what a `BagRecorder` takes."""

    def __init__(self) -> None:
        self._lock, self._events = threading.Lock(), []

    def __call__(self, what: str, about: Any = None) -> None:
        with self._lock:
            self._events.append([STEADY(), what, about])

    def topic(self, name: str, message_type: type[Message], *, reliable: bool) -> Callable[[Message, float], None]:
        about = {
            JointState: ("obs", obs_of),
            Float64MultiArray: ("command", lambda m: m.data[0]),
            Bool: ("operator", lambda m: m.data),
            Twist: ("goal", lambda m: True),
        }.get(message_type)
        if about is None or name.startswith("/adaptive_mpc"):
            return lambda message, at: None
        return lambda message, at: self(about[0], about[1](message))

    def take(self) -> list[list[Any]]:
        with self._lock:
            events, self._events = self._events, []
            return events


def obs_of(message: JointState) -> tuple[float, float | str | None]:
    """The stamp, and the cart's position: None if it is not finite, `ABSENT` if the message does not name the joint."""
    stamp, position = message.header.stamp.seconds, joint_value(message, "position", "slider")
    if "slider" not in message.name:
        return stamp, ABSENT
    return stamp, position if math.isfinite(position) else None


class ImitatedFailingGpu:
    """A controller that imitates one on a failed GPU. No GPU is used.

    It claims to be on the device `cuda`, and every step raises the error that CUDA raises.
    """

    device = torch.device("cuda")

    def __init__(self, controller: Any, log: Log) -> None:
        self._controller, self._log = controller, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)

    def step(self, *args: Any, **options: Any) -> Any:
        self._log("fault")
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


class Faults:
    """Each method begins a fault, `heal` ends it. The log tells when it strikes."""

    def __init__(self, node: AdaptiveMpc, log: Log) -> None:
        self.loop, self.log, self.healed = node._running().loop, log, threading.Event()
        self._goal = self.loop.goal
        self._controller: Any = None
        self._config = node._running().config

    def planner(self) -> None:
        def fail(step: Callable[..., Any], *args: Any, **options: Any) -> Any:
            self.log("fault")
            raise RuntimeError("a matrix is singular")

        self._replace_step(fail)

    def nan_plan(self) -> None:
        def plan_nan(step: Callable[..., Any], *args: Any, **options: Any) -> Any:
            command = step(*args, **options)
            self.log("fault")
            return replace(command, plan=command.plan * math.nan)

        self._replace_step(plan_nan)

    def planner_hangs(self) -> None:
        def hang(step: Callable[..., Any], *args: Any, **options: Any) -> Any:
            self.log("fault")
            self.healed.wait()
            return step(*args, **options)

        self._replace_step(hang)

    def gpu(self) -> None:
        planning = self.loop.planning
        # a node that runs on a CPU has no spare controller; one on a GPU has this one
        planning._on_cpu = self._on_cpu
        planning.controller = ImitatedFailingGpu(planning.controller, self.log)

    def control_thread(self) -> None:
        def stand_still(begin: float) -> Any:
            self.log("fault")
            self.healed.wait()
            return self._goal(begin)

        self.loop.goal = stand_still

    def monotonic_ahead(self) -> None:
        self._jump(5.0)

    def monotonic_back(self) -> None:
        self._jump(-5.0)

    def heal(self) -> None:
        self.log("healed")
        self.loop.goal = self._goal
        if self._controller is not None:
            del self._controller.step
            self._controller = None
        self.healed.set()

    def _on_cpu(self) -> WarmedUp:
        return warm_up(load_controller(self._config, Path(sys.argv[2]), "cpu"), 0.9 * self.loop.dt)

    def _replace_step(self, faulty: Callable[..., Any]) -> None:
        self.healed.clear()
        self._controller = self.loop.planning.controller
        step = self._controller.step
        self._controller.step = lambda *args, **options: faulty(step, *args, **options)

    def _jump(self, seconds: float) -> None:
        before = self.loop.clock
        self.log("fault")
        self.loop.clock = time.monotonic = lambda: before() + seconds


def main() -> None:
    log, transport = Log(), DdsTransport(int(sys.argv[1]))
    node = AdaptiveMpc(transport)
    node.configure(NodeParameters(sys.argv[2]), RecordingTransport(transport, log))
    node.activate()
    faults = Faults(node, log)
    print("ready", flush=True)
    for line in map(str.strip, sys.stdin):
        if line.startswith(("until ", "within 1 ")):
            until = STEADY() + (1.0 if line.startswith("within") else PATIENCE)
            while node.state.value != line.split()[-1] and STEADY() < until:
                threading.Event().wait(0.005)
            print(node.state.value, flush=True)
        elif line == "log":
            print(json.dumps(log.take()), flush=True)
        elif line == "report":
            print(node.report(), flush=True)
        elif line == "reasons":
            print("; ".join(node._running().loop.supervisor.hold_reasons), flush=True)
        else:
            faults.healed.clear()
            getattr(faults, line.replace(" ", "_"))()
            print("done", flush=True)
    node.clean_up()
    transport.close()


if __name__ == "__main__":
    main()
