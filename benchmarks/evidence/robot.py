"""A robot whose sensors can be told to lie, in a process of its own; its messages may come with jitter.

python -m benchmarks.evidence.robot standing|moving DOMAIN BRIDGE JITTER SEED [PERIOD]

`standing` publishes a robot that stands still, every PERIOD, by default 10 ms, and up to JITTER seconds more. `moving` is the
cart-pole in MuJoCo, in real time, which obeys the commands; JITTER is that of the line from its sensors. A line on stdin names a
lie, and `good` ends it; the answer is when that was, monotonic [s]. A standing robot begins `silent`, so that it can wait until
it is needed.
"""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import JointState
from robot_bridge.middleware.passing_on import PassingOn
from robot_bridge.simulated.imperfections import Imperfections, TransmissionLineConfig
from robot_bridge.simulated.robot import SimulatedRobot
from robot_bridge.simulated.steady_clock import SteadyClock
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario
from sim.simulation.substeps import SubstepSimulation
from tests.bridge.faulty_robot import FAULTS, PERIOD, listen

STEPS = 200_000
"""Control steps of the moving robot's scenario, which are more than any measurement needs."""
POLE = 1
"""Place of the pole's joint in the messages."""
JUMP, DRIFT, SCALE = 2.0, 0.5, -1.0
"""A jump of the pole's angle [rad], its drift [rad/s], and what its velocity is multiplied with."""


class LyingTransport(PassingOn):
    """A transport whose sensor messages lie while they are told to."""

    def __init__(self, transport: DdsTransport) -> None:
        super().__init__(transport)
        self._lie, self._since = "good", 0.0
        self._last: JointState | None = None

    def tell(self, lie: str) -> float:
        """Begin to lie, or end it; returns when that was, monotonic [s]."""
        self._since = time.monotonic()
        self._lie = lie
        return self._since

    def publisher(self, topic: str, message_type: Any, *, reliable: bool = True) -> Callable[[Any], None]:
        publish = super().publisher(topic, message_type, reliable=reliable)
        return (lambda message: publish(self._lied(message))) if message_type is JointState else publish

    def _lied(self, message: JointState) -> JointState:
        lie = self._lie
        if lie == "frozen" and self._last is not None:
            return replace(self._last, header=message.header)
        if lie == "good":
            self._last = message
        position, velocity = list(message.position), list(message.velocity)
        if lie == "jump":
            position[POLE] += JUMP
        elif lie == "drift":
            position[POLE] += DRIFT * (time.monotonic() - self._since)
        elif lie == "derivative":
            velocity[POLE] *= SCALE
        return replace(message, position=position, velocity=velocity)


def stand(transport: DdsTransport, jitter: float, rng: np.random.Generator, period: float = PERIOD) -> None:
    """Publish a robot that stands still until stdin ends."""
    publish = transport.publisher("/joint_states", JointState, reliable=False)
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(asked,), daemon=True).start()
    wanted, since = "silent", time.time()
    print("ready", flush=True)
    while True:
        try:
            following = asked.get(timeout=period + jitter * float(rng.random()))
        except queue.Empty:
            if wanted != "silent":
                publish(FAULTS[wanted](time.time(), since))
            continue
        if following is None:
            return
        wanted, since = following, time.time()
        print(time.monotonic(), flush=True)
        if wanted != "silent":
            publish(FAULTS[wanted](since, since))


def move(transport: DdsTransport, bridge: Path, jitter: float, seed: int) -> None:
    """Simulate the cart-pole in real time until stdin ends."""
    lying, stop = LyingTransport(transport), threading.Event()
    simulation = SubstepSimulation(load_robot("cartpole"), Scenario("cartpole", steps=STEPS, seed=seed))
    imperfections = Imperfections(sensors=TransmissionLineConfig(jitter=jitter), seed=seed)
    robot = SimulatedRobot(
        simulation,
        load_bridge_config(bridge),
        lying,
        SteadyClock(stop),
        imperfections=imperfections,
        command_timeout=math.inf,
        publish_every=2,
    )
    thread = threading.Thread(target=robot.run)
    thread.start()
    print("ready", flush=True)
    for line in sys.stdin:
        print(lying.tell(line.strip()), flush=True)
    stop.set()
    thread.join()


def main() -> None:
    """Run the robot that the arguments ask for."""
    kind, domain, bridge, jitter, seed, *period = sys.argv[1:]
    transport = DdsTransport(int(domain))
    if kind == "standing":
        stand(transport, float(jitter), np.random.default_rng(int(seed)), *map(float, period))
    else:
        move(transport, Path(bridge), float(jitter), int(seed))
    transport.close()


if __name__ == "__main__":
    main()
