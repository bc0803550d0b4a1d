"""Publishers and subscribers of other processes, as far as a middleware can find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Sender:
    """A publisher or subscriber by its own names.

    Attributes:
        guid: its number on the network, 32 hexadecimal digits, new at each start; empty where the middleware does not tell.
        node: name of its node, without a slash in front; empty where it is not known.
    """

    guid: str = ""
    node: str = ""

    def is_called(self, name: str) -> bool:
        """Whether `name` is the node's name, or the beginning of the GUID with at least eight digits."""
        digits = name.lower().replace("-", "").replace(".", "").replace(":", "")
        return name.lstrip("/") == self.node != "" or (len(digits) >= 8 and self.guid.startswith(digits))

    def __str__(self) -> str:
        return self.node or self.guid or "an unknown publisher"


Accept = Callable[[Sender], bool]
"""Whether the messages of a publisher are delivered."""


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscriber of another process.

    Attributes:
        topic: the topic's ROS 2 name, e.g. ``/joint_states``.
        type: the ROS 2 name of the message type.
        publishes: whether it is a publisher.
        reliable: whether it offers confirmed delivery, or asks for it as a subscriber.
        sender: who it is.
    """

    topic: str
    type: str
    publishes: bool
    reliable: bool
    sender: Sender = field(default=Sender(), compare=False)


Endpoints = Sequence[Endpoint]


class Graph(Protocol):
    """The publishers and subscribers that discovery finds, which takes up to a second after the start."""

    def endpoints(self) -> Endpoints:
        """The present endpoints of ROS 2 topics, without those of this process."""

    def publishers(self, topic: str) -> Sequence[Sender]:
        """Who else publishes on one topic, which takes less time than to look at all of them."""
