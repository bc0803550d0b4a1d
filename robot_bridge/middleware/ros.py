"""Transport over `rclpy`, for machines with a ROS 2 installation (tested with Jazzy)."""

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
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from adaptive_mbrl.errors import BridgeError, ConfigError
from robot_bridge.middleware.endpoints import Accept, Endpoint, Sender
from robot_bridge.middleware.messages import (
    RESPONSES,
    DiagnosticStatus,
    LogLevel,
    Message,
    Response,
    SetBoolRequest,
    TriggerRequest,
    fields_of,
)
from robot_bridge.middleware.reception import Pace, Reception, largest
from robot_bridge.middleware.transport import Answer, MessageT, Receive, Request, RequestT

SERVICES = {TriggerRequest: "Trigger", SetBoolRequest: "SetBool"}
_LOG = logging.getLogger(__name__)
EXECUTOR_THREADS = 3
"""Threads of an executor: one for a service that takes long, one for another service meanwhile, and one for messages."""
TAKE_SECONDS = 2e-4
"""What rclpy's executor needs for a message before its receiver is called, on another thread [s]."""
SPIN_SECONDS = 0.1
"""Interval at which a spinning thread checks whether it should end [s]."""


class RosTransport:
    """A `Transport` on a node that the caller spins.

    If an executor with several threads spins the node, messages, service calls and the node's own callbacks (transitions,
    parameters) do not wait for one another. So an emergency stop is answered while the node configures or activates.

    Args:
        node: the node, which stays alive after `close`.

    Attributes:
        reception: how many messages of each topic were taken and refused.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.reception, self._pace = Reception(), Pace()
        self._messages, self._service_calls = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        self._publishers: list[Any] = []
        self._subscriptions: list[Any] = []
        self._services: list[Any] = []
        self._clients: list[Any] = []

    def resolve(self, name: str) -> str:
        return str(self._node.resolve_topic_name(name))

    def publisher(
        self, topic: str, message_type: type[MessageT], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[MessageT], None]:
        publisher = self._node.create_publisher(ros_class(message_type), topic, _qos(reliable, transient_local))
        self._publishers.append(publisher)
        return lambda message: publisher.publish(to_ros(message))

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
        kind, most = ros_class(message_type), largest(message_type) if max_bytes is None else max_bytes
        if accept is not None:
            raise ConfigError(f"topic '{topic}': rclpy does not tell who has sent a message; allowed: a publisher with dds only")

        def take(content: bytes) -> None:
            before = time.thread_time()
            if len(content) > most:
                self.reception.refuse(topic, f"{len(content)} bytes, allowed: {most}")
            else:
                try:
                    receive(from_ros(deserialize_message(content, kind), message_type), time.monotonic())
                    self.reception.taken[topic] += 1
                except Exception as error:
                    self.reception.refuse(topic, f"{type(error).__name__}: {error}")
            # no other message is taken meanwhile, since all of them are in one group that excludes itself
            time.sleep(self._pace.rest(time.monotonic(), time.thread_time() - before + TAKE_SECONDS))

        subscription = self._node.create_subscription(kind, topic, take, _qos(reliable), callback_group=self._messages, raw=True)
        self._subscriptions.append(subscription)

    def serve(self, name: str, request_type: type[RequestT], answer: Answer[RequestT]) -> None:
        kind = SERVICES[request_type]

        def reply(request: Any, response: Any) -> Any:
            # rclpy's Trigger request has no fields
            question: Any = SetBoolRequest(request.data) if kind == "SetBool" else TriggerRequest()
            answered = answer(question)
            response.success, response.message = answered.success, answered.message
            return response

        service_type = getattr(importlib.import_module("std_srvs.srv"), kind)
        self._services.append(self._node.create_service(service_type, name, reply, callback_group=self._service_calls))

    def client(self, name: str, request_type: type[Request]) -> RosClient:
        kind = SERVICES[request_type]
        service_type = getattr(importlib.import_module("std_srvs.srv"), kind)
        client = self._node.create_client(service_type, name, callback_group=self._service_calls)
        self._clients.append(client)
        return RosClient(name, request_type, client, service_type)

    def log(self, name: str, level: LogLevel, text: str) -> None:
        logger = self._node.get_logger()
        # a line of code each: rclpy refuses another severity from the same one
        if level is LogLevel.ERROR:
            logger.error(text)
        elif level is LogLevel.WARN:
            logger.warning(text)
        else:
            logger.info(text)

    def graph(self) -> RosGraph:
        return RosGraph(self._node)

    def now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def is_time_simulated(self) -> bool:
        return bool(self._node.get_parameter("use_sim_time").value)

    def close(self) -> None:
        for destroy, entities in (
            (self._node.destroy_publisher, self._publishers),
            (self._node.destroy_subscription, self._subscriptions),
            (self._node.destroy_service, self._services),
            (self._node.destroy_client, self._clients),
        ):
            while entities:
                destroy(entities.pop())


class RosClient:
    """Calls one service through a node that another thread spins.

    Args:
        name: the service's ROS 2 name.
        request_type: class of the requests.
        client: the node's client.
        service_type: ROS 2's own class of the service.
    """

    def __init__(self, name: str, request_type: type[Request], client: Any, service_type: Any) -> None:
        self._name, self._request_type, self._client, self._service_type = name, request_type, client, service_type

    def __call__(self, request: Request, timeout: float = 3.0, answer_seconds: float | None = None) -> Response:
        if not self._client.wait_for_service(timeout_sec=timeout):
            raise BridgeError(f"service '{self._name}': nobody serves it; give --domain of the node")
        question = self._service_type.Request()
        if isinstance(request, SetBoolRequest):
            question.data = request.data
        patience = timeout if answer_seconds is None else answer_seconds
        answered = threading.Event()
        future = self._client.call_async(question)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(patience):
            self._client.remove_pending_request(future)
            raise BridgeError(f"service '{self._name}': no answer within {patience:g} s")
        answer = future.result()
        return RESPONSES[self._request_type](bool(answer.success), str(answer.message))


class RosGraph:
    """Publishers and subscribers as the node's discovery finds them, as a `Graph`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The present endpoints of ROS 2 topics, without those of this node."""
        return tuple(
            Endpoint(
                topic, info.topic_type, publishes, info.qos_profile.reliability == ReliabilityPolicy.RELIABLE, _sender_of(info)
            )
            for topic, _ in self._node.get_topic_names_and_types()
            for publishes in (True, False)
            for info in self._others(topic, publishes)
        )

    def publishers(self, topic: str) -> list[Sender]:
        """Who else publishes on one topic."""
        return [_sender_of(info) for info in self._others(topic, publishes=True)]

    def _others(self, topic: str, publishes: bool) -> list[Any]:
        node = self._node
        look = node.get_publishers_info_by_topic if publishes else node.get_subscriptions_info_by_topic
        name = node.get_name(), node.get_namespace()
        named: list[Any] = []
        others: list[Any] = []
        for info in look(topic):
            (named if (info.node_name, info.node_namespace) == name else others).append(info)
        # another process may run a node of the same name, for example one that controls the robot already
        mine = sum(e.topic_name == topic for e in (node.publishers if publishes else node.subscriptions))
        return others + named[mine:]


