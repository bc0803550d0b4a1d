"""Recording into a rosbag2 (MCAP) without ROS, on a thread of its own.

The control loop only puts a message into a queue. When the disk is too slow, messages are left out and counted, never waited for.
What is older than `SYNC_EVERY` is on disk even if the process is killed or the power fails; `reader` reads such a bag.
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
from pathlib import Path

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.rosbag2.storage_mcap import McapWriter

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.types import encode, require_known, typestore
from robot_bridge.middleware.messages import Message

Record = Callable[[Message, float], None]
"""Takes a message and when it was sent or received, monotonic [s]; returns at once. The message must not change later."""
CAPACITY = 4096
"""Messages that wait for the disk before new ones are left out."""
SYNC_EVERY = 1.0
"""Seconds of a recording that a kill or a power failure may cost."""


class BagRecorder:
    """Writes messages into a new bag.

    Args:
        folder: of the bag; must not exist.
        capacity: see `CAPACITY`.
        clock: monotonic [s].
        wall: since the epoch [s]; read once, so that a wall clock that is set does not tear the recording.

    Attributes:
        recorded: messages written.
        dropped: messages left out, by topic.
        failure: why recording has ended early, or an empty string.

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
        self._connections: dict[str, Connection] = {}
        self._queue: queue.Queue[tuple[str, Message, float] | None] = queue.Queue(capacity)
        self._closed = threading.Event()
        # a disk that is waited for holds the writer's lock, never that of the counts
        self._lock, self._count_lock = threading.Lock(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()
        # whatever ends the process in an orderly way also ends the bag
        atexit.register(self.close)

    def topic(self, name: str, message_type: type[Message], *, reliable: bool) -> Record:
        """A function that records messages of a topic.

        Raises:
            ConfigError: a type that cannot be recorded, or a topic that has another one already.
        """
        require_known(message_type)
        name = absolute_topic(name)
        with self._lock:
            known = self._connections.get(name)
            if known is not None and known.msgtype != message_type.ros_type:
                raise ConfigError(f"{name}: a {message_type.ros_type} here and a {known.msgtype} there; a topic has one type")
            if known is None and not self._closed.is_set():
                self._connections[name] = self._writer.add_connection(
                    name, message_type.ros_type, typestore=typestore(), offered_qos_profiles=[_qos(reliable)]
                )
        return lambda message, at: self._put(name, message, at)

    def report(self) -> str:
        """The recording in one line."""
        return "; ".join(filter(None, (f"{self.folder}: {self.recorded} messages recorded", self.problems)))

    @property
    def problems(self) -> str:
        """What the recording lacks, in words; empty for nothing."""
        with self._count_lock:
            left_out = ", ".join(f"{n} of {topic}" for topic, n in sorted(self.dropped.items()))
        failure = f"recording ended early: {self.failure}" if self.failure else ""
        return "; ".join(filter(None, (f"left out of the recording: {left_out}" if left_out else "", failure)))

    def close(self) -> None:
        """Write what waits, and finish the bag; later messages are left out."""
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
        """Write until closed; a full disk ends the recording, not the control."""
        try:
            self._write_all(self._writer)
            self._writer.close()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            self._closed.set()
            self._writer.abort()

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
    """A topic's name as it stands in a bag."""
    return f"/{topic.lstrip('/')}"


def _sync(writer: Writer) -> None:
    """Bring what is written so far to the disk, in a form that can be read without the index at the file's end."""
    storage = writer.storage
    if isinstance(storage, McapWriter) and storage.chunk.msgs:
        storage.close_chunk()
        storage.bio.flush()
        os.fsync(storage.bio.fileno())


def _qos(reliable: bool) -> Qos:
    """What the transports offer; `ros2 bag play` offers the same."""
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
