"""Angles on their circle, without PyTorch: the guard's process loads none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def on_circle(angles: NDArray[np.float64] | float) -> NDArray[Any]:
    """Angles, or differences of angles, between -pi and pi [rad]; they may count turns before. NaN stays NaN."""
    return np.arctan2(np.sin(angles), np.cos(angles))
