"""A transport whose commands go to the guard, which publishes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from robot_bridge.control.outputs import command_values
from robot_bridge.guard.line import GuardLine
from robot_bridge.middleware.endpoints import Endpoints, Graph, Sender
from robot_bridge.middleware.passing_on import PassingOn
from robot_bridge.middleware.transport import MessageT, Transport
from robot_bridge.ownership.claims import GUARD_SUFFIX

_LOG = logging.getLogger(__name__)


class GuardedTransport(PassingOn):
    """A `Transport` that passes everything on to another one, except for commands. If the guard dies it sends them itself.

    Args:
        transport: the transport that does the work.
        line: the line to the guard.
        topic: the topic of commands.
    """

    def __init__(self, transport: Transport, line: GuardLine, topic: str) -> None:
        super().__init__(transport)
        self._line, self._topic = line, topic
        self._own: Callable[[Any], None] | None = None

    def publisher(
        self, topic: str, message_type: type[MessageT], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[MessageT], None]:
        if topic != self._topic:
            return super().publisher(topic, message_type, reliable=reliable, transient_local=transient_local)
        return self._send

    def graph(self) -> Graph:
        return super().graph() if self._own is not None else _WithoutGuard(super().graph(), self._topic)

    def _send(self, message: MessageT) -> None:
        if self._own is None:
            try:
                self._line.command(command_values(message))
                return
            except OSError as error:
                _LOG.error("the guard is gone or hangs (%s); commands are published without it", error)
                self._own = super().publisher(self._topic, type(message))
        self._own(message)


class _WithoutGuard:
    """The graph without the guard's publisher of commands, which is this robot's own."""

    def __init__(self, graph: Graph, topic: str) -> None:
        self._graph, self._topic = graph, topic

    def endpoints(self) -> Endpoints:
        endpoints = list(self._graph.endpoints())
        publishers = [i for i, e in enumerate(endpoints) if e.publishes and e.topic == self._topic]
        # a middleware may not tell the node's name, and then any of them is taken for the guard
        publishers.sort(key=lambda i: not endpoints[i].sender.node.endswith(GUARD_SUFFIX))
        if publishers:
            del endpoints[publishers[0]]
        return endpoints

    def publishers(self, topic: str) -> list[Sender]:
        senders = list(self._graph.publishers(topic))
        if topic == self._topic and senders:
            senders.remove(min(senders, key=lambda sender: not sender.node.endswith(GUARD_SUFFIX)))
        return senders
