"""A transport that passes everything on to another one; subclasses do something else with a part of it."""

from __future__ import annotations

from collections.abc import Callable

from robot_bridge.middleware.endpoints import Accept, Graph
from robot_bridge.middleware.messages import LogLevel
from robot_bridge.middleware.transport import Answer, Client, MessageT, Receive, Request, RequestT, Transport


class PassingOn:
    """A `Transport` that does nothing by itself.

    Args:
        transport: the transport that does the work.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def publisher(self, topic: str, message_type: type[MessageT], *, reliable: bool = True) -> Callable[[MessageT], None]:
        return self._transport.publisher(topic, message_type, reliable=reliable)

    def subscribe(
        self,
        topic: str,
        message_type: type[MessageT],
        receive: Receive[MessageT],
        *,
        reliable: bool = False,
        accept: Accept | None = None,
    ) -> None:
        if accept is None:
            # as most callers do, so that a transport need not know senders to be wrapped
            self._transport.subscribe(topic, message_type, receive, reliable=reliable)
        else:
            self._transport.subscribe(topic, message_type, receive, reliable=reliable, accept=accept)

    def serve(self, name: str, request_type: type[RequestT], answer: Answer[RequestT]) -> None:
        self._transport.serve(name, request_type, answer)

    def client(self, name: str, request_type: type[Request]) -> Client:
        return self._transport.client(name, request_type)

    def log(self, name: str, level: LogLevel, text: str) -> None:
        self._transport.log(name, level, text)

    def graph(self) -> Graph:
        return self._transport.graph()

    def now(self) -> float:
        return self._transport.now()

    def close(self) -> None:
        self._transport.close()
