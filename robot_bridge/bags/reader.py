"""Reads the topics of a bridge file from a rosbag2, also from one whose recording was cut off by a kill or a power failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.storage import Storage
from robot_bridge.bags.recorder import absolute_topic
from robot_bridge.bags.types import decode, typestore
from robot_bridge.middleware.messages import Message


class Bag:
    """A bag that is open for reading; a context manager.

    Args:
        path: the bag's folder, or one of its files.

    Attributes:
        topics: message type of each topic, by the topic's name.
        was_cut: whether the recording was cut off; then all complete messages are read.
        begin: time of the first message of all since the epoch [ns]; None in an empty bag.

    Raises:
        ConfigError: there is no bag, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._storage = Storage(path)
        self.was_cut, self.begin = self._storage.was_cut, self._storage.begin
        self.topics = {c.topic: c.msgtype for c in self._storage.connections}

    def messages(self, wanted: Mapping[str, type[Message]]) -> Iterator[tuple[str, int, Message]]:
        """All messages of the wanted topics, in any order: topic, time of arrival since the epoch [ns], and message.

        Args:
            wanted: the class of each topic's messages, by the topic's name.

        Raises:
            ConfigError: the bag lacks a topic, has it with another type or another definition of that type, or is damaged.
        """
        names = {absolute_topic(topic): topic for topic in wanted}
        for name, topic in names.items():
            self._require(name, wanted[topic])
        for connection, received, raw in self._storage.messages(names):
            topic = names[connection.topic]
            try:
                yield topic, received, decode(raw, wanted[topic])
            except ConfigError as error:
                raise ConfigError(f"{self.path}: {connection.topic}: {error}") from error

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *error: object) -> None:
        self._storage.__exit__(*error)

    def _require(self, topic: str, message_type: type[Message]) -> None:
        if topic not in self.topics:
            has = ", ".join(f"{name} ({type_name})" for name, type_name in sorted(self.topics.items())) or "none"
            raise ConfigError(f"{self.path}: no topic {topic} ({message_type.ros_type}); topics in the bag: {has}")
        connections = [c for c in self._storage.connections if c.topic == topic]
        wrong = next((c.msgtype for c in connections if c.msgtype != message_type.ros_type), None)
        if wrong is not None:
            raise ConfigError(f"{self.path}: topic {topic} is a {wrong}; the bridge file says {message_type.ros_type}")
        ours = typestore().hash_rihs01(message_type.ros_type)
        if {c.digest for c in connections if c.digest.startswith("RIHS01_")} - {ours}:
            raise ConfigError(f"{self.path}: topic {topic}: another definition of {message_type.ros_type} than ROS 2 Jazzy's")
