"""Transport over Cyclone DDS, wire-compatible with ROS 2: `ros2 topic echo` sees these topics, and rclpy nodes talk to them.

A ROS 2 topic ``/name`` is the DDS topic ``rt/name``, a message ``pkg/msg/Name`` the type ``pkg::msg::dds_::Name_`` in plain CDR.
A service ``/name`` is a topic of requests, ``rq/nameRequest``, and one of answers, ``rr/nameReply``. As in rmw_cyclonedds, their
messages begin with the client's number and the number of its request.
By default the transport uses the loopback interface only. ROS 2 nodes on the same machine need the same ``CYCLONEDDS_URI``.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from cyclonedds._clayer import ddspy_take  # type: ignore[import-not-found]
from cyclonedds.core import DDSException, InstanceState, Policy, Qos, ReadCondition, SampleState, ViewState, WaitSet
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.internal import load_cyclonedds
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from adaptive_mbrl.errors import BridgeError, ConfigError
from robot_bridge.middleware.cyclone import LOOPBACK, configuration
from robot_bridge.middleware.dds_client import DdsClient
from robot_bridge.middleware.dds_entities import deleted_with_its_object, match_count
from robot_bridge.middleware.dds_graph import DdsGraph
from robot_bridge.middleware.dds_senders import DdsSenders
from robot_bridge.middleware.dds_types import framed_sample, from_wire, idl_type, to_wire
from robot_bridge.middleware.endpoints import Accept
from robot_bridge.middleware.messages import RESPONSES, Log, LogLevel, Message, Response, Time
from robot_bridge.middleware.reception import MAX_BYTES, MAX_SAMPLE_BYTES, Pace, Reception, largest
from robot_bridge.middleware.ros_nodes import RosNodes
from robot_bridge.middleware.transport import Answer, MessageT, Receive, Request, RequestT
from robot_bridge.middleware.type_hash import user_data
from robot_bridge.topic_names import in_namespace

_DOMAINS: dict[int, Domain] = {}
_TOPICS: dict[tuple[int, str, str], Topic] = {}
DISCOVERY_SECONDS = 1.0
"""Longest time that an answer waits until DDS has found the client's reader [s]."""
POLL = duration(milliseconds=100)
"""Interval at which the receiving thread checks whether it should end."""
MAX_ANSWERS = 8
"""Most requests of one service that are answered at the same time. Further ones are refused: each has a thread of its own."""
_LOG_FATAL, _LOG_ERROR = 1, 2
"""Cyclone's numbers of the kinds of lines in its log."""
_ANY = SampleState.Any | ViewState.Any | InstanceState.Any


