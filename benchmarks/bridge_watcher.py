"""Watches a bridge from outside: every command with the time at which it was written.

python -m benchmarks.bridge_watcher DOMAIN

Each line on stdin is answered by one line of JSON: `log` by [when, value] of all commands since the last time, where `when` is
the writer's stamp since the epoch [s]; `counts` by the values of the newest diagnostic status about inputs.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from cyclonedds.core import Policy, Qos, ReadCondition, WaitSet
from cyclonedds.domain import DomainParticipant
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from robot_bridge.middleware.dds import DdsTransport, idl_type
from robot_bridge.middleware.messages import DiagnosticArray, Float64MultiArray

_ANY = 0xFFFF


class CommandLog:
    """Keeps all commands; a transport would keep only the newest one of several."""

    def __init__(self, participant: DomainParticipant) -> None:
        topic = Topic(participant, "rt/commands", idl_type(Float64MultiArray))
        qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepAll)
        self._reader = DataReader(participant, topic, qos)
        self._waitset = WaitSet(participant)
        self._condition = ReadCondition(self._reader, _ANY)
        self._waitset.attach(self._condition)
        self._lock = threading.Lock()
        self._log: list[tuple[float, float]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> list[tuple[float, float]]:
        """All commands since the last call."""
        with self._lock:
            taken, self._log = self._log, []
        return taken

    def _read(self) -> None:
        while True:
            self._waitset.wait(duration(milliseconds=100))
            samples: list[Any] = list(self._reader.take(N=1000))
            with self._lock:
                self._log += [(s.sample_info.source_timestamp * 1e-9, s.data[0]) for s in samples if s.sample_info.valid_data]


def main() -> None:
    """Answer until stdin is closed."""
    domain = int(sys.argv[1])
    transport, values = DdsTransport(domain), dict[str, str]()

    def look(message: DiagnosticArray, received: float) -> None:
        for status in message.status:
            if status.name.endswith(": inputs"):
                values.update((pair.key, pair.value) for pair in status.values)

    transport.subscribe("/diagnostics", DiagnosticArray, look)
    log = CommandLog(transport._participant)
    for line in sys.stdin:
        print(json.dumps(values if line.strip() == "counts" else log.take()), flush=True)
    transport.close()


if __name__ == "__main__":
    main()
