"""What the bridge needs from a middleware. `dds.py` is the backend without a ROS 2 install, `ros.py` the one on `rclpy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from robot_bridge.middleware.endpoints import Graph
from robot_bridge.middleware.messages import Message, Response, SetBoolRequest, TriggerRequest

MessageT = TypeVar("MessageT", bound=Message)
Receive = Callable[[MessageT, float], None]
"""Called on the transport's own thread with a message and when it was received, `time.monotonic()` [s]. Must return quickly."""
Request = TriggerRequest | SetBoolRequest
"""What a service is asked: `std_srvs/srv/Trigger` or `std_srvs/srv/SetBool`."""
RequestT = TypeVar("RequestT", TriggerRequest, SetBoolRequest)
Answer = Callable[[RequestT], Response]
"""Called on a thread of the transport's; while it runs, another one may be called."""


class Transport(Protocol):
    """Messages of `robot_bridge.middleware.messages` under ROS 2 topic and service names."""

    def publisher(self, topic: str, message_type: type[MessageT], *, reliable: bool = True) -> Callable[[MessageT], None]:
        """A function that publishes, from any thread; commands are reliable, sensor data best effort.

        Args:
            topic: ROS 2 name, e.g. ``/joint_states``.
            message_type: class of the messages.
            reliable: delivery is confirmed and repeated.
        """

    def subscribe(self, topic: str, message_type: type[MessageT], receive: Receive[MessageT], *, reliable: bool = False) -> None:
        """Call `receive` with every new message; a slow receiver loses old messages, never the newest.

        Args:
            topic: ROS 2 name.
            message_type: class of the messages.
            receive: see `Receive`.
            reliable: ask for confirmed delivery; then a best-effort publisher is not heard.
        """

    def serve(self, name: str, request_type: type[RequestT], answer: Answer[RequestT]) -> None:
        """Answer a service.

        Args:
            name: ROS 2 name, e.g. ``/adaptive_mpc/estop``.
            request_type: which of the two kinds of service it is.
            answer: see `Answer`.
        """

    def graph(self) -> Graph:
        """Who else publishes and subscribes what."""

    def now(self) -> float:
        """Time for stamps, since the epoch [s]; simulated where the middleware has that. Deadlines use the monotonic clock."""

    def close(self) -> None:
        """Leave the network; no message is delivered afterwards, and a service that is at work is not waited for."""