class DdsTransport:
    """A `Transport` that needs no ROS 2 installation.

    Args:
        domain: ROS 2's domain id.
        interface: the network interface; the environment variable ``CYCLONEDDS_URI`` takes precedence.
        name: the node's whole name, by which others know its publishers, e.g. ``robot_1/adaptive_mpc``.
        namespace: the namespace of names that do not begin with a slash, e.g. ``robot_1``; empty for none.

    Attributes:
        reception: how many messages of each topic were taken and refused.
    """

    def __init__(self, domain: int = 0, interface: str = LOOPBACK, name: str = "", namespace: str = "") -> None:
        self._name, self._namespace = name, namespace
        self._domain, self._interface, self._participant = domain, interface, _participant(domain, interface)
        self._readers: list[_Reader] = []
        self._waitset = deleted_with_its_object(WaitSet(self._participant))
        self.reception = Reception()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._receive_all, name="dds receive", daemon=True)
        self._lock = threading.Lock()
        self._log: DataWriter | None = None

    def resolve(self, name: str) -> str:
        return in_namespace(self._namespace, name)

    def publisher(
        self, topic: str, message_type: type[MessageT], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[MessageT], None]:
        qos = _qos(reliable, transient_local=transient_local, name=self._name)
        writer = self._writer(self._topic(topic, message_type), qos, message_type)
        return lambda message: writer.write(to_wire(message))

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
        self._listen(
            self._topic(topic, message_type),
            # in a queue of one message, those of others would take the place of the ones that are accepted
            _qos(reliable, depth=1 if accept is None else _CHOSEN_DEPTH),
            message_type,
            lambda sample: receive(from_wire(sample, message_type), time.monotonic()),
            topic,
            largest(message_type) if max_bytes is None else max_bytes,
            accept,
        )

    def serve(self, name: str, request_type: type[RequestT], answer: Answer[RequestT]) -> None:
        response_type = RESPONSES[request_type]
        replies = self._writer(self._service_topic("rr", f"{name}Reply", response_type), _SERVICE_QOS, response_type)
        free = threading.Semaphore(MAX_ANSWERS)

        def reply(sample: Any) -> None:
            # on a thread of its own, because observations must arrive while, for example, the actuators come to rest
            if not free.acquire(blocking=False):
                raise BridgeError(f"{MAX_ANSWERS} requests are being answered already")
            threading.Thread(target=reply_and_free, args=(sample,), daemon=True).start()

        def reply_and_free(sample: Any) -> None:
            try:
                reply_to(sample)
            finally:
                free.release()

        def reply_to(sample: Any) -> None:
            try:
                response = answer(from_wire(sample, request_type))
            except Exception as error:
                response = Response(False, f"{type(error).__name__}: {error}")
            typed_response = response_type(response.success, response.message)
            # a client's question may arrive before DDS has found the reader that waits for the answer
            until = time.monotonic() + DISCOVERY_SECONDS
            asking, waiting = requests.get_matched_publications, replies.get_matched_subscriptions
            while match_count(waiting) < match_count(asking) and time.monotonic() < until:
                time.sleep(0.01)
            replies.write(framed_sample(typed_response, sample.client, sample.number))

        asked = self._service_topic("rq", f"{name}Request", request_type)
        requests: DataReader = self._listen(asked, _SERVICE_QOS, request_type, reply, name, MAX_BYTES)

    def client(self, name: str, request_type: type[Request]) -> DdsClient:
        response_type = RESPONSES[request_type]
        writer = self._writer(self._service_topic("rq", f"{name}Request", request_type), _SERVICE_QOS, request_type)

        def send(request: Request, client: int, number: int) -> None:
            writer.write(framed_sample(request, client, number))

        def is_served() -> bool:
            return bool(match_count(writer.get_matched_subscriptions) and match_count(reader.get_matched_publications))

        def take(sample: Any) -> None:
            if sample.client == made.number:
                made.take(sample.number, from_wire(sample, response_type))

        made = DdsClient(name, f"in domain {self._domain} on interface '{self._interface}'", send, is_served)
        answers = self._service_topic("rr", f"{name}Reply", response_type)
        reader = self._listen(answers, _SERVICE_QOS, response_type, take, name)
        return made

    def call(self, name: str, request: Request, timeout: float = 3.0, answer_seconds: float | None = None) -> Response:
        """Call a service once and wait for its answer, as a `client` does.

        Args:
            name: the service's ROS 2 name.
            request: the request.
            timeout: longest time to find the service [s].
            answer_seconds: longest time to wait for its answer then [s]; None for `timeout`.

        Raises:
            BridgeError: the service was not found or did not answer.
        """
        return self.client(name, type(request))(request, timeout, answer_seconds)

    def log(self, name: str, level: LogLevel, text: str) -> None:
        with self._lock:
            if self._log is None:
                self._log = self._writer(self._topic("/rosout", Log), _LOG_QOS, Log)
        # ROS 2's loggers have names with dots
        self._log.write(to_wire(Log(Time.of(self.now()), int(level), name.replace("/", "."), text)))

    def graph(self) -> DdsGraph:
        return DdsGraph(self._domain, _ros_nodes(self._domain, self._interface))

    def now(self) -> float:
        return time.time()

    def is_time_simulated(self) -> bool:
        return False

    def close(self) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._readers.clear()

    def _topic(self, name: str, message_type: type[Message]) -> Topic:
        return _topic(self._participant, f"rt{self.resolve(name)}", idl_type(message_type))

    def _service_topic(self, prefix: str, name: str, message_type: type[Message]) -> Topic:
        return _topic(self._participant, f"{prefix}{self.resolve(name)}", idl_type(message_type, framed=True))

    def _writer(self, topic: Topic, qos: Qos, message_type: type[Message]) -> DataWriter:
        return deleted_with_its_object(DataWriter(self._participant, topic, _announcing(qos, message_type)))

    def _listen(
        self,
        topic: Topic,
        qos: Qos,
        message_type: type[Message],
        deliver: Callable[[Any], None],
        name: str,
        max_bytes: int | None = None,
        accept: Accept | None = None,
    ) -> DataReader:
        reader = deleted_with_its_object(DataReader(self._participant, topic, _announcing(qos, message_type)))
        senders = None if accept is None else DdsSenders(reader, _ros_nodes(self._domain, self._interface))
        is_accepted = None if accept is None or senders is None else lambda handle: accept(senders(handle))
        condition = ReadCondition(reader, _ANY)
        with self._lock:
            self._readers.append(_Reader(reader, deliver, name, max_bytes, is_accepted))
            self._waitset.attach(condition)
            if not self._thread.is_alive():
                self._thread.start()
        return reader

    def _receive_all(self) -> None:
        pace, used = Pace(), time.thread_time()
        while not self._closed.is_set():
            self._waitset.wait(POLL)
            with self._lock:
                readers = tuple(self._readers)
            for reader in readers:
                reader.deliver_new(self.reception)
            before, used = used, time.thread_time()
            rest = pace.rest(time.monotonic(), used - before)
            if rest > 0:
                self._closed.wait(rest)


