"""Other work on the machine: processes that never pause, with normal priority."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

BUSY = """
import math, signal
from adaptive_mbrl.runtime import end_with_parent
end_with_parent(signal.SIGKILL)
while True:
    math.sqrt(2.0)
"""
"""It ends with the measurement, also with one that was killed."""


def busy_cores(is_on: bool) -> AbstractContextManager[None]:
    """Keep every core that this process may use busy, if asked to."""
    return busy_processes(len(os.sched_getaffinity(0)) if is_on else 0)


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Run so many of them."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
