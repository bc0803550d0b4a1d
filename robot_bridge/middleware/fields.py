"""Reads and writes numbers in messages by the names of their fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from robot_bridge.middleware.messages import JointState, Message, Quaternion

NORM_ERROR = 0.1
"""How far the length of a quaternion may be from 1. Beyond that it is no orientation; drivers send zeros if they have none."""


def joint_value(message: JointState, field: str, joint: str) -> float:
    """The `position`, `velocity` or `effort` of a joint; NaN if the message does not hold it."""
    values = getattr(message, field)
    index = message.name.index(joint) if joint in message.name else len(values)
    return float(values[index]) if index < len(values) else math.nan


def field_of(message: Message, path: str) -> float:
    """The number at a dotted path, whose last part may be an index or an angle of a quaternion.

    The result is NaN for an index beyond an array's end, for an angle of a quaternion that is no orientation, and for a quantity
    that an IMU does not measure (by REP 145, its covariance then begins with -1).

    Raises:
        AttributeError: the message has no such field.
    """
    value: object = message
    for part in path.split("."):
        covariance = getattr(value, f"{part}_covariance", None)
        if covariance and covariance[0] == -1:
            return math.nan
        if isinstance(value, Quaternion) and part in ANGLES:
            value = ANGLES[part](value) if abs(_norm(value) - 1) < NORM_ERROR else math.nan
        elif isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else math.nan
        else:
            value = getattr(value, part)
    if not isinstance(value, (int, float)):
        raise AttributeError(f"'{path}' is not a number")
    return float(value)


def number_in(message: Message, field: str, joint: str = "") -> float:
    """The number at a place in a message: a joint's in a JointState, else that of a path; NaN if the message does not hold it."""
    return joint_value(message, field, joint) if isinstance(message, JointState) else field_of(message, field)


def write_field(message: Message, path: str, value: float) -> None:
    """Write one number; the inverse of `field_of`. Arrays grow as needed; an angle sets its quaternion's other angles to 0."""
    *parents, last = path.split(".")
    target: Any = message
    for part in parents:
        target = getattr(target, part)
    if isinstance(target, Quaternion) and last in ANGLES:
        write_angles(target, {last: value})
    elif isinstance(target, list):
        target.extend([0.0] * (int(last) + 1 - len(target)))
        target[int(last)] = value
    else:
        setattr(target, last, value)


def write_angles(quaternion: Quaternion, angles: Mapping[str, float]) -> None:
    """Set a quaternion to these angles [rad]: any of roll, pitch and yaw, or one twist. Angles not named are 0."""
    turned = Quaternion()
    for axis, names in (("z", ("yaw", "twist_z")), ("y", ("pitch", "twist_y")), ("x", ("roll", "twist_x"))):
        angle = sum(angles.get(name, 0.0) for name in names)
        turned = _product(turned, Quaternion(**{axis: math.sin(angle / 2)}, w=math.cos(angle / 2)))
    quaternion.x, quaternion.y, quaternion.z, quaternion.w = turned.x, turned.y, turned.z, turned.w


def _norm(q: Quaternion) -> float:
    return math.hypot(q.x, q.y, q.z, q.w)


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    return Quaternion(
        a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
        a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
        a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
        a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z,
    )


def _twist(along: float, w: float) -> float:
    """Twist about one axis in (-pi, pi], from a quaternion's part along that axis and its real part."""
    # q and -q are the same orientation; the one with w >= 0 gives the smaller rotation
    angle = 2 * (math.atan2(-along, -w) if w < 0 else math.atan2(along, w))
    return math.pi if angle <= -math.pi else angle


ANGLES: dict[str, Callable[[Quaternion], float]] = {
    "roll": lambda q: math.atan2(2 * (q.w * q.x + q.y * q.z), 1 - 2 * (q.x**2 + q.y**2)),
    "pitch": lambda q: math.asin(max(-1.0, min(1.0, 2 * (q.w * q.y - q.z * q.x)))),
    "yaw": lambda q: math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y**2 + q.z**2)),
    "twist_x": lambda q: _twist(q.x, q.w),
    "twist_y": lambda q: _twist(q.y, q.w),
    "twist_z": lambda q: _twist(q.z, q.w),
}
"""Angles of an orientation [rad].

Roll, pitch and yaw are those of REP 103: rotations about z, then y, then x, with pitch within +-pi/2. A twist is the rotation
about one axis alone (swing-twist decomposition). It covers the whole circle, for robots that turn in a plane.
"""
