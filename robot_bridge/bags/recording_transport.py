"""A transport that records all messages."""

from __future__ import annotations

import time
from collections.abc import Callable

from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.middleware.endpoints import Accept
from robot_bridge.middleware.passing_on import PassingOn
from robot_bridge.middleware.transport import MessageT, Receive, Transport


class RecordingTransport(PassingOn):
    """A `Transport` that passes everything on to another one and records what is published and received.

    Services and the log are not recorded. What they are about shows in the supervisor's state, which is.

    Args:
        transport: the transport that does the work.
        recorder: the recorder, which is not closed here.
        clock: function that gives the monotonic time [s], as in the transport's times of arrival.
    """

    def __init__(self, transport: Transport, recorder: BagRecorder, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(transport)
        self._recorder, self._clock = recorder, clock

    def publisher(
        self, topic: str, message_type: type[MessageT], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[MessageT], None]:
        publish = super().publisher(topic, message_type, reliable=reliable, transient_local=transient_local)
        record = self._recorder.topic(topic, message_type, reliable=reliable)

        def publish_and_record(message: MessageT) -> None:
            at = self._clock()
            publish(message)
            record(message, at)

        return publish_and_record

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
        record = self._recorder.topic(topic, message_type, reliable=reliable)

        def receive_and_record(message: MessageT, received: float) -> None:
            receive(message, received)
            record(message, received)

        super().subscribe(topic, message_type, receive_and_record, reliable=reliable, accept=accept, max_bytes=max_bytes)
