"""Seeds as users write them: ``0..4``, ``0,3,7``, or both, ``0..4,9``."""

from __future__ import annotations

import re

from adaptive_mbrl.config import MAX_SEED
from adaptive_mbrl.errors import ConfigError

MOST_SEEDS = 1000
_PART = re.compile(r"(\d+)(?:\.\.(\d+))?")


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that a text names, in its order, each once.

    Raises:
        ConfigError: the text is written otherwise, or a seed is out of range.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ConfigError(f"--seeds: got '{text}'; allowed: seeds such as 0..4 or 0,3,7")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ConfigError(f"--seeds: '{part.strip()}' ends before it begins; allowed: {last}..{first}")
        if last > MAX_SEED or last - first >= MOST_SEEDS:
            raise ConfigError(f"--seeds: '{part.strip()}' is out of range; allowed: {MOST_SEEDS} seeds from 0 to {MAX_SEED}")
        seeds |= dict.fromkeys(range(first, last + 1))
    return tuple(seeds)
