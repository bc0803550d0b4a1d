"""Listens for a while to what a robot publishes, before anything is sent to it."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from robot_bridge.bridge_config import BridgeConfig, ChannelInput
from robot_bridge.control.inputs import is_about, read_channel
from robot_bridge.control.monitor_inputs import monitor_inputs
from robot_bridge.control.pinned import Pinned
from robot_bridge.control.shared_topics import SharedTopics
from robot_bridge.middleware.endpoints import Endpoints
from robot_bridge.middleware.messages import MESSAGES, JointState, Message
from robot_bridge.middleware.transport import Transport

Array = NDArray[np.float64]
NO_JOINT, EMPTY, SHORT = "no such joint", "empty", "too short"
"""Reasons why a message does not hold a channel."""


@dataclass(frozen=True)
class InputRecord:
    """The messages of one input, without those that name none of its joints.

    Attributes:
        received: times of arrival, monotonic [s], (n,).
        clock: times of arrival on this machine's clock, since the epoch [s], (n,).
        stamps: stamps in the headers, since the epoch [s], (n,); None for messages without a header.
        joints: all joint names on the topic, in the order of their first appearance.
        values: values of each channel that is read from this input, (n,); NaN in a message that does not hold it.
        absent: number of messages that do not hold a channel, by channel and reason.
        listened: time from the first message to the end of listening [s].
        refused: number of messages that were too large, or could not be decoded.
    """

    received: Array
    clock: Array
    stamps: Array | None
    joints: tuple[str, ...]
    values: Mapping[str, Array]
    absent: Mapping[str, Mapping[str, int]]
    listened: float
    refused: int = 0

    @property
    def count(self) -> int:
        """Number of messages."""
        return len(self.received)

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which channels each message holds, as finite numbers, (n, channels)."""
        return np.isfinite(np.stack(list(self.values.values()), axis=1))


@dataclass
class _InputLog:
    """The messages of one input so far; the attributes are those of `InputRecord` while it grows."""

    channels: dict[str, ChannelInput]
    received: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    joints: dict[str, None] = field(default_factory=dict)
    values: list[list[float]] = field(default_factory=list)
    absent: dict[str, Counter[str]] = field(default_factory=dict)


class Listener:
    """Records the messages of all inputs of a bridge file and counts its goals, from the constructor until `finish`.

    Args:
        config: the bridge file.
        transport: the transport whose topics are subscribed to in the constructor, and whose time stamps are compared with.
        clock: function that gives the monotonic time [s].

    Attributes:
        goals: number of messages on the goal's topic.
    """

    def __init__(self, config: BridgeConfig, transport: Transport, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock, self._clock, self._finished = threading.Lock(), clock, False
        self._now = transport.now
        self.goals = 0
        self._logs = {name: _InputLog({c: s for c, s in config.obs.items() if s.input == name}) for name in config.inputs}
        for name, topic in config.inputs.items():
            kind, accept = topic.message_type, Pinned(topic.publisher) if topic.publisher else None
            take = partial(self.receive, name)
            transport.subscribe(topic.topic, kind, take, accept=accept, max_bytes=config.largest(kind))
        if config.goal is not None:
            goals = MESSAGES[config.goal.type]
            largest = config.largest(goals)
            transport.subscribe(config.goal.topic, goals, self.receive_goal, reliable=True, max_bytes=largest)

    def receive(self, name: str, message: Message, received: float) -> None:
        """Record a message of input `name`."""
        with self._lock:
            if self._finished:
                return
            log = self._logs[name]
            if isinstance(message, JointState):
                log.joints.update(dict.fromkeys(message.name))
            if not any(is_about(message, source) for source in log.channels.values()):
                # of another driver on the topic; `Inputs` leaves it out, too
                return
            log.received.append(received)
            log.clock.append(self._now() - (self._clock() - received))
            header = getattr(message, "header", None)
            if header is not None:
                log.stamps.append(header.stamp.seconds)
            log.values.append([read_channel(message, source) for source in log.channels.values()])
            for channel, source in log.channels.items():
                reason = why_absent(message, source)
                if reason:
                    log.absent.setdefault(channel, Counter())[reason] += 1

    def receive_goal(self, message: Message, received: float) -> None:
        """Count a message on the goal's topic."""
        with self._lock:
            self.goals += not self._finished

    def finish(self) -> dict[str, InputRecord]:
        """Stop recording, and return the messages of each input."""
        with self._lock:
            self._finished = True
            return {name: _recorded(log, self._clock()) for name, log in self._logs.items()}


@dataclass(frozen=True)
class ListeningResult:
    """All that a robot published while the preflight listened.

    Attributes:
        records: messages of each input.
        goals: number of messages on the goal's topic.
        endpoints: publishers and subscribers of other processes; None if the middleware cannot find them.
        monitors: the newest number of each monitor that has a topic; NaN without one.
        seconds: how long was listened [s].
    """

    records: Mapping[str, InputRecord]
    goals: int
    endpoints: Endpoints | None
    monitors: Mapping[str, float] = field(default_factory=dict)
    seconds: float = math.inf


def listen(config: BridgeConfig, transport: Transport, seconds: float) -> ListeningResult:
    """Listen to the inputs of a bridge file for some time [s]."""
    graph, before, listener = transport.graph(), transport.reception.counts(), Listener(config, transport)
    monitors = monitor_inputs(config.monitors, SharedTopics(config, transport, transport))
    time.sleep(seconds)
    records, refused = listener.finish(), transport.reception.counts()
    topics = {name: source.topic for name, source in config.inputs.items()}
    new = {name: refused.get(topic, 0) - before.get(topic, 0) for name, topic in topics.items()}
    counted = {name: replace(record, refused=new[name]) for name, record in records.items()}
    newest = {name: monitor.reading.value for name, monitor in monitors.items()}
    return ListeningResult(counted, listener.goals, graph.endpoints(), newest, seconds)


def why_absent(message: Message, source: ChannelInput) -> str:
    """The reason why a message does not hold a channel; empty if it does."""
    if not is_about(message, source):
        return NO_JOINT
    if isinstance(message, JointState):
        values = getattr(message, source.field)
        return "" if message.name.index(source.joint) < len(values) else SHORT if values else EMPTY
    parent, _, last = source.field.rpartition(".")
    if not last.isdigit():
        return ""
    values = message
    for part in parent.split("."):
        values = getattr(values, part)
    return "" if int(last) < len(values) else SHORT if values else EMPTY


def _recorded(log: _InputLog, now: float) -> InputRecord:
    columns = np.array(log.values, dtype=np.float64).reshape(len(log.received), len(log.channels)).T
    return InputRecord(
        np.array(log.received),
        np.array(log.clock),
        np.array(log.stamps) if log.stamps or not log.received else None,
        tuple(log.joints),
        dict(zip(log.channels, columns, strict=True)),
        {channel: dict(counts) for channel, counts in log.absent.items()},
        now - log.received[0] if log.received else 0.0,
    )
