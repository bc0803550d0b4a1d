"""The bridge's services, as the page's buttons call them, and what came of each call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from adaptive_mbrl.errors import BridgeError
from adaptive_mbrl.viewing.status import Row
from robot_bridge.middleware.messages import TriggerRequest
from robot_bridge.middleware.transport import Transport
from robot_bridge.node.commands import LOADING_SECONDS
from robot_bridge.streams.watched import Watched
from robot_bridge.viewing.state import in_words

SERVICES = ("estop", "clear_estop", "activate", "deactivate", "override")
FIND_SECONDS = ANSWER_SECONDS = 2.0
"""Longest time to find a service, and to wait for its answer then [s]; `activate` may load a checkpoint and has longer."""


@dataclass(frozen=True)
class Call:
    """One call of a service.

    Attributes:
        service: its name.
        asked: when it was asked, monotonic [s].
        took: time until the answer [s]; None while there is none.
        text: the answer, or why there is none.
        level: `normal` while it is asked, then `good`, `warning` for a refusal, or `bad` without an answer.
    """

    service: str
    asked: float
    took: float | None = None
    text: str = ""
    level: str = "normal"


class Calls:
    """Clients of all services, which look for them from the beginning on, so that an emergency stop is sent at once.

    Args:
        watched: the robot and its node.
        transport: a transport whose threads have nothing else to do.
        clock: function that gives the monotonic time [s].
    """

    def __init__(self, watched: Watched, transport: Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = {name: transport.client(watched.own_topic(name), TriggerRequest) for name in SERVICES}
        self._clock, self._lock = clock, threading.Lock()
        self._newest: dict[str, Call] = {}

    def call(self, service: str) -> Call:
        """Call a service and wait for its answer, on the caller's thread; calls of other services do not wait for it."""
        asked = self._clock()
        self._set(Call(service, asked))
        patience = LOADING_SECONDS if service == "activate" else ANSWER_SECONDS
        try:
            response = self._clients[service](TriggerRequest(), FIND_SECONDS, patience)
        except BridgeError as error:
            text, level = str(error), "bad"
        else:
            text, level = response.message, "good" if response.success else "warning"
        return self._set(Call(service, asked, self._clock() - asked, text, level))

    def rows(self) -> list[Row]:
        """A row for the newest call of each service, the newest first."""
        with self._lock:
            calls = sorted(self._newest.values(), key=lambda call: -call.asked)
        return [self._row(call) for call in calls]

    def _row(self, call: Call) -> Row:
        now = self._clock()
        if call.took is None:
            return Row(call.service, f"asked {in_words(now - call.asked)} ago, no answer yet", "warning")
        ago = f"{in_words(now - call.asked)} ago"
        if call.level == "bad":
            hint = "; use the robot's own emergency stop" if call.service == "estop" else ""
            return Row(call.service, f"NOT CONFIRMED ({ago}): {call.text}{hint}", "bad")
        refused = "refused: " if call.level == "warning" else ""
        return Row(call.service, f"{refused}{call.text} ({ago}, answered in {1e3 * call.took:.0f} ms)", call.level)

    def _set(self, call: Call) -> Call:
        with self._lock:
            newest = self._newest.get(call.service)
            # an answer that comes late must not hide a later question
            if newest is None or newest.asked <= call.asked:
                self._newest[call.service] = call
        return call
