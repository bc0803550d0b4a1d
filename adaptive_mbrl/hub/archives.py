"""Checkpoints in one file, .tar.gz or .zip.

An archive from elsewhere may name paths outside of its folder, hold links and devices, or be small and unpack to very much. So
nothing is extracted by its path: each member has to be a plain file whose name is one of a checkpoint, and its bytes are counted.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.hub.layout import LIMITS, MAX_TENSORS, copy_limited, require_file

_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What the two libraries raise of an archive that is cut, damaged, encrypted or of a kind that they do not know."""


class _Member(NamedTuple):
    """A file of an archive: its path there, its size as the archive says it [bytes], and its content; None for a link."""

    path: str
    size: int
    content: IO[bytes] | None


def unpack(archive: Path, folder: Path, source: str) -> None:
    """Write the files of an archive into a folder.

    Args:
        archive: the file.
        folder: an empty folder.
        source: where the archive comes from, for messages.

    Raises:
        CheckpointError: it is damaged, too large, or holds something else than the files of one checkpoint.
    """
    parents = set()
    try:
        with _opened(archive, source) as members:
            for member in members:
                parent, _, name = member.path.removeprefix("./").rpartition("/")
                parents.add(parent)
                require_file(name, member.size, source)
                if member.content is None or len(parents) > 1 or (folder / name).exists():
                    raise CheckpointError(f"{source}: '{member.path}': allowed: plain files, each once, all in one folder")
                copy_limited(member.content, folder / name, LIMITS[name], source)
    except _DAMAGED as error:
        raise CheckpointError(f"{source}: damaged archive: {error}") from error


@contextmanager
def _opened(archive: Path, source: str) -> Iterator[Iterator[_Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(file)
        return
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "archive.tar"
        # headers of a tar may be as long as they like; unpacked, all of it together has a limit
        with gzip.open(archive) as packed:
            copy_limited(packed, plain, MAX_TENSORS, source)
        with tarfile.open(plain, "r:") as tar:
            yield _tar_members(tar)


def _zip_members(file: zipfile.ZipFile) -> Iterator[_Member]:
    for info in file.infolist():
        if not info.is_dir():
            with file.open(info) as content:
                yield _Member(info.filename, info.file_size, content)


def _tar_members(file: tarfile.TarFile) -> Iterator[_Member]:
    for info in file:
        if not info.isdir():
            yield _Member(info.name, info.size, file.extractfile(info) if info.isreg() else None)


def pack(folder: Path, archive: Path) -> None:
    """Write the files of a folder into a new archive, whose kind its ending tells; it is complete or not there at all."""
    kind = "zip" if archive.name.endswith(".zip") else "gztar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".unfinished-") as scratch:
        made = shutil.make_archive(str(Path(scratch) / "archive"), kind, root_dir=folder)
        os.replace(made, archive)
