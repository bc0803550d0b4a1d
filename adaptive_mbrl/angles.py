"""Angles live on a circle."""

from __future__ import annotations

import math

from torch import Tensor


def wrap_angle(x: Tensor) -> Tensor:
    """Angle [rad] wrapped to [-pi, pi)."""
    return (x + math.pi).remainder(2 * math.pi) - math.pi