def _sender_of(info: Any) -> Sender:
    """Who an endpoint is, by what ROS 2's discovery says of it."""
    guid, namespace = bytes(info.endpoint_gid)[:16].hex(), str(info.node_namespace).strip("/")
    if str(info.node_name).startswith("_NODE_NAME_UNKNOWN"):
        # a publisher of no node of ROS 2, such as a bridge with the transport `dds`
        return Sender(guid)
    return Sender(guid, f"{namespace}/{info.node_name}".lstrip("/"))


class OwnNodeTransport(RosTransport):
    """A `RosTransport` with its own node, which its own thread spins.

    Args:
        name: the node's name.
        domain: ROS 2's domain id; by default the environment variable ``ROS_DOMAIN_ID``.
        namespace: the node's namespace, unless the process's ROS arguments give another one.
        renamed: whether the process's ROS arguments may rename the node; false if they are meant for another node of the process.
    """

    def __init__(self, name: str, domain: int | None = None, namespace: str = "", *, renamed: bool = True) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        arguments = [] if renamed else ["--ros-args", "-r", f"__node:={name}"]
        super().__init__(Node(name, namespace=namespace, context=self._context, cli_args=arguments))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=f"spin {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        super().close()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        # several threads, so that messages and further calls are received while a service is at work
        executor = MultiThreadedExecutor(EXECUTOR_THREADS, context=self._context)
        executor.add_node(self._node)
        while not self._closed.is_set():
            try:
                executor.spin_once(timeout_sec=SPIN_SECONDS)
            except Exception:
                # an exception in one callback must not stop the others
                _LOG.exception("a callback failed")
        shut_down(executor)


def shut_down(executor: MultiThreadedExecutor) -> None:
    """End an executor that nobody spins any more, once the callbacks at work are done.

    rclpy 7 does not wait for them by itself, and each of them would then report that what it uses was destroyed.
    """
    executor._executor.shutdown(wait=True)
    executor.shutdown()


def _qos(reliable: bool, transient_local: bool = False) -> QoSProfile:
    """Keep only the newest message; a longer queue would deliver stale ones first (REP 2003)."""
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    durability = DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability, durability=durability)


@cache
def _ros_class(ros_type: str) -> Any:
    package, folder, name = ros_type.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{folder}"), name)
    except ModuleNotFoundError as error:
        raise BridgeError(
            f"{ros_type}: the ROS 2 package '{package}' is not installed; allowed: messages of packages that are"
        ) from error


def ros_class(message_type: type[Message]) -> Any:
    """ROS 2's own class of a message."""
    return _ros_class(message_type.ros_type)


def to_ros(message: Any) -> Any:
    """A message as an object of ROS 2's own class; numbers and strings are unchanged."""
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
