"""Keeps the newest number of every monitor that has a topic of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from adaptive_mbrl.stamp_order import is_new
from robot_bridge.middleware.health_messages import HEALTH_MESSAGES
from robot_bridge.middleware.messages import Message
from robot_bridge.middleware.transport import Transport
from robot_bridge.monitor_values import monitored_value
from robot_bridge.safety.monitor_config import MonitorConfig
from robot_bridge.safety.monitors import Reading


class MonitorInput:
    """The newest number of one monitor. `receive` runs on the transport's thread.

    Args:
        config: where the number is.

    Attributes:
        reading: the newest finite number, and when it came.
    """

    def __init__(self, config: MonitorConfig) -> None:
        self._config, self._stamp = config, -math.inf
        self.reading = Reading()

    def receive(self, message: Message, received: float) -> None:
        """Take over a number. One that is not finite counts as none, and so does a message that was there before.

        A driver that hangs may send its last message again and again; the stamp tells. Drivers that leave their stamps at zero
        are believed.
        """
        value = monitored_value(message, self._config)
        if value is None or not math.isfinite(value):
            return
        header = getattr(message, "header", None)
        stamp = 0.0 if header is None else header.stamp.seconds
        if stamp and not is_new(stamp, self._stamp):
            return
        self._stamp = stamp or self._stamp
        self.reading = Reading(value, received)


def monitor_inputs(configs: Mapping[str, MonitorConfig], transport: Transport) -> dict[str, MonitorInput]:
    """Subscribe to the topics of monitors, once to each.

    Args:
        configs: the monitors by name.
        transport: the transport of their topics.

    Returns:
        The readers of those monitors that are no channels, by name.
    """
    readers = {name: MonitorInput(config) for name, config in configs.items() if not config.channel}
    topics = {configs[name].topic: configs[name].type for name in readers}
    for topic, message_type in topics.items():
        of_topic = [reader for name, reader in readers.items() if configs[name].topic == topic]
        transport.subscribe(topic, HEALTH_MESSAGES[message_type], partial(_receive_all, of_topic))
    return readers


def _receive_all(readers: Sequence[MonitorInput], message: Message, received: float) -> None:
    for reader in readers:
        reader.receive(message, received)
