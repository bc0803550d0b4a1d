"""Numbers inside messages, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from robot_bridge.messages import JointState, Message, Quaternion


def joint_value(message: JointState, field: str, joint: str) -> float:
    """`position`, `velocity` or `effort` of a joint; NaN where the message does not have it."""
    values = getattr(message, field)
    index = message.name.index(joint) if joint in message.name else len(values)
    return float(values[index]) if index < len(values) else math.nan


def field_of(message: Message, path: str) -> float:
    """The number at a dotted path; its last part may be an index or an Euler angle of a quaternion; NaN beyond an array's end.

    Raises:
        AttributeError: there is no such field.
    """
    value: object = message
    for part in path.split("."):
        if isinstance(value, Quaternion) and part in _EULER:
            value = _EULER[part](value)
        elif isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else math.nan
        else:
            value = getattr(value, part)
    if not isinstance(value, (int, float)):
        raise AttributeError(f"'{path}' is not a number")
    return float(value)


def write_field(message: Message, path: str, value: float) -> None:
    """Inverse of `field_of` for one number; arrays grow as needed, an Euler angle is the only one of its quaternion."""
    *parents, last = path.split(".")
    target: Any = message
    for part in parents:
        target = getattr(target, part)
    if isinstance(target, Quaternion) and last in EULER_AXES:
        target.w = math.cos(value / 2)
        setattr(target, EULER_AXES[last], math.sin(value / 2))
    elif isinstance(target, list):
        target.extend([0.0] * (int(last) + 1 - len(target)))
        target[int(last)] = value
    else:
        setattr(target, last, value)


EULER_AXES = {"roll": "x", "pitch": "y", "yaw": "z"}
_EULER: dict[str, Callable[[Quaternion], float]] = {
    "roll": lambda q: math.atan2(2 * (q.w * q.x + q.y * q.z), 1 - 2 * (q.x**2 + q.y**2)),
    "pitch": lambda q: math.asin(max(-1.0, min(1.0, 2 * (q.w * q.y - q.z * q.x)))),
    "yaw": lambda q: math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y**2 + q.z**2)),
}
"""Angles of REP 103: about x, y and z in that order [rad]."""
