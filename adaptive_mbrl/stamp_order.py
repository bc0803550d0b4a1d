"""Which messages are new by the order of their stamps, live or in a recording."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLOCK_JUMP = 1.0
"""A stamp that is this much older than the last one [s] may mean that the sender's clock was set back.
A smaller step back means that the message was overtaken by a newer one."""


def is_new(stamp: float, last: float) -> bool:
    """Whether a message with this stamp [s] may be used: the stamp is later than the last one, or the clock was set back."""
    return not last - CLOCK_JUMP < stamp <= last


def which_are_new(stamps: Sequence[float], held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of n messages are new by the order of their stamps; several drivers may share a topic, each with channels of its own.

    Args:
        stamps: stamp of each message in the order of arrival [s], (n,).
        held: which channels each message holds, (n, channels).
    """
    new, last = np.ones(len(stamps), dtype=bool), np.full(held.shape[1], -math.inf)
    for i, stamp in enumerate(stamps):
        new[i] = is_new(stamp, last[held[i]].max(initial=-math.inf))
        if new[i]:
            last[held[i]] = stamp
    return new
