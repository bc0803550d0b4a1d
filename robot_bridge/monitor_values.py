"""The number of a monitor in a message, whatever kind of message drivers use for it."""

from __future__ import annotations

import math

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.fields import NORM_ERROR, field_of, joint_value
from robot_bridge.middleware.health_messages import HEALTH_MESSAGES, DynamicJointState
from robot_bridge.middleware.messages import DiagnosticArray, JointState, Message, Quaternion
from robot_bridge.safety.monitor_config import MonitorConfig

MONITORED = tuple(HEALTH_MESSAGES)
"""The types of messages that monitors may read."""
TILT = "tilt"
"""The last part of a field that is the angle between the body's z axis and the vertical [rad], from 0 to pi."""


def monitored_value(message: Message, config: MonitorConfig) -> float | None:
    """The number of a monitor in a message: None if the message is about something else, NaN if the number is not in it."""
    if config.frame and message.header.frame_id != config.frame:  # type: ignore[attr-defined]
        return None
    if isinstance(message, JointState):
        return joint_value(message, config.field, config.joint) if config.joint in message.name else None
    if isinstance(message, DynamicJointState):
        return _interface_value(message, config)
    if isinstance(message, DiagnosticArray):
        return _diagnostic_value(message, config)
    path, _, last = config.field.rpartition(".")
    return _tilt(message, path) if last == TILT else field_of(message, config.field)


def require_monitored(config: MonitorConfig) -> None:
    """Refuse a monitor of a topic whose messages cannot hold its number.

    Raises:
        ConfigError: the type is none that monitors read, or it has no such field.
    """
    if config.type not in MONITORED:
        hint = did_you_mean(config.type, MONITORED)
        raise ConfigError(f"key 'type': got '{config.type}'{hint}; allowed: {', '.join(MONITORED)}")
    kind = HEALTH_MESSAGES[config.type]
    is_joint, is_diagnostic = kind in (JointState, DynamicJointState), kind is DiagnosticArray
    for key, is_needed in (("joint", is_joint), ("status", is_diagnostic)):
        if bool(getattr(config, key)) != is_needed:
            raise ConfigError(f"key '{key}': {'missing with' if is_needed else 'without meaning for'} {config.type}")
    message = kind()
    if config.frame and not hasattr(message, "header"):
        raise ConfigError(f"key 'frame': {config.type} has no header")
    if kind is JointState and config.field not in ("position", "velocity", "effort"):
        raise ConfigError(f"key 'field': got '{config.field}'; allowed: position, velocity, effort")
    if not is_joint and not is_diagnostic:
        _require_field(message, config)


def _require_field(message: Message, config: MonitorConfig) -> None:
    try:
        monitored_value(message, MonitorConfig(field=config.field, topic=config.topic, type=config.type, fault=config.limits))
    except AttributeError as error:
        raise ConfigError(f"key 'field': {config.type} has no number '{config.field}': {error}") from error


def _interface_value(message: DynamicJointState, config: MonitorConfig) -> float | None:
    if config.joint not in message.joint_names:
        return None
    index = message.joint_names.index(config.joint)
    if index >= len(message.interface_values):
        return math.nan
    values = message.interface_values[index]
    found = dict(zip(values.interface_names, values.values, strict=False))
    return float(found.get(config.field, math.nan))


def _diagnostic_value(message: DiagnosticArray, config: MonitorConfig) -> float | None:
    for status in message.status:
        if status.name == config.status:
            texts = [pair.value for pair in status.values if pair.key == config.field]
            return _number(texts[0]) if texts else math.nan
    return None


def _number(text: str) -> float:
    """The number at the beginning of a text, which may be followed by a unit; NaN without one."""
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return math.nan


def _tilt(message: Message, path: str) -> float:
    """The angle between the z axis of an orientation and the vertical [rad]; NaN if it is not measured."""
    # a field of the orientation tells whether the message has one, and whether it is measured
    if not math.isfinite(field_of(message, f"{path}.w")):
        return math.nan
    q: object = message
    for part in path.split("."):
        q = getattr(q, part)
    if not isinstance(q, Quaternion):
        raise AttributeError(f"'{path}' is no orientation")
    norm = q.x**2 + q.y**2 + q.z**2 + q.w**2
    if not abs(math.sqrt(norm) - 1) < NORM_ERROR:
        return math.nan
    return 2 * math.atan2(math.hypot(q.x, q.y), math.hypot(q.z, q.w))
