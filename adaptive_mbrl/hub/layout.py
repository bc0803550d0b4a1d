"""What a checkpoint consists of where it is kept for others: these files, no others, and their hashes in SHA256SUMS."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from adaptive_mbrl.checkpoint import CHECKPOINT_FILES
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.card import CARD_FILE

SUMS_FILE = "SHA256SUMS"
"""In the form that `sha256sum --check` reads."""
MAX_TEXT, MAX_TENSORS = 1 << 20, 1 << 30
LIMITS: Mapping[str, int] = {
    SUMS_FILE: MAX_TEXT,
    CARD_FILE: MAX_TEXT,
    **{name: MAX_TENSORS if name.endswith(".safetensors") else MAX_TEXT for name in CHECKPOINT_FILES},
}
"""The files, and how large each may be [bytes]."""
_CHUNK = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S+)")


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, up to so many; none at the end."""
        ...


def require_file(name: str, size: int, source: str) -> None:
    """Refuse a file that is no part of a checkpoint, or is too large for one.

    Args:
        name: its name.
        size: its size as far as it is known [bytes].
        source: where it comes from, for the message.
    """
    if name not in LIMITS:
        raise CheckpointError(f"{source}: '{name}' is no file of a checkpoint; allowed: {', '.join(LIMITS)}")
    if size > LIMITS[name]:
        raise CheckpointError(f"{source}: '{name}' has {size:,} bytes; allowed: {LIMITS[name]:,}")


def copy_limited(content: Readable, path: Path, limit: int, source: str) -> None:
    """Copy a stream into a new file, and stop where it is longer than it may be.

    Args:
        content: the stream; what it says about its length is not trusted.
        path: the file.
        limit: most bytes.
        source: where it comes from, for the message.
    """
    size = 0
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise CheckpointError(f"{source}: '{path.name}' has more than {limit:,} bytes")
            file.write(chunk)


def write_sums(folder: Path) -> None:
    """Write the hash of every other file of a folder into SHA256SUMS."""
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS_FILE)
    write_text_atomically(folder / SUMS_FILE, "".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def read_sums(path: Path, source: str) -> dict[str, str]:
    """The hash of each file that a SHA256SUMS names.

    Raises:
        CheckpointError: a line is not a hash and a name, or the file is no part of a checkpoint.
    """
    sums = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise CheckpointError(f"{source}: {SUMS_FILE}, line {number}: allowed: a SHA-256, two spaces and the name of a file")
        require_file(found[2], 0, source)
        sums[found[2]] = found[1]
    return sums


def require_sums(folder: Path, source: str) -> None:
    """Refuse a folder whose files are not exactly those of its SHA256SUMS.

    Raises:
        CheckpointError: a file is missing, is not listed, or has another hash.
    """
    if not (folder / SUMS_FILE).is_file():
        raise CheckpointError(
            f"{source}: has no {SUMS_FILE}; allowed: a checkpoint that 'adaptive-mbrl push' wrote, "
            f"or one in whose folder 'sha256sum *.* > {SUMS_FILE}' was run"
        )
    sums = read_sums(folder / SUMS_FILE, source)
    there = {path.name for path in folder.iterdir()} - {SUMS_FILE}
    _require_none(there - set(sums), f"{source}: not in {SUMS_FILE}: ")
    _require_none(set(sums) - there, f"{source}: in {SUMS_FILE}, but missing: ")
    _require_none((name for name in sums if sha256(folder / name) != sums[name]), f"{source}: changed since it was pushed: ")


def _require_none(names: Iterable[str], message: str) -> None:
    found = sorted(names)
    if found:
        raise CheckpointError(message + ", ".join(found))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
