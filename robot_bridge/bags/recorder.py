"""Records into a rosbag2 (MCAP) without ROS, on a thread of its own.

The control loop only puts messages into a queue and never waits for the disk. When the disk is too slow, messages are left out
and counted. Messages older than `SYNC_EVERY` are on disk even if the process is killed or the power fails; `reader` reads such a
bag.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import cast

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.rosbag2.storage_mcap import McapWriter

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.chunk_index import ChunkIndex
from robot_bridge.bags.types import encode, require_known, typestore
from robot_bridge.middleware.messages import Message

Record = Callable[[Message, float], None]
"""Records a message with the time at which it was sent or received, monotonic [s].

It returns at once. The message must not be changed afterwards.
"""
CAPACITY = 4096
"""Number of messages that may wait for the disk; further ones are left out."""
SYNC_EVERY = 1.0
"""How much of a recording a kill or a power failure may cost [s]."""


class BagRecorder:
    """Writes messages into a new bag.

    Args:
        folder: the folder that becomes the bag; it must not exist yet.
        capacity: number of messages that may wait for the disk.
        clock: function that gives the monotonic time [s].
        wall: function that gives the time since the epoch [s]. It is read once, so that setting the wall clock during a recording
            does not tear it apart.

    Attributes:
        recorded: number of messages that were written.
        dropped: number of messages that were left out, by topic.
        failure: reason why the recording ended early; empty if it did not.

    Raises:
        ConfigError: the folder exists already.
    """

    def __init__(
        self,
        folder: Path,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.recorded, self.dropped, self.failure = 0, Counter[str](), ""
        self._epoch = round((wall() - clock()) * 1e9)
        try:
            self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except WriterError as error:
            raise ConfigError(f"{folder}: exists already; a bag is never overwritten") from error
        self._index = ChunkIndex(folder)
        if isinstance(self._writer.storage, McapWriter):
            self._writer.storage.chunks = cast("list[BytesIO]", self._index)
        self._connections: dict[str, Connection] = {}
        self._queue: queue.Queue[tuple[str, Message, float] | None] = queue.Queue(capacity)
        self._closed = threading.Event()
        # two locks: the thread may hold the writer's lock for long, while it waits for the disk
        self._lock, self._count_lock = threading.Lock(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()
        # the bag is finished however the process ends, except by a kill
        atexit.register(self.close)

    def topic(self, name: str, message_type: type[Message], *, reliable: bool) -> Record:
        """A function that records messages of a topic.

        Raises:
            ConfigError: messages of this type cannot be recorded, or the topic has another type already.
        """
        require_known(message_type)
        name = absolute_topic(name)
        with self._lock:
            known = self._connections.get(name)
            if known is not None and known.msgtype != message_type.ros_type:
                raise ConfigError(
                    f"{name}: got {message_type.ros_type}; the topic is recorded as {known.msgtype}, and has one type"
                )
            if known is None and not self._closed.is_set():
                self._connections[name] = self._writer.add_connection(
                    name, message_type.ros_type, typestore=typestore(), offered_qos_profiles=[_qos(reliable)]
                )
        return lambda message, at: self._put(name, message, at)

    def report(self) -> str:
        """A line about the recording, for the user."""
        return "; ".join(filter(None, (f"{self.folder}: {self.recorded} messages recorded", self.problems)))

    @property
    def problems(self) -> str:
        """What is missing from the recording, in words; empty if it is complete."""
        with self._count_lock:
            left_out = ", ".join(f"{n} of {topic}" for topic, n in sorted(self.dropped.items()))
        failure = f"recording ended early: {self.failure}" if self.failure else ""
        return "; ".join(filter(None, (f"left out of the recording: {left_out}" if left_out else "", failure)))

    def close(self) -> None:
        """Write the messages that still wait, and finish the bag; later messages are left out."""
        atexit.unregister(self.close)
        self._closed.set()
        with suppress(queue.Full):
            self._queue.put_nowait(None)  # wakes the thread
        self._thread.join()

    def _put(self, topic: str, message: Message, at: float) -> None:
        try:
            if not self._closed.is_set():
                self._queue.put_nowait((topic, message, at))
                return
        except queue.Full:
            pass
        with self._count_lock:
            self.dropped[topic] += 1

    def _run(self) -> None:
        """Write until closed. An error such as a full disk ends the recording, but not the control loop."""
        try:
            self._write_all(self._writer)
            self._writer.close()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            self._closed.set()
            self._writer.abort()
        finally:
            self._index.close()

    def _write_all(self, writer: Writer) -> None:
        synced = time.monotonic()
        while not (self._closed.is_set() and self._queue.empty()):
            try:
                entry = self._queue.get(timeout=SYNC_EVERY)
            except queue.Empty:
                entry = None
            with self._lock:
                if entry is not None:
                    topic, message, at = entry
                    writer.write(self._connections[topic], round(at * 1e9) + self._epoch, encode(message))
                    self.recorded += 1
                if time.monotonic() - synced >= SYNC_EVERY:
                    _sync(writer)
                    synced = time.monotonic()


def absolute_topic(topic: str) -> str:
    """A topic's name as bags have it, with a slash in front."""
    return f"/{topic.lstrip('/')}"


def _sync(writer: Writer) -> None:
    """Force everything written so far onto the disk, in a form that is readable without the index at the file's end."""
    storage = writer.storage
    if isinstance(storage, McapWriter) and storage.chunk.msgs:
        storage.close_chunk()
        storage.bio.flush()
        os.fsync(storage.bio.fileno())


def _qos(reliable: bool) -> Qos:
    """The quality of service of the transports, which `ros2 bag play` then offers as well."""
    forever = QosTime(9223372036, 854775807)
    return Qos(
        QosHistory.KEEP_LAST,
        1,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.VOLATILE,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
