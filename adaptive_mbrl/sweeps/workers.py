"""Who works on a sweep, and who has died: each process keeps a file in the sweep's folder.

On one machine the lock of the file tells, which the operating system releases when the process ends, however that happens.
Another machine tells from the time of the file, which its process renews, since not every shared file system knows the locks of
others.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WORKERS = "workers"
LOCK_FILE = "study.lock"
SECONDS_BETWEEN_SIGNS = 10.0
SECONDS_UNTIL_DEAD = 120.0
"""After so long without a sign of life a process on another machine counts as dead."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within the block, no other process that shares the sweep's folder is in such a block, if the file system has locks."""
    with (folder / LOCK_FILE).open("w", encoding="utf-8") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Worker:
    """This process, as a worker of a sweep.

    Args:
        folder: the folder of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / WORKERS
        self._host = socket.gethostname()
        # the random part tells a process apart from a later one of the same number
        self.name = f"{self._host}.{os.getpid()}.{secrets.token_hex(4)}"

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Within the block, others see that this process works."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path, ended = self._folder / self.name, threading.Event()
        with path.open("w", encoding="utf-8") as file:
            with suppress(OSError):
                # a file system without locks: the time of the file must do
                fcntl.flock(file, fcntl.LOCK_EX)
            thread = threading.Thread(target=self._show_signs, args=(path, ended), daemon=True)
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()
                path.unlink(missing_ok=True)

    def is_dead(self, name: str) -> bool:
        """Whether another worker works no more."""
        path = self._folder / name
        if name == self.name:
            return False
        try:
            with path.open(encoding="utf-8") as file:
                if name.startswith(f"{self._host}."):
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return True
                # both times are the file server's, whatever the clocks of the machines say
                return (self._folder / self.name).stat().st_mtime - path.stat().st_mtime > SECONDS_UNTIL_DEAD
        except FileNotFoundError:
            return True
        except OSError:
            # it holds the lock, or nobody can tell
            return False

    def _show_signs(self, path: Path, ended: threading.Event) -> None:
        while not ended.wait(SECONDS_BETWEEN_SIGNS):
            with suppress(OSError):
                path.touch()
