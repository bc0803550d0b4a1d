"""Whether an episode that is simulated once more is the recorded one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.05
"""Largest deviation of a repeated episode from the recorded one, as `deviation` measures it."""
SMALLEST_STD = 1e-3


def deviation(seen: NDArray[np.float32], recorded: NDArray[np.float32]) -> float:
    """Root mean square difference of observations [standard deviations of the recorded episode].

    Args:
        seen: the observations of the repeated episode, (T, obs_dim), perhaps of its first steps alone.
        recorded: those of the recorded one, as many or more.
    """
    scale = np.maximum(recorded.std(axis=0), SMALLEST_STD)
    return float(np.sqrt(np.mean(((seen - recorded[: len(seen)]) / scale) ** 2)))
