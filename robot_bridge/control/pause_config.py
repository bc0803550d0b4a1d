"""Configuration of when adapting pauses: the `adaptation` part of a bridge YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from adaptive_mbrl.config import bounded, did_you_mean
from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.fields import field_of
from robot_bridge.middleware.messages import Bool, Float64MultiArray, Message, WrenchStamped
from robot_bridge.middleware.topics import require_topic

MessageType = type[Message]
CONTACTS: dict[str, MessageType] = {message.ros_type: message for message in (Bool, Float64MultiArray, WrenchStamped)}
"""The types of messages that say something about contact."""


@dataclass(frozen=True)
class ContactCondition:
    """When the robot's contact with the world is not the one that it was trained with: held by hand, in the air, on a stand.

    It is a number beyond a bound, of a message or of an observation channel. With a Bool and no bound it is `true`.

    Attributes:
        topic: the topic of the number; empty where it is an observation channel.
        type: type of the topic's messages.
        field: path of the number in the message.
        channel: the observation channel of the number; empty where it is of a topic.
        above: adapting pauses while the number is larger.
        below: adapting pauses while the number is smaller.
        max_age: how old the topic's last message may be [s]; while it is older, or before the first one came, adapting pauses as
            well. 0 takes no message for good contact, and lets the last one hold for ever.
    """

    topic: str = ""
    type: str = Bool.ros_type
    field: str = "data"
    channel: str = ""
    above: float = math.inf
    below: float = -math.inf
    max_age: float = bounded(0.0, low=0.0, high=3600.0)

    def __post_init__(self) -> None:
        if bool(self.topic) == bool(self.channel):
            raise ConfigError("key 'topic': got both or neither of 'topic' and 'channel'; allowed: one of them")
        is_bool = bool(self.topic) and self.type == Bool.ros_type
        if not is_bool and self.above == math.inf and self.below == -math.inf:
            raise ConfigError("key 'above': missing; allowed: 'above', 'below' or both")
        if self.topic:
            require_topic(self.topic)
            self._require_number()

    def _require_number(self) -> None:
        if self.type not in CONTACTS:
            hint = did_you_mean(self.type, CONTACTS)
            raise ConfigError(f"key 'type': got '{self.type}'{hint}; allowed: {', '.join(CONTACTS)}")
        try:
            field_of(self.message_type(), self.field)
        except AttributeError as error:
            raise ConfigError(f"key 'field': {self.type} has no number '{self.field}': {error}") from error

    @property
    def message_type(self) -> MessageType:
        """The class of the topic's messages."""
        return CONTACTS[self.type]

    def holds(self, value: float) -> bool:
        """Whether the contact is wrong at this number; one that is not known says nothing."""
        above = 0.5 if self.above == math.inf and self.below == -math.inf else self.above
        return value > above or value < self.below


@dataclass(frozen=True)
class PauseConfig:
    """When adapting pauses.

    Attributes:
        excitation_below: how little states and commands may change over the last `window_seconds` [training stds]; 0 for any.
        window_seconds: the time over which that is measured [s].
        contact: conditions in which the robot's contact with the world is not the one that it was trained with, by a name.
        resume_seconds: how long all reasons must be gone before adapting goes on [s].
    """

    excitation_below: float = bounded(0.0, low=0.0, high=10.0)
    window_seconds: float = bounded(1.0, low=0.1, high=60.0)
    contact: Mapping[str, ContactCondition] = field(default_factory=dict)
    resume_seconds: float = bounded(0.3, low=0.0, high=60.0)


@dataclass(frozen=True)
class AdaptationConfig:
    """How the belief is treated on this robot.

    Attributes:
        pause_when: when adapting pauses.
        max_delay: the longest delay of actions beyond `latency` that is looked for [control steps]; 0 takes actions to act when
            `latency` says.
        reversals: whether motors that are wired backwards are looked for; false takes all of them to be right.
    """

    pause_when: PauseConfig = PauseConfig()
    max_delay: int = bounded(2, low=0, high=8)
    reversals: bool = True
