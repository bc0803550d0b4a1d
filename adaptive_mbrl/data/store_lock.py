"""Keeps a second import out of a folder, so that no file is stored twice."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from adaptive_mbrl.errors import AdaptiveMBRLError

LOCK_FILE = "lock"


class StoreInUseError(AdaptiveMBRLError):
    """Another process imports into the same store."""


@contextmanager
def store_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a store's folder; the operating system releases it when the process ends, however that happens.

    A folder that does not exist is made, and removed in the end if nothing was stored in it.

    Raises:
        StoreInUseError: another process holds it.
    """
    is_new = not folder.exists()
    file = _opened(folder)
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
    finally:
        (folder / LOCK_FILE).unlink(missing_ok=True)
        file.close()
        if is_new:
            with suppress(OSError):
                folder.rmdir()


def _opened(folder: Path) -> TextIO:
    """The lock file of a folder, which is locked until it is closed."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = (folder / LOCK_FILE).open("a+", encoding="utf-8")
        except FileNotFoundError:
            # the other process has just removed the folder
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise StoreInUseError(
                f"{folder}: {holder} is importing into this folder; wait until it has ended, or choose another --out folder"
            ) from error
        except OSError as error:
            print(f"{folder}: cannot be locked ({error.strerror}); make sure that no other process imports into this folder")
            return file
        if os.fstat(file.fileno()).st_nlink:
            return file
        # the other process has just removed the file
        file.close()
