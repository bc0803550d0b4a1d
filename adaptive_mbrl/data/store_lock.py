"""Keeps a second program that adds files out of a store, so that no file is stored twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.file_lock import LOCK_FILE, Purpose, locked_file


class StoreInUseError(AdaptiveMBRLError):
    """Another process adds files to the same store."""


IMPORT = Purpose("importing into", "imports into", "--out", StoreInUseError)
PUSH = Purpose("adding episodes to", "adds episodes to", "training's", StoreInUseError)


@contextmanager
def store_lock(folder: Path, purpose: Purpose = IMPORT) -> Iterator[None]:
    """Hold the lock of a store's folder; the operating system releases it when the process ends, however that happens.

    A folder that does not exist is made, and removed in the end if nothing was stored in it.

    Args:
        folder: the folder of the store.
        purpose: what it is locked for.

    Raises:
        StoreInUseError: another process holds it.
    """
    is_new = not folder.exists()
    file = locked_file(folder, purpose)
    try:
        yield
    finally:
        (folder / LOCK_FILE).unlink(missing_ok=True)
        file.close()
        if is_new:
            with suppress(OSError):
                folder.rmdir()
