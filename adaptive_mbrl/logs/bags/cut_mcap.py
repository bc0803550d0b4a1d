"""An MCAP file whose end is missing, as after a kill or a power failure, made readable without a copy of it.

What is whole stays: the file's records, and the messages of a chunk that was being written, if it is not compressed.
An empty footer says that there is no index, so that readers look through the whole file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

MAGIC = b"\x89MCAP0\r\n"
_EMPTY_FOOTER = struct.pack("<BQQQI", 0x02, 20, 0, 0, 0) + MAGIC
_HEAD = struct.Struct("<BQ")
_CHUNK = 0x06
_TIMES_SIZE_AND_CHECKSUM = 28


def is_complete(path: Path) -> bool:
    """Whether an MCAP file has its end."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - len(MAGIC)))
        return size > len(MAGIC) and file.read() == MAGIC


def open_cut(path: Path) -> BinaryIO:
    """The file as if its recorder had ended it after the last whole message."""
    file = path.open("rb")
    size = _size_without_zeros(file)
    end = _end_of_records(file, min(len(MAGIC), size), size)
    parts = [(file, 0, end)]
    inside = _messages_of_chunk(file, end, size)
    if inside is not None:
        parts.append((file, inside, _end_of_records(file, inside, size)))
    footer = io.BytesIO(_EMPTY_FOOTER)
    return io.BufferedReader(_Parts([*parts, (footer, 0, len(_EMPTY_FOOTER))]))


def _size_without_zeros(file: BinaryIO) -> int:
    """Where the zeros begin that a file system leaves at the end of a file after a power failure."""
    end = file.seek(0, io.SEEK_END)
    while end > 0:
        begin = max(0, end - io.DEFAULT_BUFFER_SIZE)
        file.seek(begin)
        data = file.read(end - begin).rstrip(b"\0")
        if data:
            return begin + len(data)
        end = begin
    return 0


def _end_of_records(file: BinaryIO, begin: int, size: int) -> int:
    """Where the last whole record of a row of records ends."""
    end = begin
    while end + _HEAD.size <= size:
        file.seek(end)
        _, length = _HEAD.unpack(file.read(_HEAD.size))
        if end + _HEAD.size + length > size:
            break
        end += _HEAD.size + length
    return end


def _messages_of_chunk(file: BinaryIO, at: int, size: int) -> int | None:
    """Where the messages of a chunk begin that is not whole; None if no such chunk is there, or a compressed one."""
    file.seek(at)
    head = file.read(_HEAD.size + _TIMES_SIZE_AND_CHECKSUM + 4)
    compression = head[-4:]
    begin = at + len(head) + 8
    return begin if head[:1] == bytes([_CHUNK]) and compression == bytes(4) and begin <= size else None


class _Parts(io.RawIOBase):
    """Parts of files, (file, begin, end), as one file; closing it closes them."""

    def __init__(self, parts: Sequence[tuple[BinaryIO, int, int]]) -> None:
        self._parts, self._at = parts, 0
        self._size = sum(end - begin for _, begin, end in parts)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if self._at < 0:
            raise OSError("before the file's begin")
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        left = self._at
        for file, begin, end in self._parts:
            if left < end - begin:
                file.seek(begin + left)
                data = file.read(min(len(buffer), end - begin - left))
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            left -= end - begin
        return 0

    def close(self) -> None:
        for file, _, _ in self._parts:
            file.close()
        super().close()
