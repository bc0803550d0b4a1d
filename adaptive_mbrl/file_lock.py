"""A file that one process at a time holds, and that says which one: a second one is refused instead of mixing its files in."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from adaptive_mbrl.errors import AdaptiveMBRLError

LOCK_FILE = "lock"
SECONDS_OF_A_LOOK = 0.1
"""`is_held` has a lock for a much shorter time than this."""


@dataclass(frozen=True)
class Purpose:
    """What a folder is locked for.

    Attributes:
        doing: what the process that holds it is doing, such as "training in".
        does: what no other process may do, such as "trains in".
        flag: the flag that names the folder.
        error: what is raised if another process holds it.
    """

    doing: str
    does: str
    flag: str
    error: type[AdaptiveMBRLError]


def locked_file(folder: Path, purpose: Purpose) -> TextIO:
    """Open and lock the lock file of a folder, which is made if it is not there.

    The lock is held until the file is closed; the operating system releases it when the process ends, however that happens. Where
    a file system has no locks, that is said, and the file is given without one.

    Args:
        folder: the folder.
        purpose: what it is locked for.

    Raises:
        AdaptiveMBRLError: another process holds it; the class is that of the purpose.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = (folder / LOCK_FILE).open("a+", encoding="utf-8")
        except FileNotFoundError:
            # another process has just removed the folder
            continue
        if not _lock(file, folder, purpose) or os.fstat(file.fileno()).st_nlink:
            break
        # another process has just removed the file
        file.close()
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    return file


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a folder."""
    try:
        with (folder / LOCK_FILE).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # there is no lock yet, or the file system has none
        return False
    return False


def _lock(file: TextIO, folder: Path, purpose: Purpose) -> bool:
    """Lock a file; False if the file system cannot."""
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # somebody may just be looking whether it is held
            time.sleep(SECONDS_OF_A_LOOK)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise purpose.error(
            f"{folder}: {holder} is {purpose.doing} this folder; wait until it has ended, or choose another {purpose.flag} folder"
        ) from error
    except OSError as error:
        tqdm.write(f"{folder}: cannot be locked ({error.strerror}); make sure that no other process {purpose.does} this folder")
        return False
    return True
