"""The asking side of a service over DDS, which stays connected between its calls."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable
from itertools import count

from adaptive_mbrl.errors import BridgeError
from robot_bridge.middleware.messages import Response
from robot_bridge.middleware.transport import Request

POLL_SECONDS = 0.01
"""Time between two looks whether somebody serves [s]."""


class DdsClient:
    """Calls one service, from any thread, several times at once if need be.

    Args:
        name: the service's ROS 2 name.
        where: domain and interface, in words, for the error.
        send: writes a request with the client's number and the request's.
        is_served: whether discovery has found both sides of the service.

    Attributes:
        number: the client's number, by which it knows its answers.
    """

    def __init__(self, name: str, where: str, send: Callable[[Request, int, int], None], is_served: Callable[[], bool]) -> None:
        self.number = uuid.uuid4().int >> 65
        self._name, self._where, self._send, self._is_served = name, where, send, is_served
        self._numbers = count(1)
        self._waiting: dict[int, queue.SimpleQueue[Response]] = {}
        self._lock = threading.Lock()

    def take(self, number: int, response: Response) -> None:
        """Hand an answer to whoever waits for it; one that nobody waits for any more is left out."""
        with self._lock:
            waiting = self._waiting.get(number)
        if waiting is not None:
            waiting.put(response)

    def __call__(self, request: Request, timeout: float = 3.0, answer_seconds: float | None = None) -> Response:
        """See `Client`."""
        until = time.monotonic() + timeout
        while not self._is_served():
            if time.monotonic() > until:
                raise BridgeError(
                    f"service '{self._name}': nobody serves it {self._where}; give --domain and --interface of the node"
                )
            time.sleep(POLL_SECONDS)
        patience = timeout if answer_seconds is None else answer_seconds
        with self._lock:
            number, answers = next(self._numbers), queue.SimpleQueue[Response]()
            self._waiting[number] = answers
        try:
            self._send(request, self.number, number)
            return answers.get(timeout=patience)
        except queue.Empty:
            raise BridgeError(f"service '{self._name}': no answer within {patience:g} s") from None
        finally:
            with self._lock:
                del self._waiting[number]
