"""A robot that stands still and says so 100 times a second, until it is told to say something wrong.

python -m tests.bridge.faulty_robot DOMAIN [INTERFACE]

A line on stdin names one of `FAULTS`, `good` ends it; the answer is when the first message of that kind leaves, monotonic [s].
"""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from robot_bridge.middleware.dds import LOOPBACK, DdsTransport
from robot_bridge.middleware.messages import Header, JointState, Time

PERIOD = 0.01
STANDING = JointState(name=["slider", "hinge_1"], position=[0.0, 0.1], velocity=[0.0, 0.0])
FAULTS: dict[str, Callable[[float, float], JointState]] = {
    "good": lambda now, since: at(now),
    "nan": lambda now, since: replace(at(now), position=[math.nan, 0.1]),
    "no joint": lambda now, since: replace(at(now), name=["rail", "hinge_1"]),
    "out of limits": lambda now, since: replace(at(now), position=[50.0, 0.1]),
    "stamps frozen": lambda now, since: at(since),
    "clock ahead": lambda now, since: at(now + 3600),
    "clock back": lambda now, since: at(now - 0.9),
}
"""What is said at a moment, given when the fault began; both since the epoch [s]."""


def at(stamp: float) -> JointState:
    return replace(STANDING, header=Header(Time.of(stamp)))


def listen(asked: queue.SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        asked.put(line.strip())
    asked.put(None)


def main() -> None:
    transport = DdsTransport(int(sys.argv[1]), *sys.argv[2:3] or [LOOPBACK])
    publish = transport.publisher("/joint_states", JointState, reliable=False)
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(asked,), daemon=True).start()
    say, since = FAULTS["good"], time.time()
    print("ready", flush=True)
    while True:
        try:
            wanted = asked.get(timeout=PERIOD)
        except queue.Empty:
            publish(say(time.time(), since))
            continue
        if wanted is None:
            break
        say, since = FAULTS[wanted], time.time()
        print(time.monotonic(), flush=True)
        publish(say(since, since))
    transport.close()


if __name__ == "__main__":
    main()
