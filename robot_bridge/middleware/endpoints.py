"""Publishers and subscribers of other processes, as far as a middleware can find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscriber of another process.

    Attributes:
        topic: the topic's ROS 2 name, e.g. ``/joint_states``.
        type: the ROS 2 name of the message type.
        publishes: whether it is a publisher.
        reliable: whether it offers confirmed delivery, or asks for it as a subscriber.
    """

    topic: str
    type: str
    publishes: bool
    reliable: bool


Endpoints = Sequence[Endpoint]


class Graph(Protocol):
    """The publishers and subscribers that discovery finds, which takes up to a second after the start."""

    def endpoints(self) -> Endpoints:
        """The present endpoints of ROS 2 topics, without those of this process."""
