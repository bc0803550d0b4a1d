"""Listens to everything that is about one robot, without being noticed by those who send it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from robot_bridge.middleware.messages import Message
from robot_bridge.middleware.reception import MAX_SAMPLE_BYTES
from robot_bridge.middleware.transport import Transport
from robot_bridge.streams.watched import Watched

Take = Callable[[str, Message, int], None]
"""Takes the name of a topic, one of its messages, and when it arrived, since the epoch [ns]."""


def listen(watched: Watched, transport: Transport, take: Take) -> None:
    """Hand on what comes on every topic of a robot from now on.

    All subscriptions are best effort: whoever only looks must not make a sender wait, or send again.
    """

    def receive(topic: str, message: Message, received: float) -> None:
        # times of arrival are monotonic, and viewers show times since the epoch
        take(topic, message, time.time_ns() - round(1e9 * (time.monotonic() - received)))

    for topic, message_type in watched.topics.items():
        transport.subscribe(topic, message_type, partial(receive, topic), reliable=False, max_bytes=MAX_SAMPLE_BYTES)


def silence(watched: Watched, heard: Counter[str]) -> str:
    """The end of a sentence that names the topics on which nothing came; empty if there are none.

    Args:
        watched: the robot and its node.
        heard: number of messages of each topic.
    """
    silent = [topic for topic in watched.topics if not heard[topic]]
    return f"; nothing came on {', '.join(silent)}" if silent else ""
