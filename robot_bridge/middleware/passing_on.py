"""A transport that passes everything on to another one; subclasses do something else with a part of it."""

from __future__ import annotations

from collections.abc import Callable

from robot_bridge.middleware.endpoints import Accept, Graph
from robot_bridge.middleware.messages import LogLevel
from robot_bridge.middleware.reception import Reception
from robot_bridge.middleware.transport import Answer, Client, MessageT, Receive, Request, RequestT, Transport


class PassingOn:
    """A `Transport` that does nothing by itself.

    Args:
        transport: the transport that does the work.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def reception(self) -> Reception:
        return self._transport.reception

    def resolve(self, name: str) -> str:
        return self._transport.resolve(name)

    def publisher(
        self, topic: str, message_type: type[MessageT], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[MessageT], None]:
        return self._transport.publisher(topic, message_type, reliable=reliable, transient_local=transient_local)

    def subscribe(
        self,
        topic: str,
        message_type: type[MessageT],
        receive: Receive[MessageT],
        *,
        reliable: bool = False,
        accept: Accept | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._transport.subscribe(topic, message_type, receive, reliable=reliable, accept=accept, max_bytes=max_bytes)

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

    def is_time_simulated(self) -> bool:
        return self._transport.is_time_simulated()

    def close(self) -> None:
        self._transport.close()
