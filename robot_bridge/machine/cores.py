"""Which cores the control loop runs on, and which ones everything else."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from adaptive_mbrl.errors import ConfigError

ENOUGH = 3
"""With fewer cores the planner needs all of them."""


def parse_cores(text: str) -> frozenset[int]:
    """The cores in a list such as ``2,3``; none for an empty text.

    Raises:
        ConfigError: it is no such list.
    """
    words = [word.strip() for word in text.split(",")] if text else []
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ConfigError(f"cpus: got '{text}'; allowed: numbers of cores, such as 2,3, or nothing")
    return frozenset(map(int, words))


def divided(asked: Collection[int], usable: Collection[int]) -> tuple[frozenset[int], frozenset[int]]:
    """The cores of the control loop and those of everything else.

    Args:
        asked: cores that the user wants for the control loop; none to take the last one if there are enough.
        usable: the cores that the process may use.

    Returns:
        Both sets. They are the same, all usable ones, if nothing is divided.

    Raises:
        ConfigError: a core cannot be used.
    """
    everything = frozenset(usable)
    own = frozenset(asked) or (frozenset({max(everything)}) if len(everything) >= ENOUGH else everything)
    if own - everything:
        known = ", ".join(map(str, sorted(everything)))
        raise ConfigError(f"cpus: core {min(own - everything)} cannot be used; usable: {known} (CPUAffinity= of the service?)")
    return own, (everything - own) or everything


def keep_to(cores: Collection[int], threads: Collection[int]) -> None:
    """Keep all threads of this process, and those that they start, to some cores, except for the given threads."""
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) not in threads:
            try:
                os.sched_setaffinity(int(task.name), cores)
            except ProcessLookupError:
                # it has just ended
                continue
