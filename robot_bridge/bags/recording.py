"""What a bag says about a robot: the topics that a bridge file names, as numbers over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.samples import Measured
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bags.other_senders import TOPIC as DIAGNOSTICS
from robot_bridge.bags.other_senders import Interval, other_publishers, told_by_diagnosis
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.recorded_topics import RecordedGoals, RecordedTopic, channels_row
from robot_bridge.bags.samples import Samples
from robot_bridge.bridge_config import BridgeConfig, ChannelInput
from robot_bridge.control.outputs import command_row
from robot_bridge.middleware.messages import MESSAGES, DiagnosticArray, Message, String

Sources = dict[str, dict[str, ChannelInput]]
"""By input: the observation channels that it carries, in the spec's order, and where each of them is read."""


@dataclass(frozen=True)
class Recording:
    """A bag as numbers over time; times count from its first message [s].

    Attributes:
        start: time of the first message that is used since the epoch [ns].
        begin: time of the first message of all since the epoch [ns]; None in an empty bag.
        commands: the commands, (S, action_dim), in the spec's order; NaN where a message is no command.
        channels: samples of each observation channel, (S, 1).
        goals: the goals, (S, goal_dim); None if the bag has none.
        states: states of the safety supervisor, each with the time at which it was published.
        others: when somebody else commanded the robot, as far as the node's diagnosis tells.
        notes: sentences that a user should read.
    """

    start: int
    begin: int | None
    commands: Measured
    channels: dict[str, Measured]
    goals: Measured | None
    states: tuple[tuple[float, str], ...]
    others: tuple[Interval, ...]
    notes: tuple[str, ...]


@dataclass
class _Topics:
    """The topics of a bridge file, and what a bag holds of them.

    Attributes:
        sources: the channels of each input.
        inputs: the inputs that carry a channel.
        output: the commands.
        goals: the goals; None if the bag has no such topic.
        states: states of the supervisor, each with its time of arrival since the epoch [ns].
        publishers: number of other publishers of commands by the node's diagnosis, each with its time of arrival.
    """

    sources: Sources
    inputs: dict[str, RecordedTopic]
    output: RecordedTopic
    goals: RecordedGoals | None = None
    states: list[tuple[int, str]] = field(default_factory=list)
    publishers: list[tuple[int, int]] = field(default_factory=list)

    @property
    def required(self) -> list[RecordedTopic]:
        """The topics without which nothing can be learned."""
        return [*self.inputs.values(), self.output]

    def start(self, goal_samples: Samples) -> int:
        """Time of the first message since the epoch [ns]."""
        samples = (*(topic.samples for topic in self.required), goal_samples)
        return min(min(entry.received) for entry in samples if entry.received)


def read_recording(path: Path, config: BridgeConfig, spec: RobotSpec, node: str = "adaptive_mpc") -> Recording:
    """Read a bag.

    Args:
        path: the bag's folder, or one of its files.
        config: the bridge file.
        spec: the robot spec of the checkpoint.
        node: name of the controller's node, which published the supervisor's state right after each command.

    Raises:
        ConfigError: the bag cannot be read, or does not hold what the bridge file names.
    """
    topics = _bridge_topics(config, spec)
    with Bag(path) as bag:
        _read_messages(bag, topics, config, spec, node)
        notes = ["the recording was cut off; its complete messages are read"] if bag.was_cut else []
        begin = bag.begin
    _require_messages(path, topics)
    goal_samples = Samples() if topics.goals is None else topics.goals.samples()
    start = topics.start(goal_samples)
    channels = _measured_channels(path, config, topics, start, notes)
    commands = topics.output.measured(start, config.safety.max_age, notes)
    goals = goal_samples.measured(start, config.safety.max_age) if goal_samples.received else None
    if config.goal is not None and goals is None:
        notes.append(f"no goal on {config.goal.topic}; rewards are for the bridge file's initial one")
    if not topics.states:
        notes.append(f"no {_state_topic(node)}; stretches with an emergency stop cannot be found")
    if not topics.publishers:
        notes.append(f"no {DIAGNOSTICS} of the node; others who commanded the robot show only where commands crowd")
    states = tuple((1e-9 * (at - start), state) for at, state in sorted(topics.states))
    others = told_by_diagnosis([(1e-9 * (at - start), count) for at, count in sorted(topics.publishers)])
    return Recording(start, begin, commands, channels, goals, states, tuple(others), tuple(notes))


def _state_topic(node: str) -> str:
    return f"/{node.strip('/')}/state"


def _bridge_topics(config: BridgeConfig, spec: RobotSpec) -> _Topics:
    """The topics that the bridge file names, still without messages."""
    sources: Sources = {
        name: {channel: config.obs[channel] for channel in spec.obs_names if config.obs[channel].input == name}
        for name in config.inputs
    }
    inputs = {
        name: RecordedTopic(config.inputs[name].topic, config.inputs[name].message_type, channels_row(list(channels.values())))
        for name, channels in sources.items()
        if channels
    }
    output = RecordedTopic(config.output.topic, MESSAGES[config.output.type], command_row(spec, config.output))
    return _Topics(sources, inputs, output)


def _read_messages(bag: Bag, topics: _Topics, config: BridgeConfig, spec: RobotSpec, node: str) -> None:
    """Hand every message of the bag to its topics; all but observations and commands is asked for only where the bag has it."""
    state_topic = _state_topic(node)
    readers: list[RecordedTopic | RecordedGoals] = [*topics.required]
    if config.goal is not None and config.goal.topic in bag.topics:
        topics.goals = RecordedGoals(config.goal, spec.dt)
        readers.append(topics.goals)
    wanted: dict[str, type[Message]] = {reader.name: reader.message_type for reader in readers}
    if state_topic in bag.topics:
        wanted[state_topic] = String
    if bag.topics.get(DIAGNOSTICS) == DiagnosticArray.ros_type:
        wanted[DIAGNOSTICS] = DiagnosticArray
    for name, received, message in bag.messages(wanted):
        if isinstance(message, String):
            topics.states.append((received, message.data))
        elif isinstance(message, DiagnosticArray) and (count := other_publishers(message, node)) is not None:
            topics.publishers.append((received, count))
        for reader in readers:
            if reader.name == name:
                reader.add(message, received)


def _require_messages(path: Path, topics: _Topics) -> None:
    for topic in topics.required:
        if not topic.samples.received:
            raise ConfigError(f"{path}: no message on {topic.name}")


def _measured_channels(path: Path, config: BridgeConfig, topics: _Topics, start: int, notes: list[str]) -> dict[str, Measured]:
    """The samples of every observation channel, from the topic that carries it."""
    channels: dict[str, Measured] = {}
    for name, topic in topics.inputs.items():
        sources: Mapping[str, ChannelInput] = topics.sources[name]
        measured = topic.measured(start, max(map(config.safety.age_limit, sources)), notes)
        for column, (channel, source) in enumerate(sources.items()):
            samples = Measured(measured.times, measured.values[:, column : column + 1], measured.by_stamp)
            _require_values(path, topic, channel, source, samples)
            channels[channel] = samples
    return channels


def _require_values(path: Path, topic: RecordedTopic, channel: str, source: ChannelInput, samples: Measured) -> None:
    """Refuse a recording that never holds a value of a channel: it comes from another robot."""
    if np.isfinite(samples.values).any():
        return
    where = f"{path}: channel '{channel}': {topic.name} never has"
    if not source.joint:
        raise ConfigError(f"{where} a number at '{source.field}'")
    joints = ", ".join(sorted(topic.joints)) or "none"
    raise ConfigError(f"{where} the {source.field} of '{source.joint}'; joints: {joints}")
