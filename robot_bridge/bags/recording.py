"""What a bag says about a robot: the topics that a bridge file names, as numbers over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.samples import Measured, Samples
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, GoalInput, OutputConfig
from robot_bridge.control.inputs import read, read_goals
from robot_bridge.middleware.messages import MESSAGES, JointState, JointTrajectory, Message, String

Row = Callable[[Message], list[float]]


@dataclass(frozen=True)
class Recording:
    """A bag by the time since its first message [s].

    Attributes:
        start: since the epoch [ns].
        commands: (S, action_dim), in the spec's order; NaN for what is no command.
        channels: samples (S, 1) of each observation channel.
        goals: (S, goal_dim); None where the bag has none.
        states: of the supervisor, and when they were told.
        notes: what a user should know.
    """

    start: int
    commands: Measured
    channels: dict[str, Measured]
    goals: Measured | None
    states: tuple[tuple[float, str], ...]
    notes: tuple[str, ...]


@dataclass
class _Topic:
    """A topic that is read: its numbers, and the joints that it names."""

    message_type: type[Message]
    row: Row
    samples: Samples = field(default_factory=Samples)
    joints: set[str] = field(default_factory=set)

    def add(self, message: Message, received: int) -> None:
        self.samples.add(message, received, self.row(message))
        if isinstance(message, JointState):
            self.joints.update(message.name)


@dataclass
class _Goals:
    """A goal's topic; a message may hold the goals of later control periods too, which count until the next message."""

    config: GoalInput
    dt: float
    told: list[tuple[int, Message, NDArray[np.float64]]] = field(default_factory=list)

    @property
    def message_type(self) -> type[Message]:
        return MESSAGES[self.config.type]

    def add(self, message: Message, received: int) -> None:
        goals = read_goals(message, self.config)
        if goals is not None:
            self.told.append((received, message, goals))

    def samples(self) -> Samples:
        """One for each control period that is known."""
        samples, told = Samples(), sorted(self.told, key=lambda entry: entry[0])
        ends = [received for received, *_ in told[1:]] + [math.inf]
        for (received, message, goals), end in zip(told, ends, strict=True):
            for ahead, goal in enumerate(goals):
                at = received + round(1e9 * ahead * self.dt)
                if at < end:
                    samples.add(message, at, goal.tolist())
        return samples


def read_recording(path: Path, config: BridgeConfig, spec: RobotSpec, node: str = "adaptive_mpc") -> Recording:
    """Read a bag.

    Args:
        path: of the bag.
        config: of the bridge.
        spec: of the checkpoint.
        node: name of the controller's node, which told the supervisor's state right after each command.

    Raises:
        ConfigError: the bag cannot be read, or does not hold what the bridge file names.
    """
    state_topic = f"/{node.strip('/')}/state"
    sources = {name: [(c, config.obs[c]) for c in spec.obs_names if config.obs[c].input == name] for name in config.inputs}
    inputs = {
        name: _Topic(MESSAGES[config.inputs[name].type], _channels_row([s for _, s in channels]))
        for name, channels in sources.items()
        if channels
    }
    output = _Topic(MESSAGES[config.output.type], _command_row(spec, config.output))
    goal = None
    told: list[tuple[int, str]] = []
    with Bag(path) as bag:
        needed = [(config.inputs[name].topic, topic) for name, topic in inputs.items()]
        needed.append((config.output.topic, output))
        topics: list[tuple[str, _Topic | _Goals]] = [*needed]
        if config.goal is not None and config.goal.topic in bag.topics:
            goal = _Goals(config.goal, spec.dt)
            topics.append((config.goal.topic, goal))
        wanted: dict[str, type[Message]] = {name: topic.message_type for name, topic in topics}
        if state_topic in bag.topics:
            wanted[state_topic] = String
        for name, received, message in bag.messages(wanted):
            if isinstance(message, String):
                told.append((received, message.data))
            for topic in (t for other, t in topics if other == name):
                topic.add(message, received)
    for name, topic in needed:
        if not topic.samples.received:
            raise ConfigError(f"{path}: no message on {name}")
    goals_told = Samples() if goal is None else goal.samples()
    start = min(min(samples.received) for samples in (*(t.samples for _, t in needed), goals_told) if samples.received)
    notes = ["the recording was cut; what is complete of it is read"] if bag.was_cut else []
    channels: dict[str, Measured] = {}
    for name, topic in inputs.items():
        max_age = max(config.safety.age_limit(c) for c, _ in sources[name])
        measured = _measured(config.inputs[name].topic, topic, start, max_age, notes)
        for column, (channel, source) in enumerate(sources[name]):
            channels[channel] = Measured(measured.times, measured.values[:, column : column + 1], measured.by_stamp)
            _require_values(path, config.inputs[name].topic, topic, channel, source, channels[channel])
    commands = _measured(config.output.topic, output, start, config.safety.max_age, notes)
    goals = goals_told.measured(start, config.safety.max_age) if goals_told.received else None
    if config.goal is not None and goals is None:
        notes.append(f"no goal on {config.goal.topic}; rewards are for the bridge file's initial one")
    if not told:
        notes.append(f"no {state_topic}; stretches with an emergency stop cannot be found")
    states = tuple((1e-9 * (at - start), state) for at, state in sorted(told))
    return Recording(start, commands, channels, goals, states, tuple(notes))


def _channels_row(sources: list[ChannelInput]) -> Row:
    return lambda message: [read(message, source) for source in sources]


def _command_row(spec: RobotSpec, output: OutputConfig) -> Row:
    """Commands in the spec's order, all NaN for a message that is no command; the inverse of `command_sender`."""
    order = output.order or spec.action_names
    places = [order.index(name) for name in spec.action_names]
    nothing = [math.nan] * spec.action_dim

    def row(message: Message) -> list[float]:
        if not isinstance(message, JointTrajectory):
            values = list(getattr(message, "data", ()))
        elif message.points and set(output.joints) <= set(message.joint_names[: len(message.points[-1].positions)]):
            values = [message.points[-1].positions[message.joint_names.index(joint)] for joint in output.joints]
        else:
            values = []
        return [values[place] for place in places] if len(values) == len(order) else nothing

    return row


def _measured(name: str, topic: _Topic, start: int, max_age: float, notes: list[str]) -> Measured:
    """The topic's samples by their time; what was odd about their stamps goes into the notes."""
    measured = topic.samples.measured(start, max_age)
    repeated = len(topic.samples.received) - len(measured.times)
    if repeated:
        notes.append(f"{name}: {repeated} messages left out, their stamps stand still or go back")
    if any(topic.samples.stamps) and measured.by_stamp < 1:
        notes.append(f"{name}: {1 - measured.by_stamp:.0%} of its stamps are of another clock; the time of arrival is used there")
    return measured


def _require_values(path: Path, name: str, topic: _Topic, channel: str, source: ChannelInput, samples: Measured) -> None:
    """Refuse a recording that never says what a channel is: it is of another robot."""
    if np.isfinite(samples.values).any():
        return
    if not source.joint:
        raise ConfigError(f"{path}: channel '{channel}': {name} never has a number at '{source.field}'")
    joints = ", ".join(sorted(topic.joints)) or "none"
    raise ConfigError(f"{path}: channel '{channel}': {name} never has the {source.field} of '{source.joint}'; joints: {joints}")
