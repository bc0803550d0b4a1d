"""The interface between the bridge and a middleware. `dds.py` implements it without ROS 2, `ros.py` on `rclpy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from robot_bridge.middleware.endpoints import Accept, Graph
from robot_bridge.middleware.messages import LogLevel, Message, Response, SetBoolRequest, TriggerRequest
from robot_bridge.middleware.reception import Reception

MessageT = TypeVar("MessageT", bound=Message)
Receive = Callable[[MessageT, float], None]
"""Called on the transport's own thread with a message and its time of arrival, monotonic [s]. It must return quickly."""
Request = TriggerRequest | SetBoolRequest
"""A service's request: `std_srvs/srv/Trigger` or `std_srvs/srv/SetBool`."""
RequestT = TypeVar("RequestT", TriggerRequest, SetBoolRequest)
Answer = Callable[[RequestT], Response]
"""Answers a request, on one of the transport's threads. Several answers may run at the same time."""


class Client(Protocol):
    """Calls one service, from any thread."""

    def __call__(self, request: Request, timeout: float = 3.0, answer_seconds: float | None = None) -> Response:
        """Send a request and wait for its answer.

        Args:
            request: the request.
            timeout: longest time to find the service [s].
            answer_seconds: longest time to wait for its answer then [s]; None for `timeout`.

        Raises:
            BridgeError: the service was not found or did not answer.
        """


class Transport(Protocol):
    """Carries messages of `robot_bridge.middleware.messages` under ROS 2 topic and service names.

    A name that does not begin with a slash is in the node's namespace.

    Attributes:
        reception: how many messages of each topic were taken and refused.
    """

    @property
    def reception(self) -> Reception: ...

    def resolve(self, name: str) -> str:
        """The whole name of a topic: in the node's namespace, and after ROS 2's remappings where there are any."""

    def publisher(
        self, topic: str, message_type: type[MessageT], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[MessageT], None]:
        """A function that publishes a message and may be called from any thread.

        Args:
            topic: the topic's ROS 2 name, e.g. ``/joint_states``.
            message_type: class of the messages.
            reliable: whether delivery is confirmed and repeated, as for commands; sensor data are sent best effort.
            transient_local: whether a subscriber that comes late and asks for it gets the last message; only if reliable.
        """

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
        """Call `receive` with every new message. A slow receiver loses old messages, but never the newest one.

        Args:
            topic: the topic's ROS 2 name.
            message_type: class of the messages.
            receive: the function that takes the messages.
            reliable: whether confirmed delivery is required; messages of a best-effort publisher then do not arrive.
            accept: function that decides by the publisher of a message whether it is delivered; None for all of them.
            max_bytes: largest message on the wire; a larger one is refused before it is decoded. None for no limit.

        Raises:
            ConfigError: this middleware does not tell who has sent a message, and there is an `accept`.
        """

    def serve(self, name: str, request_type: type[RequestT], answer: Answer[RequestT]) -> None:
        """Offer a service.

        Args:
            name: the service's ROS 2 name, e.g. ``/adaptive_mpc/estop``.
            request_type: class of the requests, one of the two kinds of service.
            answer: the function that answers a request.
        """

    def client(self, name: str, request_type: type[Request]) -> Client:
        """A function that calls a service. Looking for the service begins now, so that a later call need not wait for it.

        Args:
            name: the service's ROS 2 name, e.g. ``/adaptive_mpc/estop``.
            request_type: class of the requests, one of the two kinds of service.
        """

    def log(self, name: str, level: LogLevel, text: str) -> None:
        """Write a line into ROS 2's log, the topic ``/rosout``, from any thread.

        Args:
            name: the node's name, for a middleware that does not know it.
            level: how serious it is.
            text: the line.
        """

    def graph(self) -> Graph:
        """The publishers and subscribers of other processes."""

    def now(self) -> float:
        """The time for stamps since the epoch [s], which may be simulated time. Deadlines use the monotonic clock instead."""

    def is_time_simulated(self) -> bool:
        """Whether `now` is the time of a simulation, which everybody who stamps messages shares."""

    def close(self) -> None:
        """Leave the network. No message is delivered afterwards; an answer that is at work is not waited for."""
