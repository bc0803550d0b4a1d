"""Frames of PX4 (north-east-down, forward-right-down) and of ROS 2 (east-north-up, forward-left-up, REP 103).

Both ways are the same: each function is its own inverse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = Sequence[float]
_HALF = math.sqrt(0.5)


def world(v: Vector) -> list[float]:
    """A vector in NED as one in ENU, or the other way round."""
    return [v[1], v[0], -v[2]]


def body(v: Vector) -> list[float]:
    """A vector in FRD as one in FLU, or the other way round."""
    return [v[0], -v[1], -v[2]]


def attitude(q: Vector) -> list[float]:
    """The rotation from FRD to NED as that from FLU to ENU, or the other way round; quaternions are (w, x, y, z)."""
    turned = _product(_product((0.0, _HALF, _HALF, 0.0), q), (0.0, 1.0, 0.0, 0.0))
    # q and -q are the same rotation; the one with w >= 0 is taken
    sign = -1.0 if turned[0] < 0 else 1.0
    return [sign * part for part in turned]


def rotated(q: Vector, v: Vector) -> list[float]:
    """A vector of the body's frame in the world's frame; q is a quaternion (w, x, y, z)."""
    _, x, y, z = _product(_product(q, (0.0, *v)), (q[0], -q[1], -q[2], -q[3]))
    return [x, y, z]


def _product(a: Vector, b: Vector) -> list[float]:
    return [
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    ]
