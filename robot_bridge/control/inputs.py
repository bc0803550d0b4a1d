"""Turns messages into the observation. Every channel is found by its name, and gets the time at which it was measured."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.stamp_order import is_new
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, GoalInput, OperatorInput
from robot_bridge.control.pinned import Pinned
from robot_bridge.control.sender_clock import DelayEstimator
from robot_bridge.middleware.fields import field_of, number_in
from robot_bridge.middleware.messages import MESSAGES, Bool, JointState, Message
from robot_bridge.middleware.reception import largest
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.contradictions import Contradictions
from robot_bridge.safety.supervisor import Observed


class Inputs:
    """Keeps the newest value of every channel. `receive` runs on the transport's thread, `snapshot` on the control loop's.

    Args:
        spec: the robot's channels.
        config: the bridge file, which says where each channel is read.
        transport: the transport whose topics are subscribed to in the constructor.
        obs_std: standard deviation of each observation channel in the training data, (obs_dim,); None for no look at
            contradictions.
        simulated_now: the time of a simulation that all stamps are of, since the epoch [s]; None if senders have own clocks.

    Attributes:
        contradictions: what is noticed of publishers that contradict each other; None where it is not looked for.
        pinned: the publishers that the bridge file names, by input.
    """

    def __init__(
        self,
        spec: RobotSpec,
        config: BridgeConfig,
        transport: Transport,
        obs_std: NDArray[np.float64] | None = None,
        simulated_now: Callable[[], float] | None = None,
    ) -> None:
        self._lock, self._simulated_now = threading.Lock(), simulated_now
        self._max_contradiction = config.safety.max_contradiction
        self.contradictions: Contradictions | None = None
        if obs_std is not None and self._max_contradiction > 0:
            is_angle = np.array([channel.kind == "angle" for channel in spec.obs])
            self.contradictions = Contradictions(spec.obs_names, self._max_contradiction * obs_std, is_angle)
        self.pinned = {name: Pinned(topic.publisher) for name, topic in config.inputs.items() if topic.publisher}
        self._values = np.full(spec.obs_dim, np.nan)
        self._received = np.full(spec.obs_dim, -np.inf)
        self._stamps = np.full(spec.obs_dim, -np.inf)
        self._delays = {name: DelayEstimator() for name in config.inputs}
        self._channels: dict[str, list[tuple[int, ChannelInput]]] = {name: [] for name in config.inputs}
        for index, name in enumerate(spec.obs_names):
            self._channels[config.obs[name].input].append((index, config.obs[name]))
        for name, topic in config.inputs.items():
            kind, take = topic.message_type, partial(self.receive, name)
            transport.subscribe(topic.topic, kind, take, accept=self.pinned.get(name), max_bytes=config.largest(kind))

    @property
    def refused_stamps(self) -> int:
        """How many times messages were left out because they were stamped by another clock, or came far too late."""
        with self._lock:
            return sum(delay.refused for delay in self._delays.values())

    def receive(self, name: str, message: Message, received: float) -> None:
        """Take over the values in a message of input `name`, unless its stamp is not newer than the last one.

        The values count as measured at the time that `DelayEstimator` makes of the stamp, or on arrival if the message has no
        header. Joints that the message does not name keep their values, which grow older: several drivers may share a topic, each
        with joints of its own, if their clocks agree. A joint that is named without a value, or an empty field, becomes NaN; the
        safety supervisor lets no plan through while a channel is NaN.
        """
        held = {index: read_channel(message, source) for index, source in self._channels[name] if is_about(message, source)}
        if not held:
            return
        channels, header = list(held), getattr(message, "header", None)
        with self._lock:
            if self.contradictions is not None:
                stamp = math.nan if header is None else header.stamp.seconds
                self.contradictions.add(channels, list(held.values()), stamp, received)
            measured = received if header is None else self._measured(name, channels, header.stamp.seconds, received)
            if measured is not None:
                self._values[channels], self._received[channels] = list(held.values()), measured

    def snapshot(self) -> Observed:
        """The newest observation, as a copy."""
        with self._lock:
            return Observed(self._values.copy(), self._received.copy())

    def trained_on(self, obs_std: NDArray[np.float64]) -> None:
        """From now on the controller's training data have these standard deviations, (obs_dim,)."""
        if self.contradictions is not None:
            self.contradictions.reach = self._max_contradiction * obs_std

    def forget_delays(self) -> None:
        """Forget the shortest delay of every input; it is found again from the next messages on."""
        with self._lock:
            for delay in self._delays.values():
                delay.forget()
            if self.contradictions is not None:
                self.contradictions.forget()

    def _measured(self, name: str, channels: list[int], stamp: float, received: float) -> float | None:
        """When a message of input `name` about these channels was measured, monotonic [s]; None if it is not used."""
        last = self._stamps[channels].max()
        if not is_new(stamp, last):
            return None
        if self._simulated_now is not None:
            # everybody's clock is the same, so the age is known; the simulation may be slower than the monotonic clock
            measured: float | None = received - max(0.0, self._simulated_now() - stamp)
        else:
            measured = self._delays[name].measured(stamp, received, is_set_back=stamp <= last)
        if measured is not None:
            self._stamps[channels] = stamp
        return measured


class GoalReader:
    """The objective's goal, which every valid message changes.

    Args:
        config: the goal part of the bridge file.
        transport: the transport whose goal topic is subscribed to in the constructor.
        dt: control period [s].
        horizon: the planner's horizon H [control periods].
        max_bytes: largest message that is decoded; None for the type's own limit.

    Attributes:
        refused: number of messages that held no valid goal.
        heard: when the newest valid goal came, monotonic [s]; -inf before the first one.
    """

    def __init__(self, config: GoalInput, transport: Transport, dt: float, horizon: int, max_bytes: int | None = None) -> None:
        self._config, self._dt, self._steps = config, dt, np.arange(horizon)
        self._goals_since = np.array([config.initial]), 0.0
        self.refused = 0
        self.heard = -math.inf
        kind = MESSAGES[config.type]
        transport.subscribe(config.topic, kind, self.receive, reliable=True, max_bytes=max_bytes or largest(kind))

    def look_ahead(self, horizon: int) -> None:
        """From now on goals are for plans of this horizon [control periods]."""
        self._steps = np.arange(horizon)

    def receive(self, message: Message, received: float) -> None:
        """Take over a goal. A message with a value that is missing or not finite is counted and changes nothing."""
        goals = read_goals(message, self._config)
        if goals is None:
            self.refused += 1
        else:
            self._goals_since, self.heard = (goals, received), received

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


class OperatorReader:
    """Whether the operator is there.

    Args:
        config: the operator's part of the bridge file.
        transport: the transport whose topic is subscribed to in the constructor.

    Attributes:
        heard: when the operator last said to be there, monotonic [s]; -inf before that, and once the operator said not to be.
    """

    def __init__(self, config: OperatorInput, transport: Transport) -> None:
        self.heard = -math.inf
        transport.subscribe(config.topic, Bool, self.receive, max_bytes=largest(Bool))

    def receive(self, message: Message, received: float) -> None:
        """Take over a message."""
        self.heard = received if isinstance(message, Bool) and message.data else -math.inf


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


def is_about(message: Message, source: ChannelInput) -> bool:
    """Whether a message says anything about a channel: a JointState is about the joints that it names."""
    return not isinstance(message, JointState) or source.joint in message.name


def read_channel(message: Message, source: ChannelInput) -> float:
    """The value of one channel in a message; NaN if the message does not hold it."""
    return number_in(message, source.field, source.joint)
