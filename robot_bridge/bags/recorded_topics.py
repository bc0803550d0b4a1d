"""One topic of a bag at a time: which numbers its messages hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.logs.samples import Measured
from adaptive_mbrl.logs.stamps import notes_on_stamps
from robot_bridge.bags.samples import Samples
from robot_bridge.bridge_config import ChannelInput, GoalInput
from robot_bridge.control.inputs import read_channel, read_goals
from robot_bridge.middleware.messages import MESSAGES, JointState, Message

Row = Callable[[Message], list[float]]
"""Reads the numbers of one message."""


@dataclass
class RecordedTopic:
    """A topic whose messages hold a fixed number of values.

    Attributes:
        name: the topic's name in the bridge file.
        message_type: the class of its messages.
        row: reads the numbers of one message.
        samples: the numbers of all messages so far.
        joints: every joint name that a message had.
    """

    name: str
    message_type: type[Message]
    row: Row
    samples: Samples = field(default_factory=Samples)
    joints: set[str] = field(default_factory=set)

    def add(self, message: Message, received: int) -> None:
        """Take over a message that was received at this time, since the epoch [ns]."""
        self.samples.add(message, received, self.row(message))
        if isinstance(message, JointState):
            self.joints.update(message.name)

    def measured(self, start: int, max_age: float, notes: list[str]) -> Measured:
        """The samples by their time; anything odd about their stamps is appended to the notes.

        Args:
            start: the bag's start, since the epoch [ns].
            max_age: the age limit, as in `Samples.measured` [s].
            notes: sentences for the user, which this appends to.
        """
        found = self.samples.measured(start, max_age)
        notes += notes_on_stamps(self.name, self.samples.stamps, found)
        return found


@dataclass
class RecordedGoals:
    """The goal's topic. A message may also hold the goals of later control periods, which count until the next message.

    Attributes:
        config: the goal part of the bridge file.
        dt: control period [s].
        messages: time of arrival since the epoch [ns], message and goals (n, goal_dim) of each valid message.
    """

    config: GoalInput
    dt: float
    messages: list[tuple[int, Message, NDArray[np.float64]]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The topic's name in the bridge file."""
        return self.config.topic

    @property
    def message_type(self) -> type[Message]:
        """The class of its messages."""
        return MESSAGES[self.config.type]

    def add(self, message: Message, received: int) -> None:
        """Take over a message that was received at this time, since the epoch [ns]; one without a valid goal is ignored."""
        goals = read_goals(message, self.config)
        if goals is not None:
            self.messages.append((received, message, goals))

    def samples(self) -> Samples:
        """One sample for each control period whose goal is known."""
        samples, messages = Samples(), sorted(self.messages, key=lambda entry: entry[0])
        ends = [received for received, *_ in messages[1:]] + [math.inf]
        for (received, message, goals), end in zip(messages, ends, strict=True):
            for ahead, goal in enumerate(goals):
                at = received + round(1e9 * ahead * self.dt)
                if at < end:
                    samples.add(message, at, goal.tolist())
        return samples


def channels_row(sources: Sequence[ChannelInput]) -> Row:
    """Reads these channels from a message, in this order."""
    return lambda message: [read_channel(message, source) for source in sources]
