"""The numbers in the messages of a bridge, by name: `observations/pole_angle`, `commands/slide`, `belief/adapted_error`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.diagnosis import GAIN
from robot_bridge.bridge_config import ChannelInput
from robot_bridge.control.inputs import is_about, read_channel, read_goals
from robot_bridge.control.outputs import command_row
from robot_bridge.middleware.messages import Float64MultiArray, Message
from robot_bridge.node.telemetry import BELIEF
from robot_bridge.streams.watched import Watched

MOTOR, MOTOR_RANGE = f"{GAIN} ", (-1.0, 2.0)
"""How the names of the motors' gains begin, and the ends of their bars: from a reversed motor to one that is twice as strong."""
UNCERTAINTY_STDS = 2.0
"""Standard deviations on either side of the mean that are drawn as the uncertainty of a physical parameter."""


class Readings:
    """Reads the messages of one robot.

    Args:
        watched: the robot and its node.
    """

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        config, spec = watched.config, watched.spec
        self._command = command_row(spec, config.output)
        self._channels: dict[str, list[tuple[str, ChannelInput]]] = {}
        for channel in spec.obs_names:
            source = config.obs[channel]
            self._channels.setdefault(config.inputs[source.input].topic, []).append((channel, source))

    def numbers(self, topic: str, message: Message) -> dict[str, float]:
        """The numbers in a message, by name; those that are missing or not finite are left out.

        Args:
            topic: the topic's name.
            message: one of its messages.
        """
        return {name: value for name, value in self._all_numbers(topic, message).items() if math.isfinite(value)}

    def plan(self, message: Message) -> NDArray[np.float64]:
        """The plan in a message of `~/plan`, (H, action_dim); without steps if it is none of this robot."""
        values, width = np.array(getattr(message, "data", ()), dtype=np.float64), self.watched.spec.action_dim
        return values.reshape(-1, width) if len(values) % width == 0 else np.zeros((0, width))

    def diagnosis(self, message: Message) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each physical parameter in a message of `~/diagnosis`; nothing if they are others."""
        names, values = self.watched.diagnosis_names, getattr(message, "data", ())
        if len(values) != 2 * len(names):
            return {}
        return {name: (values[i], values[len(names) + i]) for i, name in enumerate(names)}

    def _all_numbers(self, topic: str, message: Message) -> dict[str, float]:
        watched, found = self.watched, {}
        if topic in self._channels:
            about = [(name, source) for name, source in self._channels[topic] if is_about(message, source)]
            found = {f"observations/{name}": read_channel(message, source) for name, source in about}
        elif topic == watched.config.output.topic:
            found = _named("commands", watched.spec.action_names, self._command(message))
        elif topic == watched.own_topic("belief") and isinstance(message, Float64MultiArray):
            # recordings of earlier versions have fewer entries
            found = _named("belief", BELIEF[: len(message.data)], message.data)
        elif topic == watched.own_topic("diagnosis"):
            for name, (mean, std) in self.diagnosis(message).items():
                reach = UNCERTAINTY_STDS * std
                found |= {f"diagnosis/{name}/{what}": mean + by for what, by in (("mean", 0), ("low", -reach), ("high", reach))}
        elif watched.config.goal is not None and topic == watched.config.goal.topic:
            goals = read_goals(message, watched.config.goal)
            if goals is not None:
                found = _named("goal", watched.config.goal.fields, goals[0])
        return found


def _named(group: str, names: tuple[str, ...], values: NDArray[np.float64] | list[float]) -> dict[str, float]:
    """Names of a group for its values; nothing if there are more or fewer."""
    return (
        {f"{group}/{name}": float(value) for name, value in zip(names, values, strict=True)} if len(names) == len(values) else {}
    )
