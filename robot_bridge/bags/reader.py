"""Reads a rosbag2, also one whose recording was cut off by a kill or a power failure."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import McapReader

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.recorder import absolute_topic
from robot_bridge.bags.types import decode, typestore
from robot_bridge.middleware.messages import Message

_MAGIC = b"\x89MCAP0\r\n"
_EMPTY_FOOTER = struct.pack("<BQQQI", 0x02, 20, 0, 0, 0) + _MAGIC
"""The end of a file without an index; readers then look through the whole file."""


class Bag:
    """A bag that is open for reading; a context manager.

    Args:
        path: the bag's folder, or one of its files.

    Attributes:
        topics: message type of each topic, by the topic's name.
        was_cut: whether the recording was cut off; then all complete messages are read.

    Raises:
        ConfigError: there is no bag, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.was_cut = path, False
        self._stack = ExitStack()
        self._readers = [self._open(file) for file in self._files()]
        self._connections = [(reader, c) for reader in self._readers for c in reader.connections]
        self.topics = {c.topic: c.msgtype for _, c in self._connections}

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
        for reader in self._readers:
            connections = [c for c in reader.connections if c.topic in names]
            # without an index, messages come in the order in which they were written
            read = reader.messages_scan if isinstance(reader, _CutMcapReader) else reader.messages
            messages = iter(read(connections)) if connections else iter(())
            while True:
                try:
                    connection, received, raw = next(messages)
                except StopIteration:
                    break
                except Exception as error:
                    raise self._unreadable(error) from error
                topic = names[connection.topic]
                try:
                    yield topic, received, decode(raw, wanted[topic])
                except ConfigError as error:
                    raise ConfigError(f"{self.path}: {connection.topic}: {error}") from error

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _files(self) -> list[Path]:
        """The bag itself, or the files in it if its metadata is missing."""
        if not self.path.exists():
            raise ConfigError(f"{self.path}: no such bag")
        if not self.path.is_dir() or (self.path / "metadata.yaml").exists():
            return [self.path]
        self.was_cut = True
        files = sorted(f for f in self.path.iterdir() if f.suffix in (".mcap", ".db3"))
        if not files:
            raise ConfigError(f"{self.path}: not a rosbag2 (it has no metadata.yaml, .mcap or .db3 file)")
        return files

    def _open(self, path: Path) -> Any:
        reader: Any
        try:
            reader = _CutMcapReader(path) if path.suffix == ".mcap" and not _is_complete(path) else Reader(path)
            reader.open()
        except Exception as error:
            # a damaged file can fail in any way
            raise self._unreadable(error) from error
        self.was_cut |= isinstance(reader, _CutMcapReader)
        self._stack.callback(reader.close)
        return reader

    def _require(self, topic: str, message_type: type[Message]) -> None:
        if topic not in self.topics:
            has = ", ".join(f"{name} ({type_name})" for name, type_name in sorted(self.topics.items())) or "none"
            raise ConfigError(f"{self.path}: no topic {topic} ({message_type.ros_type}); topics in the bag: {has}")
        wrong = next((c.msgtype for _, c in self._connections if c.topic == topic and c.msgtype != message_type.ros_type), None)
        if wrong is not None:
            raise ConfigError(f"{self.path}: topic {topic} is a {wrong}; the bridge file says {message_type.ros_type}")
        ours = typestore().hash_rihs01(message_type.ros_type)
        digests = {c.digest for _, c in self._connections if c.topic == topic and c.digest.startswith("RIHS01_")}
        if digests - {ours}:
            raise ConfigError(f"{self.path}: topic {topic}: another definition of {message_type.ros_type} than ROS 2 Jazzy's")

    def _unreadable(self, error: Exception) -> ConfigError:
        return ConfigError(f"{self.path}: the bag cannot be read ({error}); 'ros2 bag reindex' or 'mcap recover' may restore it")


class _CutMcapReader(McapReader):
    """Reads the complete records of an MCAP file whose end is missing."""

    def open(self) -> None:
        self.bio = _repaired(Path(str(self.path)))
        self._open()


def _is_complete(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - len(_MAGIC)))
        return size > len(_MAGIC) and file.read() == _MAGIC


def _repaired(path: Path) -> BinaryIO:
    content = path.read_bytes()
    end = len(_MAGIC)
    while end + 9 <= len(content):
        (size,) = struct.unpack_from("<Q", content, end + 1)
        if end + 9 + size > len(content):
            break
        end += 9 + size
    return io.BytesIO(content[:end] + _EMPTY_FOOTER)
