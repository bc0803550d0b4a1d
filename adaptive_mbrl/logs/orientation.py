"""Angles of an orientation that a log holds as a quaternion.

Roll, pitch and yaw are those of REP 103: rotations about z, then y, then x, with pitch within +-pi/2. A twist is the rotation
about one axis alone (swing-twist decomposition). It covers the whole circle, for robots that turn in a plane. A bridge file has
the same angles under the same names.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from adaptive_mbrl.logs.samples import Array

Angle = Literal["roll", "pitch", "yaw", "twist_x", "twist_y", "twist_z"]
NORM_ERROR = 0.1
"""How far the length of a quaternion may be from 1. Beyond that it is no orientation; drivers write zeros if they have none."""


def angle_of(w: Array, x: Array, y: Array, z: Array, angle: Angle) -> Array:
    """An angle of each orientation [rad], (S,); NaN where the numbers are no orientation.

    Args:
        w: real part of each quaternion, (S,).
        x: first imaginary part, (S,).
        y: second imaginary part, (S,).
        z: third imaginary part, (S,).
        angle: which angle.
    """
    if angle == "roll":
        found = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x**2 + y**2))
    elif angle == "pitch":
        found = np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
    elif angle == "yaw":
        found = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y**2 + z**2))
    else:
        found = _twist({"twist_x": x, "twist_y": y, "twist_z": z}[angle], w)
    norm = np.sqrt(w**2 + x**2 + y**2 + z**2)
    return np.where(np.abs(norm - 1) < NORM_ERROR, found, np.nan)


def _twist(along: Array, w: Array) -> Array:
    """Twist about one axis in (-pi, pi], from a quaternion's part along that axis and its real part."""
    # q and -q are the same orientation; the one with w >= 0 gives the smaller rotation
    sign = np.where(w < 0, -1.0, 1.0)
    found = 2 * np.arctan2(sign * along, sign * w)
    return np.where(found <= -math.pi, math.pi, found)
