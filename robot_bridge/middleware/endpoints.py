"""Who publishes and subscribes what, as far as a middleware can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscriber of another process.

    Attributes:
        topic: ROS 2 name, e.g. ``/joint_states``.
        type: ROS 2 name of its message.
        publishes: it is a publisher.
        reliable: it confirms delivery, or asks for it.
    """

    topic: str
    type: str
    publishes: bool
    reliable: bool


Endpoints = Sequence[Endpoint]


class Graph(Protocol):
    """What discovery finds; it takes up to a second from the moment this is made."""

    def endpoints(self) -> Endpoints:
        """Those of ROS 2 topics that exist now, without this process's own."""
