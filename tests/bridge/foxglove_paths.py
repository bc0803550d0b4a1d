"""Evaluates Foxglove's message paths on messages as rosbags reads them: the part of the syntax that our layouts use."""

from __future__ import annotations

import math
import re
from typing import Any

_PART = re.compile(r"\.@(?P<function>\w+)(\((?P<argument>[\d.]+)\))?|\.(?P<field>\w+)|\[(?P<index>\d+)\]")


def topic_of(path: str) -> str:
    """The topic that a message path begins with."""
    return re.match(r"(/\w+)+", path).group()


def value_at(path: str, message: Any) -> Any:
    """What a path means in a message of its topic; fails if the message has nothing there."""
    rest, at = path.removeprefix(topic_of(path)), 0
    while at < len(rest):
        part = _PART.match(rest, at)
        assert part, f"no message path: {path}"
        message, at = _step(message, part), part.end()
    return message


def _step(value: Any, part: re.Match[str]) -> Any:
    if part["index"] is not None:
        return value[int(part["index"])]
    if part["field"] is not None:
        return value[part["field"]] if isinstance(value, dict) else getattr(value, part["field"])
    return FUNCTIONS[part["function"]](value, part["argument"])


def _rpy(q: Any, _: str | None) -> dict[str, float]:
    return {
        "roll": math.atan2(2 * (q.w * q.x + q.y * q.z), 1 - 2 * (q.x**2 + q.y**2)),
        "pitch": math.asin(2 * (q.w * q.y - q.z * q.x)),
        "yaw": math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y**2 + q.z**2)),
    }


FUNCTIONS = {"rpy": _rpy, "asin": lambda x, _: math.asin(x), "mul": lambda x, by: x * float(by)}