@dataclasses.dataclass(frozen=True)
class _Reader:
    """A reader and who gets its messages.

    Attributes:
        reader: the reader.
        deliver: function that gets each sample.
        name: the topic's or service's ROS 2 name.
        max_bytes: largest message that is decoded; None for no limit.
        is_accepted: function that decides by the handle of its publisher whether a message is decoded; None for all of them.
    """

    reader: DataReader
    deliver: Callable[[Any], None]
    name: str
    max_bytes: int | None
    is_accepted: Callable[[int], bool] | None = None

    def deliver_new(self, reception: Reception) -> None:
        """Decode and pass on what has come; a message that cannot be read must not keep others from being delivered."""
        for content, info in self._taken(reception):
            try:
                self._deliver(content, info, reception)
            except Exception as error:
                reception.refuse(self.name, f"{type(error).__name__}: {error}")

    def _taken(self, reception: Reception) -> Sequence[tuple[bytes, Any]]:
        """The messages that have come, each as bytes and what DDS says of it."""
        try:
            # what `DataReader.take` calls before it decodes; it gives the bytes of a message instead
            taken = ddspy_take(self.reader._ref, _ANY, _SERVICE_DEPTH)
        except Exception as error:
            reception.refuse(self.name, f"{type(error).__name__}: {error}")
            return ()
        return () if isinstance(taken, int) else taken

    def _deliver(self, content: bytes, info: Any, reception: Reception) -> None:
        if not info.valid_data or (self.is_accepted is not None and not self.is_accepted(info.publication_handle)):
            return
        if self.max_bytes is not None and len(content) > self.max_bytes:
            reception.refuse(self.name, f"{len(content)} bytes, allowed: {self.max_bytes}")
            return
        self.deliver(self.reader.topic.data_type.deserialize(content))
        reception.taken[self.name] += 1


@cache
def _participant(domain: int, interface: str) -> DomainParticipant:
    """The process's participant in a domain, which exists until the process ends.

    Topics must not be deleted: Cyclone DDS 11 keeps instances of a type in a table even after the type's last topic was deleted,
    and crashes when it finds one of them later.
    """
    try:
        _configure(domain, interface)
        made = DomainParticipant(domain)
        _log_errors_only()
        return made
    except DDSException as error:
        raise ConfigError(f"{_cannot_start(interface)} (or with CYCLONEDDS_URI); interfaces here: {_interfaces()}") from error


def _cannot_start(interface: str) -> str:
    return f"--interface: DDS cannot start on '{interface}'"


def _interfaces() -> str:
    return ", ".join(name for _, name in socket.if_nameindex())


@cache
def _ros_nodes(domain: int, interface: str) -> RosNodes:
    """Names of ROS 2's nodes, which the process's participant in a domain listens for."""
    return RosNodes(_participant(domain, interface))


def _log_errors_only() -> None:
    """Let Cyclone write no warnings any more.

    It writes one for every packet that is wrong, so that whoever sends wrong packets would fill the disk. `Reception` counts what
    cannot be decoded.
    """
    load_cyclonedds().dds_set_log_mask(_LOG_FATAL | _LOG_ERROR)


def _topic(participant: DomainParticipant, name: str, kind: type[IdlStruct]) -> Topic:
    key = participant.domain_id, name, kind.__idl_typename__
    if key not in _TOPICS:
        _TOPICS[key] = Topic(participant, name, kind)
    return _TOPICS[key]


def _configure(domain: int, interface: str) -> None:
    """Configure a domain. A process has one configuration for each domain, which must be set before the first participant."""
    if os.environ.get("CYCLONEDDS_URI"):
        return
    if interface not in _interfaces().split(", "):
        # Cyclone DDS would print a line of its own before it fails
        raise ConfigError(f"{_cannot_start(interface)}; interfaces here: {_interfaces()}")
    _DOMAINS[domain] = Domain(domain, configuration(interface, MAX_SAMPLE_BYTES))


_RELIABLE = Policy.Reliability.Reliable(duration(milliseconds=100))


_CHOSEN_DEPTH = 10


def _qos(reliable: bool, *, transient_local: bool = False, name: str = "", depth: int = 1) -> Qos:
    """Keep only the newest message; a longer queue would deliver stale ones first (REP 2003)."""
    reliability = _RELIABLE if reliable else Policy.Reliability.BestEffort
    durability = Policy.Durability.TransientLocal if transient_local else Policy.Durability.Volatile
    named = (Policy.EntityName(name),) if name else ()
    return Qos(reliability, durability, Policy.History.KeepLast(depth), *named)


def _announcing(qos: Qos, message_type: type[Message]) -> Qos:
    """The same for messages of a type, whose hash ROS 2 looks for."""
    return Qos(Policy.Userdata(user_data(message_type)), base=qos)


_SERVICE_DEPTH = 10
_SERVICE_QOS = Qos(_RELIABLE, Policy.Durability.Volatile, Policy.History.KeepLast(_SERVICE_DEPTH))
_LOG_DEPTH, _UNLIMITED = 100, -1
_LOG_QOS = Qos(
    _RELIABLE,
    Policy.Durability.TransientLocal,
    Policy.DurabilityService(0, Policy.History.KeepLast(_LOG_DEPTH), _UNLIMITED, _UNLIMITED, _UNLIMITED),
    Policy.History.KeepLast(_LOG_DEPTH),
    Policy.Lifespan(duration(seconds=10)),
)
"""A listener that comes late gets the lines of the last ten seconds, as from ROS 2's own nodes."""
