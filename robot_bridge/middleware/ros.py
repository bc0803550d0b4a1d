"""Transport over `rclpy`, for machines with a ROS 2 install (tested with Jazzy)."""

from __future__ import annotations

import importlib
import logging
import threading
import time
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from robot_bridge.middleware.endpoints import Endpoint
from robot_bridge.middleware.messages import DiagnosticStatus, Message, SetBoolRequest, TriggerRequest, fields_of
from robot_bridge.middleware.transport import Answer, MessageT, Receive, RequestT

SERVICES = {TriggerRequest: "Trigger", SetBoolRequest: "SetBool"}
_LOG = logging.getLogger(__name__)
EXECUTOR_THREADS = 3
"""Of an executor: for a service that takes long, another one that is called meanwhile, and messages."""
SPIN_SECONDS = 0.1
"""Longest time until a thread that spins looks whether it should end."""


class RosTransport:
    """Publishes, subscribes and serves through a node that somebody else spins.

    Messages, each call of a service and the node's own callbacks (transitions, parameters) do not wait for one another where an
    executor with several threads spins the node: an emergency stop is answered while the node configures or activates.

    Args:
        node: the node; it keeps living after `close`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._messages, self._service_calls = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        self._publishers: list[Any] = []
        self._subscriptions: list[Any] = []
        self._services: list[Any] = []

    def publisher(self, topic: str, message_type: type[MessageT], *, reliable: bool = True) -> Callable[[MessageT], None]:
        """See `Transport`."""
        publisher = self._node.create_publisher(ros_class(message_type), topic, _qos(reliable))
        self._publishers.append(publisher)
        return lambda message: publisher.publish(to_ros(message))

    def subscribe(self, topic: str, message_type: type[MessageT], receive: Receive[MessageT], *, reliable: bool = False) -> None:
        """See `Transport`."""

        def take(message: Any) -> None:
            receive(from_ros(message, message_type), time.monotonic())

        subscription = self._node.create_subscription(
            ros_class(message_type), topic, take, _qos(reliable), callback_group=self._messages
        )
        self._subscriptions.append(subscription)

    def serve(self, name: str, request_type: type[RequestT], answer: Answer[RequestT]) -> None:
        """See `Transport`."""
        kind = SERVICES[request_type]

        def reply(request: Any, response: Any) -> Any:
            # a trigger has no fields in Python
            question: Any = SetBoolRequest(request.data) if kind == "SetBool" else TriggerRequest()
            answered = answer(question)
            response.success, response.message = answered.success, answered.message
            return response

        service_type = getattr(importlib.import_module("std_srvs.srv"), kind)
        self._services.append(self._node.create_service(service_type, name, reply, callback_group=self._service_calls))

    def graph(self) -> RosGraph:
        """See `Transport`."""
        return RosGraph(self._node)

    def now(self) -> float:
        """See `Transport`."""
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def close(self) -> None:
        """See `Transport`."""
        for destroy, entities in (
            (self._node.destroy_publisher, self._publishers),
            (self._node.destroy_subscription, self._subscriptions),
            (self._node.destroy_service, self._services),
        ):
            while entities:
                destroy(entities.pop())


class RosGraph:
    """Who else publishes and subscribes what, as the node's discovery tells; see `Graph`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those of ROS 2 topics that exist now, without this node's own."""
        return tuple(
            Endpoint(topic, info.topic_type, publishes, info.qos_profile.reliability == ReliabilityPolicy.RELIABLE)
            for topic, _ in self._node.get_topic_names_and_types()
            for publishes in (True, False)
            for info in self._others(topic, publishes)
        )

    def _others(self, topic: str, publishes: bool) -> list[Any]:
        node = self._node
        look = node.get_publishers_info_by_topic if publishes else node.get_subscriptions_info_by_topic
        name = node.get_name(), node.get_namespace()
        named: list[Any] = []
        others: list[Any] = []
        for info in look(topic):
            (named if (info.node_name, info.node_namespace) == name else others).append(info)
        # another process may run a node of the same name: the one that commands the robot already, for example
        mine = sum(e.topic_name == topic for e in (node.publishers if publishes else node.subscriptions))
        return others + named[mine:]


class OwnNodeTransport(RosTransport):
    """The same with a node of its own, which a thread of its own spins.

    Args:
        name: of the node.
        domain: ROS 2's domain id; the environment's ``ROS_DOMAIN_ID`` if not given.
        renamed: the process's ROS arguments may give the node another name; not where the process has another node as well.
    """

    def __init__(self, name: str, domain: int | None = None, *, renamed: bool = True) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        arguments = [] if renamed else ["--ros-args", "-r", f"__node:={name}"]
        super().__init__(Node(name, context=self._context, cli_args=arguments))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=f"spin {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """See `Transport`; the node ends too."""
        self._closed.set()
        self._thread.join()
        super().close()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        # messages and services are received while a service works
        executor = MultiThreadedExecutor(EXECUTOR_THREADS, context=self._context)
        executor.add_node(self._node)
        while not self._closed.is_set():
            try:
                executor.spin_once(timeout_sec=SPIN_SECONDS)
            except Exception:
                # no failure in one callback may silence the others
                _LOG.exception("a callback failed")
        executor.shutdown()


def _qos(reliable: bool) -> QoSProfile:
    """Keep the newest message only: a queue would serve stale ones (REP 2003)."""
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability)


@cache
def _ros_class(ros_type: str) -> Any:
    package, folder, name = ros_type.split("/")
    return getattr(importlib.import_module(f"{package}.{folder}"), name)


def ros_class(message_type: type[Message]) -> Any:
    """ROS 2's own class of a message."""
    return _ros_class(message_type.ros_type)


def to_ros(message: Any) -> Any:
    """A message as an object of ROS 2's own class; numbers and strings as they are."""
    if isinstance(message, Message):
        made = ros_class(type(message))()
        for name, _ in fields_of(type(message)):
            setattr(made, name, to_ros(getattr(message, name)))
        if isinstance(message, DiagnosticStatus):
            made.level = bytes([message.level])
        return made
    return [to_ros(item) for item in message] if isinstance(message, list) else message


def from_ros(value: Any, hint: Any) -> Any:
    """Inverse of `to_ros`; `hint` is the message's class or the type of one of its fields."""
    if isinstance(hint, type) and issubclass(hint, Message):
        return hint(*(from_ros(getattr(value, name), of) for name, of in fields_of(hint)))
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list):
        return [from_ros(element, typing.get_args(hint)[0]) for element in value]
    return value[0] if isinstance(value, bytes) else value
