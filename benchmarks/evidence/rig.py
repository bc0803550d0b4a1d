"""A robot, the node, an operator and an observer, each over real middleware, and faults that strike at any phase of the loop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.spec import RobotSpec
from benchmarks.evidence.faults import FAULTS, MOVING, STANDING, STEERED, times_of
from benchmarks.evidence.robot import POLE
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Bool, JointState, Message, Twist, Vector3
from robot_bridge.safety.limits import command_limiter
from tests.bridge.faults import PATIENCE, Actuators, LineProcess, reaction

PACKAGE = "benchmarks.evidence"
ATTEMPTS = 50
"""So often a fault is tried that must meet the robot in a certain state."""
HEARTBEAT = 0.02
"""Time between two signs of life of the operator, and between two goals [s]."""
PRESENT, GONE, GOAL = Bool(True), Bool(False), Twist(linear=Vector3(x=0.3))
"""What the operator says, and where the cart shall stand [m]."""
MOTION = 3.0
"""Least speed of the pole at which a fault strikes that shows only in motion [rad/s]."""
TURN = 2.0
"""How long it is waited for that, with an operator and without in turn [s]."""
SAFE_COMMANDS = 3
"""Number of further commands that are waited for while a fault lasts."""


@dataclass(frozen=True)
class Injection:
    """What came of one fault.

    Attributes:
        periods: from the moment after which the plan must not be followed to the first safe action, as the node sent it [control
            periods]; below 0 where the robot was stopped earlier.
        observed: the same by the observer, to which the command has to travel.
        late: number of commands that the observer got later than allowed and that still followed the plan.
    """

    periods: float
    observed: float
    late: int


class Stream:
    """Says the same again and again, on a thread of its own.

    Args:
        transport: the transport that it is said on.
        topic: the topic.
        message: what is said.

    Attributes:
        says: what is said at the moment; None for nothing.
    """

    def __init__(self, transport: DdsTransport, topic: str, message: Message) -> None:
        self._publish, self._closed = transport.publisher(topic, type(message)), threading.Event()
        self.says: Message | None = message
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(HEARTBEAT):
            if self.says is not None:
                self._publish(self.says)


def operator(transport: DdsTransport) -> Stream:
    """Somebody who is there."""
    return Stream(transport, "/operator", PRESENT)


class EvidenceRig:
    """All processes, and the way to strike them.

    Args:
        domain: DDS's domain id.
        kind: `standing`, `steered` or `moving`.
        bridge: the bridge file.
        spec: the robot's channels.
        jitter: longest further time between two sensor messages [s].
        seed: seed of the phases and of the jitter.
    """

    def __init__(self, domain: int, kind: str, bridge: Path, spec: RobotSpec, jitter: float, seed: int) -> None:
        self._domain, self._kind, self._bridge, self._jitter, self._seed = domain, kind, bridge, jitter, seed
        self.dt = spec.dt
        limiter = command_limiter(spec, load_bridge_config(bridge).safety)
        promises = (limiter.low[0], limiter.high[0], limiter.rate[0], spec.dt)
        with ExitStack() as starting:
            self.transport = DdsTransport(domain)
            starting.callback(self.transport.close)
            self._actuators = Actuators(self.transport)
            self._operator, self._speed = operator(self.transport), 0.0
            starting.callback(self._operator.close)
            if kind == STEERED:
                self._goals = Stream(self.transport, "/goal", GOAL)
                starting.callback(self._goals.close)
            self.transport.subscribe("/joint_states", JointState, self._hear)
            self._observer = LineProcess("observer", str(domain), *map(str, promises), package=PACKAGE)
            starting.callback(self._observer.close)
            self._robot = self._new_robot()
            self._spare = self._new_robot() if kind == STANDING else None
            starting.callback(lambda: [robot.close() for robot in (self._robot, self._spare) if robot is not None])
            self._robot.ask("good")
            self._node = LineProcess("faulty_node", str(domain), str(bridge))
            starting.callback(self._node.close)
            self._ending = starting.pop_all()

    def close(self) -> None:
        """End everything."""
        self._ending.close()

    def witness(self) -> dict[str, Any]:
        """What the observer has found so far: `count` of commands, and how many broke which promise."""
        return json.loads(self._observer.ask("take"))

    def strike(self, name: str, pause: float) -> Injection:
        """Let a fault come and go.

        Args:
            name: one of `FAULTS`.
            pause: how long after a command it strikes [s].
        """
        for _ in range(ATTEMPTS):
            if FAULTS[name].needs_motion:
                self._let_it_move()
            self._run()
            self._node.ask("log")
            self.witness()
            # the log begins with what is right
            self._wait(1)
            threading.Event().wait(pause)
            if FAULTS[name].needs_motion and abs(self._speed) < MOTION:
                continue
            begin = self._begin(name)
            if name != "monotonic ahead" or self._node.ask("within 1 hold") == "hold":
                break
            # observations of after the jump came first, and nothing was old: again
            self._end(name)
        else:
            raise AssertionError(f"{name}: it did not come about {ATTEMPTS} times")
        if self._node.ask("until hold") != "hold":
            raise AssertionError(f"{name}: the node does not hold")
        self._require_words(name)
        self._wait(SAFE_COMMANDS)
        end = self._end(name)
        self._run()
        log, witness = json.loads(self._node.ask("log")), self.witness()
        times, allowed = times_of(name, log, (begin, end), self.dt), FAULTS[name].periods
        sent = reaction([(at, about) for at, what, about in log if what == "command"], times, self.dt)
        seen = [(at, value) for at, value in witness["commands"]]
        got = reaction(seen, times, self.dt)
        # the observer may have a command a little before the node has written down that it sent it
        over = times.over - self.dt / 2
        late = sum(value != 0.0 and times.limit + allowed * self.dt < at < over for at, value in seen)
        return Injection(sent.periods, got.periods, late)

    def _run(self) -> None:
        """Wait until the plan is followed."""
        if self._node.ask("until running") != "running":
            raise AssertionError(f"the node does not run: {self._node.ask('report')}")
        self._actuators.wait_for(lambda value: value != 0.0)

    def _let_it_move(self) -> None:
        """Wait until the pole turns fast: one that hangs is swung up, and one that stands falls while the operator is away."""
        for turn in range(ATTEMPTS):
            self._operator.says = PRESENT if turn % 2 == 0 else GONE
            until = time.monotonic() + TURN
            while abs(self._speed) < MOTION and time.monotonic() < until:
                self._wait(1)
            if abs(self._speed) >= MOTION:
                break
        self._operator.says = PRESENT

    def _hear(self, state: JointState, received: float) -> None:
        self._speed = state.velocity[POLE]

    def _wait(self, commands: int) -> None:
        for _ in range(commands):
            self._actuators.wait_for(lambda value: True)

    def _require_words(self, name: str) -> None:
        # a busy machine may make the node hold for another reason first
        said: set[str] = set()
        for _ in range(round(PATIENCE / self.dt)):
            said |= {self._node.ask("report"), self._node.ask("reasons")}
            if any(words in line for words in FAULTS[name].words for line in said):
                return
            self._wait(1)
        raise AssertionError(f"the node does not say {FAULTS[name].words} but {said}")

    def _begin(self, name: str) -> float:
        where = FAULTS[name].where
        if name == "publisher killed":
            self._robot.process.kill()
        elif where == "operator":
            self._operator.says = None if name == "operator silent" else GONE
        elif where == "goal":
            self._goals.says = None
        elif where == "node":
            self._node.ask(name)
        else:
            return float(self._robot.ask(name))
        return time.monotonic()

    def _end(self, name: str) -> float:
        where = FAULTS[name].where
        if name == "publisher killed":
            # the process that takes over has been started before, because starting takes longer than everything else
            self._robot.close()
            assert self._spare is not None
            self._robot, self._spare = self._spare, self._new_robot()
            return float(self._robot.ask("good"))
        if where in ("sensor", "lie"):
            return float(self._robot.ask("good"))
        if where == "operator":
            self._operator.says = PRESENT
        elif where == "goal":
            self._goals.says = GOAL
        else:
            self._node.ask("heal")
        return time.monotonic()

    def _new_robot(self) -> LineProcess:
        self._seed += 1
        behaviour = MOVING if self._kind == MOVING else STANDING
        arguments = (behaviour, str(self._domain), str(self._bridge), f"{self._jitter:g}", str(self._seed))
        return LineProcess("robot", *arguments, package=PACKAGE)


@contextmanager
def evidence_rig(*arguments: Any) -> Iterator[EvidenceRig]:
    """A rig, and its end; the arguments are those of `EvidenceRig`."""
    made = EvidenceRig(*arguments)
    try:
        yield made
    finally:
        made.close()


def phases(times: int, dt: float, seed: int) -> np.ndarray:
    """When after a command each fault strikes [s], (times,), spread over a whole control period."""
    return np.random.default_rng(seed).uniform(0.0, dt, times)
