"""An independent witness of all commands, in a process of its own: it trusts neither the node nor the supervisor.

python -m benchmarks.evidence.observer DOMAIN LOW HIGH RATE DT

It subscribes to `/commands` as a driver would and looks at every command as it arrives. A line on stdin, `take`, is answered by
what has come since the last one: [when, value] of each command, monotonic [s], and how many broke which promise so far.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from collections import Counter, deque

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Float64MultiArray

WINDOW = 8
"""Number of commands over which the rate is looked at by the observer's own clock as well."""
SLACK = 1.5
"""How much later than another one a command may arrive that was sent at the same time [control periods]."""
ROUNDING = 1e-9


class Promises:
    """What every command must keep, whatever happens.

    Args:
        low: smallest command.
        high: largest command.
        rate: fastest change [1/s].
        dt: control period [s].

    Attributes:
        count: number of commands.
        broken: number of commands that broke a promise, by the promise.
    """

    def __init__(self, low: float, high: float, rate: float, dt: float) -> None:
        self._low, self._high, self._rate, self._dt = low, high, rate, dt
        self._latest: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self.count = 0
        self.broken: Counter[str] = Counter()

    def look(self, at: float, values: list[float]) -> None:
        """Look at a command that arrived at a time, monotonic [s]."""
        self.count += 1
        if len(values) != 1 or not math.isfinite(values[0]):
            self.broken["a finite number"] += 1
            return
        value = values[0]
        self.broken["limits"] += not self._low - ROUNDING <= value <= self._high + ROUNDING
        if self._latest:
            change = abs(value - self._latest[-1][1])
            self.broken["rate, one period"] += change > self._rate * self._dt + ROUNDING
            since, before = self._latest[0]
            allowed = self._rate * (at - since + SLACK * self._dt)
            self.broken["rate, by the clock"] += abs(value - before) > allowed + ROUNDING
        self._latest.append((at, value))


def main() -> None:
    """Look until stdin ends."""
    domain, low, high, rate, dt = sys.argv[1:]
    promises, lock = Promises(float(low), float(high), float(rate), float(dt)), threading.Lock()
    commands: list[tuple[float, float]] = []

    def receive(message: Float64MultiArray, received: float) -> None:
        with lock:
            promises.look(received, list(message.data))
            commands.append((received, message.data[0] if len(message.data) else math.nan))

    transport = DdsTransport(int(domain))
    transport.subscribe("/commands", Float64MultiArray, receive, reliable=True)
    print("ready", flush=True)
    for _ in sys.stdin:
        with lock:
            answer = {"commands": commands, "count": promises.count, "broken": dict(promises.broken)}
            commands = []
        print(json.dumps(answer), flush=True)
    transport.close()


if __name__ == "__main__":
    main()
