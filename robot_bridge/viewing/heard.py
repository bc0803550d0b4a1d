"""What a bridge and its robot have said, and when: the newest message of each topic, and the newest lines of the log."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from robot_bridge.control.inputs import Inputs
from robot_bridge.middleware.messages import Log, Message
from robot_bridge.middleware.reception import MAX_SAMPLE_BYTES
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.supervisor import Observed
from robot_bridge.streams.watched import Watched

LOG_LINES = 50
"""Number of lines of the log that are kept."""
Entry = tuple[Message, float]
"""A message and its time of arrival, monotonic [s]."""


@dataclass(frozen=True)
class Snapshot:
    """All that was heard, at one moment.

    Attributes:
        now: the moment, monotonic [s].
        messages: newest message of each topic that is no input, with its time of arrival.
        observed: the newest observation, with the times of measurement that the bridge itself would find.
        log: newest lines of the node's log, the oldest first, each with its time of arrival.
    """

    now: float
    messages: Mapping[str, Entry]
    observed: Observed
    log: tuple[tuple[Log, float], ...] = ()

    def age(self, topic: str) -> float:
        """Time since the newest message of a topic [s]; infinite if none came."""
        return self.now - self.messages[topic][1] if topic in self.messages else float("inf")


class Heard:
    """Listens to a bridge and its robot. All subscriptions are best effort, so that no sender waits for this listener.

    Args:
        watched: the robot and its node.
        transport: the transport whose topics are subscribed to in the constructor.
        clock: function that gives the monotonic time [s].
    """

    def __init__(self, watched: Watched, transport: Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self._node, self._clock = watched.node, clock
        self._messages: dict[str, Entry] = {}
        self._log: deque[tuple[Log, float]] = deque(maxlen=LOG_LINES)
        self._lock = threading.Lock()
        self._inputs = Inputs(watched.spec, watched.config, transport)
        inputs = {topic.topic for topic in watched.config.inputs.values()}
        for topic, message_type in watched.topics.items():
            if topic not in inputs:
                transport.subscribe(
                    topic, message_type, partial(self._receive, topic), reliable=False, max_bytes=MAX_SAMPLE_BYTES
                )
        transport.subscribe("/rosout", Log, self._receive_log, reliable=False)

    def snapshot(self) -> Snapshot:
        """What was heard until now."""
        with self._lock:
            return Snapshot(self._clock(), dict(self._messages), self._inputs.snapshot(), tuple(self._log))

    def _receive(self, topic: str, message: Message, received: float) -> None:
        with self._lock:
            self._messages[topic] = message, received

    def _receive_log(self, line: Log, received: float) -> None:
        # rclpy writes the name of a node with its namespace in another way
        if line.name.replace(".", "/").strip("/") == self._node:
            with self._lock:
                self._log.append((line, received))
