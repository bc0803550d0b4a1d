"""The index of a recording that is being written, on disk instead of in memory: a recording may run for days.

An MCAP file ends with an entry for each of its chunks, of which there is one a second here. `rosbags` keeps these entries in a
list until the file ends, which took 1.7 MB an hour.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

_LENGTH = 4
"""Bytes of an entry's length."""


class ChunkIndex:
    """What `McapWriter` needs of its list of chunks.

    Args:
        folder: a folder on the disk of the recording; the file in it has no name and vanishes with the process.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close` closes it
        self._count = 0

    def append(self, entry: BytesIO) -> None:
        """Take over the entry of another chunk."""
        content = entry.getvalue()
        self._file.write(len(content).to_bytes(_LENGTH, "little") + content)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[BytesIO]:
        self._file.seek(0)
        for _ in range(self._count):
            entry = BytesIO()
            entry.write(self._file.read(int.from_bytes(self._file.read(_LENGTH), "little")))
            yield entry

    def close(self) -> None:
        """Give the file back; the index is read by then."""
        self._file.close()
