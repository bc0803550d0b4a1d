"""Keeps a second import out of a folder, so that no file is stored twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.file_lock import LOCK_FILE, Purpose, locked_file


class StoreInUseError(AdaptiveMBRLError):
    """Another process imports into the same store."""


_IMPORT = Purpose("importing into", "imports into", "--out", StoreInUseError)


@contextmanager
def store_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a store's folder; the operating system releases it when the process ends, however that happens.

    A folder that does not exist is made, and removed in the end if nothing was stored in it.

    Raises:
        StoreInUseError: another process holds it.
    """
    is_new = not folder.exists()
    file = locked_file(folder, _IMPORT)
    try:
        yield
    finally:
        (folder / LOCK_FILE).unlink(missing_ok=True)
        file.close()
        if is_new:
            with suppress(OSError):
                folder.rmdir()
