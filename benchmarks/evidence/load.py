"""Other work on the machine: one process for each core that never pauses, with normal priority."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BUSY = """
import math, signal
from adaptive_mbrl.runtime import end_with_parent
end_with_parent(signal.SIGKILL)
while True:
    math.sqrt(2.0)
"""
"""It ends with the measurement, also with one that was killed."""


@contextmanager
def busy_cores(is_on: bool) -> Iterator[None]:
    """Keep every core that this process may use busy, if asked to."""
    count = len(os.sched_getaffinity(0)) if is_on else 0
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
