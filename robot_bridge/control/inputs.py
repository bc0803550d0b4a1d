"""Turns messages into the observation. Every channel is found by its name, and gets the time at which it was measured."""

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
"""A stamp that is this much older than the last one [s] means that the sender's clock was set back.
A smaller step back means that the message was overtaken by a newer one."""


class Inputs:
    """Keeps the newest value of every channel. `receive` runs on the transport's thread, `snapshot` on the control loop's.

    Args:
        spec: the robot's channels.
        config: the bridge file, which says where each channel is read.
        transport: the transport whose topics are subscribed to in the constructor.
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
        """Forget the shortest delay of every input; it is found again from the next messages on."""
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
    """Whether a message with this stamp [s] is used: the stamp is later than the last one, or the clock was set back."""
    return not last - CLOCK_JUMP < stamp <= last


class DelayEstimator:
    """Finds out when the messages of one input were measured, although the sender has its own clock.

    A message's stamp and its arrival are read from two clocks. Their difference is the delay of the message plus an unknown
    offset between the clocks. The smallest difference so far belongs to the fastest message. That message counts as measured on
    arrival, and every other one is older by as much as its difference is larger.

    The smallest difference grows slowly, as much as the clocks may drift apart. When the sender's clock is set back by less than
    `MAX_DELAY`, observations therefore count as old until the clock is right again or somebody activates the robot anew.
    """

    CLOCK_DRIFT = 1e-3
    """How fast the smallest difference may grow [s/s]. NTP adjusts a clock at most half as fast."""
    MAX_DELAY = 3.0
    """No message is delayed by so much [s]; a larger difference means that one of the clocks was set."""

    def __init__(self) -> None:
        self._shortest, self._at = math.inf, -math.inf

    def measured(self, stamp: float, received: float) -> float:
        """When a message was measured, in monotonic time [s].

        Args:
            stamp: the message's stamp, on the sender's clock [s].
            received: time of arrival, monotonic [s].
        """
        drift = self.CLOCK_DRIFT * (received - self._at) if math.isfinite(self._at) else 0.0
        shortest = min(self._shortest + drift, received - stamp)
        was_set = received - stamp - shortest > self.MAX_DELAY
        self._shortest, self._at = received - stamp if was_set else shortest, received
        return stamp + self._shortest


class GoalReader:
    """The objective's goal, which every valid message changes.

    Args:
        config: the goal part of the bridge file.
        transport: the transport whose goal topic is subscribed to in the constructor.
        dt: control period [s].
        horizon: the planner's horizon H [control periods].

    Attributes:
        refused: number of messages that held no valid goal.
    """

    def __init__(self, config: GoalInput, transport: Transport, dt: float, horizon: int) -> None:
        self._config, self._dt, self._steps = config, dt, np.arange(horizon)
        self._goals_since = np.array([config.initial]), 0.0
        self.refused = 0
        transport.subscribe(config.topic, MESSAGES[config.type], self.receive, reliable=True)

    def receive(self, message: Message, received: float) -> None:
        """Take over a goal. A message with a value that is missing or not finite is counted and changes nothing."""
        goals = read_goals(message, self._config)
        if goals is None:
            self.refused += 1
        else:
            self._goals_since = goals, received

    def __call__(self, begin: float) -> NDArray[np.float64]:
        """The goal of a plan that acts from `begin` on, monotonic [s].

        Returns:
            One goal, (goal_dim,), or the goals of all steps of the plan, (1, H, goal_dim), where a preview is known.
        """
        goals, since = self._goals_since
        if len(goals) == 1:
            return goals[0]
        first = round((begin - since) / self._dt)
        return goals[np.clip(first + self._steps, 0, len(goals) - 1)][None]


def read_goals(message: Message, config: GoalInput) -> NDArray[np.float64] | None:
    """The goals in a message, (n, goal_dim): one row for each control period that it covers.

    The result is None if a value is missing or not finite.
    """
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
    """The value of one channel in a message; NaN if the message does not hold it."""
    if isinstance(message, JointState):
        return joint_value(message, source.field, source.joint)
    return field_of(message, source.field)
