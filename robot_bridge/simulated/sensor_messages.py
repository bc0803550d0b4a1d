"""Turns an observation into the messages that a bridge's inputs read; the inverse of `robot_bridge.control.inputs`."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import ChannelInput
from robot_bridge.middleware.fields import ANGLES, write_angles, write_field
from robot_bridge.middleware.messages import Header, JointState, Message, Time

Obs = NDArray[np.floating[Any]]
Channels = list[tuple[int, ChannelInput]]


class SensorMessage:
    """Builds the message of one input from an observation.

    A joint with several channels becomes one entry of the message, and the angles of an orientation become one quaternion.

    Args:
        message_type: the class of the message.
        channels: for each channel of the input, its index in the observation and its place in the message.

    Raises:
        ConfigError: an orientation has a twist and other angles, which do not determine it together.
    """

    def __init__(self, message_type: type[Message], channels: Channels) -> None:
        self._message_type = message_type
        self._joints = list(dict.fromkeys(source.joint for _, source in channels if source.joint))
        self._orientations: dict[str, dict[str, int]] = {}
        self._fields: Channels = []
        for index, source in channels:
            path, _, last = source.field.rpartition(".")
            if last in ANGLES:
                self._orientations.setdefault(path, {})[last] = index
            else:
                self._fields.append((index, source))
        _require_one_twist(self._orientations)

    def __call__(self, obs: Obs, stamp: float) -> Message:
        """The message for an observation.

        Args:
            obs: the observation, (obs_dim,).
            stamp: time of the observation since the epoch, for messages with a header [s].
        """
        message: Any = self._message_type()
        if hasattr(message, "header"):
            message.header = Header(Time.of(stamp))
        if isinstance(message, JointState):
            self._write_joints(message, obs)
            return message
        for index, source in self._fields:
            write_field(message, source.field, float(obs[index]))
        for path, angles in self._orientations.items():
            write_angles(attrgetter(path)(message), {name: float(obs[index]) for name, index in angles.items()})
        return message

    def _write_joints(self, message: JointState, obs: Obs) -> None:
        message.name = list(self._joints)
        for index, source in self._fields:
            values = getattr(message, source.field) or [0.0] * len(self._joints)
            values[self._joints.index(source.joint)] = float(obs[index])
            setattr(message, source.field, values)


def _require_one_twist(orientations: dict[str, dict[str, int]]) -> None:
    for path, angles in orientations.items():
        if len(angles) > 1 and any(name.startswith("twist") for name in angles):
            raise ConfigError(
                f"key 'obs': a simulated robot cannot turn '{path}' to {' and '.join(angles)} at once; "
                "allowed: one twist, or any of roll, pitch and yaw"
            )
