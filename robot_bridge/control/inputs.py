"""From messages to the observation: every channel by name, never by position, with the time of its measurement."""

from __future__ import annotations

import math
import threading
from functools import partial

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, GoalInput
from robot_bridge.middleware.fields import field_of, joint_value
from robot_bridge.middleware.messages import MESSAGES, JointState, Message
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.supervisor import Observed

CLOCK_JUMP = 1.0
"""A stamp this much older than the last one [s] is a clock that was set back, not a message that was overtaken."""


class Inputs:
    """Keeps the newest value of every channel; `receive` runs on the transport's thread, `snapshot` on the control loop's.

    Args:
        spec: the robot.
        config: where its channels are read.
        transport: subscribed to at once.
    """

    def __init__(self, spec: RobotSpec, config: BridgeConfig, transport: Transport) -> None:
        self._lock = threading.Lock()
        self._values = np.full(spec.obs_dim, np.nan)
        self._received = np.full(spec.obs_dim, -np.inf)
        self._stamps: dict[str, float] = {}
        self._delays: dict[str, DelayEstimator] = {}
        self._channels: dict[str, list[tuple[int, ChannelInput]]] = {name: [] for name in config.inputs}
        for index, name in enumerate(spec.obs_names):
            self._channels[config.obs[name].input].append((index, config.obs[name]))
        for name, topic in config.inputs.items():
            transport.subscribe(topic.topic, topic.message_type, partial(self.receive, name))

    def receive(self, name: str, message: Message, received: float) -> None:
        """Take over the values in a message of input `name`, unless its stamp is not newer than the last one.

        The values count as measured at the time that `DelayEstimator` makes of the stamp, or on arrival if the message has no
        header. A missing joint or an empty field becomes NaN; the safety supervisor lets no plan through while a channel is NaN.
        """
        values = [read_channel(message, source) for _, source in self._channels[name]]
        header = getattr(message, "header", None)
        with self._lock:
            if header is not None and not self._is_new(name, header.stamp.seconds):
                return
            measured = received if header is None else self._delays[name].measured(header.stamp.seconds, received)
            for (index, _), value in zip(self._channels[name], values, strict=True):
                self._values[index], self._received[index] = value, measured

    def snapshot(self) -> Observed:
        """The newest observation, as a copy."""
        with self._lock:
            return Observed(self._values.copy(), self._received.copy())

    def forget_delays(self) -> None:
        """Learn anew how long messages are on their way."""
        with self._lock:
            self._delays = {}

    def _is_new(self, name: str, stamp: float) -> bool:
        last = self._stamps.get(name, -math.inf)
        if not is_new(stamp, last):
            return False
        if stamp <= last or name not in self._delays:
            self._delays[name] = DelayEstimator()
        self._stamps[name] = stamp
        return True


def is_new(stamp: float, last: float) -> bool:
    """Whether a stamp is later than the last one that was taken, or of a clock that was set back [s]."""
    return not last - CLOCK_JUMP < stamp <= last


class DelayEstimator:
    """How long the messages of one input are on their way, beyond the shortest time that it takes.

    The sender's clock is another one than ours, so that the shortest delay itself cannot be known. It is forgotten as slowly as
    clocks drift apart: a clock that is set a little makes observations old until somebody starts the robot again.
    """

    CLOCK_DRIFT = 1e-3
    """Growth of the shortest delay that counts as drift of the clocks [s/s]; NTP slews by half of that."""
    MAX_DELAY = 3.0
    """No line keeps a message as long as this: one of the clocks was set [s]."""

    def __init__(self) -> None:
        self._shortest, self._at = math.inf, -math.inf

    def measured(self, stamp: float, received: float) -> float:
        """When a message was measured, monotonic, if the shortest delay was none [s].

        Args:
            stamp: of the sender's clock [s].
            received: monotonic [s].
        """
        drift = self.CLOCK_DRIFT * (received - self._at) if math.isfinite(self._at) else 0.0
        shortest = min(self._shortest + drift, received - stamp)
        was_set = received - stamp - shortest > self.MAX_DELAY
        self._shortest, self._at = received - stamp if was_set else shortest, received
        return stamp + self._shortest


class GoalReader:
    """The objective's goal; it changes when a message comes.

    Args:
        config: where it is read.
        transport: subscribed to at once.
        dt: control period [s].
        horizon: of the planner, H.

    Attributes:
        refused: messages that were no goal.
    """

    def __init__(self, config: GoalInput, transport: Transport, dt: float, horizon: int) -> None:
        self._config, self._dt, self._steps = config, dt, np.arange(horizon)
        self._goals_since = np.array([config.initial]), 0.0
        self.refused = 0
        transport.subscribe(config.topic, MESSAGES[config.type], self.receive, reliable=True)

    def receive(self, message: Message, received: float) -> None:
        """Take over a goal whose values are all there and finite; another one changes nothing."""
        goals = read_goals(message, self._config)
        if goals is None:
            self.refused += 1
        else:
            self._goals_since = goals, received

    def __call__(self, begin: float) -> NDArray[np.float64]:
        """For a plan that acts from `begin` on, monotonic [s]: (goal_dim,), or (1, H, goal_dim) if it is known to move."""
        goals, since = self._goals_since
        if len(goals) == 1:
            return goals[0]
        first = round((begin - since) / self._dt)
        return goals[np.clip(first + self._steps, 0, len(goals) - 1)][None]


def read_goals(message: Message, config: GoalInput) -> NDArray[np.float64] | None:
    """Goals of a message, one row for each control period that it knows; None if a value is missing or not finite."""
    if config.preview:
        values, width = np.array(getattr(message, "data", ()), dtype=np.float64), len(config.fields)
        if len(values) == 0 or len(values) % width:
            return None
        columns = [int(path.removeprefix("data.")) for path in config.fields]
        goals = values.reshape(-1, width)[:, columns]
    else:
        goals = np.array([[field_of(message, path) for path in config.fields]])
    return goals if np.isfinite(goals).all() else None


def read_channel(message: Message, source: ChannelInput) -> float:
    """One number of a message; NaN where it is not there."""
    if isinstance(message, JointState):
        return joint_value(message, source.field, source.joint)
    return field_of(message, source.field)
