"""How much memory a process has, and how close this one is to the end of it, said before the kernel or the guard ends it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from robot_bridge.machine.control_group import ControlGroup
from robot_bridge.machine.judgement import ERROR, WARN, Judgement, worst

WARN_SHARE, ERROR_SHARE = 0.8, 0.95
"""Shares of a limit from which on memory is warned of, and is an error."""
SCARCE = 0.05
"""Share of the machine's memory below which what is available is warned of."""
_MEBI = 1 << 20


def _kibibytes(file: str) -> dict[str, int]:
    """The lines of a file of /proc that are in kB, as bytes."""
    found = {}
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) << 10
    return found


def resident_memory(process: int) -> float:
    """The resident memory of a process [MiB]; 0 for one that has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEBI


class MemoryWatch:
    """Compares the memory of this process and of its control group with their limits.

    Args:
        limit: largest resident memory of this process [MiB]; 0 for no limit.
        group: the control group.
        read: function that gives the values of `/proc/self/status` and `/proc/meminfo` in bytes, by name.
    """

    def __init__(self, limit: float, group: ControlGroup, read: Callable[[str], dict[str, int]] = _kibibytes) -> None:
        self._limit, self._group, self._read = limit * _MEBI, group, read

    def look(self) -> Judgement:
        """The condition of the memory."""
        own, machine, group = self._read("/proc/self/status"), self._read("/proc/meminfo"), self._group.memory()
        resident, swapped = own.get("VmRSS", 0), own.get("VmSwap", 0)
        values: dict[str, object] = {"resident [MiB]": resident // _MEBI, "swapped out [MiB]": swapped // _MEBI}
        found: dict[str, int] = {}
        if self._limit:
            values["limit of the guard [MiB]"] = self._limit // _MEBI
            found |= _near(resident, self._limit, "its --memory-limit, at which it is ended")
        if group is not None:
            values |= {"control group uses [MiB]": group.used // _MEBI, "limit of the control group [MiB]": group.limit // _MEBI}
            found |= _near(group.used, group.limit, "the limit of its control group")
        available, total = machine.get("MemAvailable", 0), machine.get("MemTotal", 0)
        values["available on this machine [MiB]"] = available // _MEBI
        if available < SCARCE * total:
            found[f"the machine has {available // _MEBI} MiB of memory left"] = WARN
        if swapped >= _MEBI:
            found[f"{swapped // _MEBI} MiB of this process are swapped out"] = WARN
        return worst(found, f"{resident // _MEBI} MiB", values)


def _near(used: float, limit: float, of_what: str) -> dict[str, int]:
    share = used / limit
    words = f"memory is at {share:.0%} of {of_what}"
    return {words: ERROR if share >= ERROR_SHARE else WARN} if share >= WARN_SHARE else {}
