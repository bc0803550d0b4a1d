"""The last command in a small file, for a node that starts after another one was killed.

The file is mapped into memory, so that writing it is no call of the system and survives the end of the process, though not that
of the machine. It has two places that are written in turn, each with a check sum: whenever the process is killed, one of them is
whole.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError

Array = NDArray[np.float64]
_HEAD = struct.Struct("<IQd36s")
"""Check sum, number of the command, when it was sent [s, monotonic], which boot of the machine that clock belongs to."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def memory_path(path: str | Path, topic: str) -> Path:
    """The file of one robot; its name ends in a number that stands for the topic of commands.

    So one bridge file serves several robots, each in a namespace of its own.

    Args:
        path: the file in the bridge file.
        topic: the whole name of the topic of commands.
    """
    return Path(f"{path}.{zlib.crc32(topic.encode()):08x}")


class CommandMemory:
    """The last command of one robot.

    Args:
        path: the file, which is made where there is none.
        size: number of action channels.

    Raises:
        ConfigError: the file cannot be opened.
    """

    def __init__(self, path: str | Path, size: int) -> None:
        self._size, self._length = size, _HEAD.size + 8 * size
        self._boot = _BOOT.read_bytes().strip()[:36] if _BOOT.exists() else b"?" * 36
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with Path(path).open("a+b") as file:
                # it may only grow: another process that has mapped it would be killed where the file ends earlier
                if file.seek(0, 2) < 2 * self._length:
                    file.truncate(2 * self._length)
                self._map = mmap.mmap(file.fileno(), 2 * self._length)
        except OSError as error:
            raise ConfigError(f"key 'ownership.memory': '{path}' cannot be opened: {error.strerror}") from error
        self._number = max((found[0] for found in map(self._read, (0, 1)) if found is not None), default=0)

    def keep(self, command: Array, at: float) -> None:
        """Keep a command, (action_dim,), that was sent at this time, monotonic [s]."""
        self._number += 1
        values = np.asarray(command, dtype="<f8").tobytes()
        head = _HEAD.pack(0, self._number, at, self._boot)[4:]
        place = (self._number % 2) * self._length
        self._map[place : place + self._length] = struct.pack("<I", zlib.crc32(head + values)) + head + values

    def forget(self) -> None:
        """The robot was brought to rest, so that a node that starts later need not go on from anything."""
        self._map[:] = bytes(len(self._map))

    def last(self, now: float, seconds: float) -> Array | None:
        """The last command, (action_dim,), if it was sent in the last `seconds` before `now`, monotonic [s]; None otherwise."""
        found = [read for read in map(self._read, (0, 1)) if read is not None]
        if not found:
            return None
        # another process that stood by may have begun to count elsewhere, but has the same clock
        _, at, command = max(found, key=lambda read: read[1])
        return command if 0 <= now - at <= seconds and np.isfinite(command).all() else None

    def close(self) -> None:
        """Close the file."""
        self._map.close()

    def _read(self, place: int) -> tuple[int, float, Array] | None:
        """The number, the time and the values at one of the two places; None if they are not whole or of another boot."""
        content = self._map[place * self._length : (place + 1) * self._length]
        check, number, at, boot = _HEAD.unpack_from(content)
        if not number or check != zlib.crc32(content[4:]) or boot != self._boot:
            return None
        return number, at, np.frombuffer(content, dtype="<f8", offset=_HEAD.size).copy()
