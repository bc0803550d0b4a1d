"""Messages over Cyclone DDS: real sockets, two processes, nothing lost of a message's content."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import typing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.errors import BridgeError
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.dds_types import from_wire, idl_type, to_wire
from robot_bridge.middleware.messages import (
    MESSAGES,
    DiagnosticArray,
    Float64MultiArray,
    Header,
    JointState,
    Log,
    LogLevel,
    Message,
    Response,
    SetBoolRequest,
    String,
    Time,
    TriggerRequest,
    fields_of,
)
from tests.bridge.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
"""Seconds to wait for something that takes milliseconds on an idle machine."""
DOMAIN = 60 + os.getpid() % 100

ECHO = """
import sys, threading
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Float64MultiArray, JointState, Response, SetBoolRequest, TriggerRequest

transport = DdsTransport(int(sys.argv[1]))
answer = transport.publisher("/commands", Float64MultiArray)
transport.subscribe("/joint_states", JointState, lambda message, received: answer(Float64MultiArray(data=message.position[::-1])))
transport.serve("/echo/estop", TriggerRequest, lambda request: Response(True, "stopped"))
transport.serve("/echo/freeze", SetBoolRequest, lambda request: Response(not request.data, f"got {request.data}"))
print("ready", flush=True)
sys.stdin.read()
transport.close()
"""


@pytest.fixture
def echo() -> Iterator[None]:
    """Another process that answers joint states with their positions turned round."""
    arguments = [sys.executable, "-c", ECHO, str(DOMAIN)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_two_processes_talk(echo: None):
    transport = DdsTransport(DOMAIN)
    answered, answers = threading.Event(), []

    def receive(message: Float64MultiArray, received: float) -> None:
        answers.append(message.data)
        answered.set()

    transport.subscribe("/commands", Float64MultiArray, receive, reliable=True)
    publish = transport.publisher("/joint_states", JointState, reliable=False)
    state = JointState(Header(Time.of(1.25), "base"), ["hip", "knee"], [0.1, -0.2], [1.0, 2.0], [])
    for _ in range(int(PATIENCE / 0.05)):  # until the two have found each other
        publish(state)
        if answered.wait(0.05):
            break
    transport.close()

    assert answers[0] == [-0.2, 0.1]


def test_services_of_another_process_answer(echo: None):
    transport = DdsTransport(DOMAIN)
    ask = partial(transport.call, timeout=PATIENCE)

    answers = [ask("/echo/estop", TriggerRequest()), *(ask("/echo/freeze", SetBoolRequest(on)) for on in (True, False))]
    transport.close()

    assert [(a.success, a.message) for a in answers] == [(True, "stopped"), (False, "got True"), (True, "got False")]


def test_a_service_that_nobody_serves_is_an_error():
    transport = DdsTransport(DOMAIN)
    with pytest.raises(
        BridgeError, match=r"service '/nobody/estop': nobody serves it in domain [0-9]+ on interface 'lo'; give --domain and"
    ):
        transport.call("/nobody/estop", TriggerRequest(), timeout=0.05)
    transport.close()


def test_a_client_stays_connected_and_gives_each_caller_its_own_answer():
    server, asking, first_is_asked, second_is_answered = (
        DdsTransport(DOMAIN),
        DdsTransport(DOMAIN),
        threading.Event(),
        threading.Event(),
    )

    def answer(request: SetBoolRequest) -> Response:
        if request.data:
            first_is_asked.set()
            assert second_is_answered.wait(PATIENCE)
        return Response(True, str(request.data))

    server.serve("/freeze", SetBoolRequest, answer)
    client = asking.client("/freeze", SetBoolRequest)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client, SetBoolRequest(True), PATIENCE)
        assert first_is_asked.wait(PATIENCE)
        # the second question overtakes the first one, which is answered later
        assert client(SetBoolRequest(False), PATIENCE).message == "False"
        second_is_answered.set()
        assert first.result(PATIENCE).message == "True"
    for transport in (server, asking):
        transport.close()


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one():
    server, asking, late, is_slow = DdsTransport(DOMAIN), DdsTransport(DOMAIN), threading.Event(), threading.Event()

    def answer(request: TriggerRequest) -> Response:
        if not is_slow.is_set():
            is_slow.set()
            assert late.wait(PATIENCE)
            return Response(True, "too late")
        return Response(True, "in time")

    server.serve("/slow", TriggerRequest, answer)
    client = asking.client("/slow", TriggerRequest)
    with pytest.raises(BridgeError, match=r"service '/slow': no answer within 0.05 s"):
        client(TriggerRequest(), PATIENCE, 0.05)
    assert is_slow.wait(PATIENCE)
    late.set()
    assert client(TriggerRequest(), PATIENCE).message == "in time"
    for transport in (server, asking):
        transport.close()


def test_one_clients_answer_is_not_anothers():
    server, clients = DdsTransport(DOMAIN), [DdsTransport(DOMAIN) for _ in range(2)]
    server.serve("/freeze", SetBoolRequest, lambda request: Response(True, str(request.data)))
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda c, on: c.call("/freeze", SetBoolRequest(on), PATIENCE).message, clients, (True, False)))
    for transport in (server, *clients):
        transport.close()

    assert answers == ["True", "False"]


def test_an_answer_arrives_although_another_client_is_matched_while_the_clients_are_counted(monkeypatch):
    listed, told = DataWriter.get_matched_subscriptions, []

    def one_comes_in_between(writer: DataWriter) -> list[int]:
        # what cyclonedds raises then, once for each thread that counts
        if threading.get_ident() not in told:
            told.append(threading.get_ident())
            raise IndexError("invalid index")
        return listed(writer)

    server, asking = DdsTransport(DOMAIN), DdsTransport(DOMAIN)
    server.serve("/freeze", SetBoolRequest, lambda request: Response(True, str(request.data)))
    monkeypatch.setattr(DataWriter, "get_matched_subscriptions", one_comes_in_between)
    answer = asking.call("/freeze", SetBoolRequest(True), PATIENCE)
    for transport in (server, asking):
        transport.close()

    assert answer.message == "True"
    assert len(told) == 2


def messages(hint: typing.Any) -> st.SearchStrategy:
    """Any content of a message, or of a field."""
    if isinstance(hint, type) and issubclass(hint, Message):
        return st.builds(hint, **{name: messages(h) for name, h in fields_of(hint)})
    if typing.get_origin(hint) is list:
        return st.lists(messages(typing.get_args(hint)[0]), max_size=3)
    if hint is str:
        return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
    if hint is bool:
        return st.booleans()
    kind, _, size = hint.__metadata__[0].rstrip("]").partition("[")
    number = {
        "float32": st.floats(allow_nan=False, width=32),
        "float64": st.floats(allow_nan=False),
        "byte": st.integers(0, 255),
        "uint8": st.integers(0, 255),
        "int32": st.integers(-(2**31), 2**31 - 1),
        "uint32": st.integers(0, 2**32 - 1),
    }[kind]
    return st.lists(number, min_size=int(size), max_size=int(size)) if size else number


@pytest.mark.parametrize("message_type", [*MESSAGES.values(), DiagnosticArray, String], ids=lambda m: m.ros_type)
@given(data=st.data())
def test_every_message_survives_the_wire_format(message_type: type[Message], data: st.DataObject):
    message = data.draw(messages(message_type))

    wire = to_wire(message)
    read = from_wire(type(wire).deserialize(wire.serialize()), message_type)

    assert read == message


def test_names_are_those_that_ros_2_gives_its_types():
    assert idl_type(JointState).__idl_typename__ == "sensor_msgs::msg::dds_::JointState_"
    assert idl_type(Header).__idl_typename__ == "std_msgs::msg::dds_::Header_"


@given(st.floats(0, 4e9))
def test_a_stamp_keeps_a_microsecond(seconds: float):
    assert Time.of(seconds).seconds == pytest.approx(seconds, abs=1e-6)


def test_whoever_looks_into_the_log_late_sees_its_newest_lines():
    transport = DdsTransport(DOMAIN)
    for number in range(5):
        transport.log("node", LogLevel.WARN, str(number))
    listener = DomainParticipant(DOMAIN)
    keep = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.Durability.TransientLocal, Policy.History.KeepAll)
    reader = DataReader(listener, Topic(listener, "rt/rosout", idl_type(Log)), keep)
    came: list[str] = []
    wait_until(lambda: came.extend(sample.msg for sample in reader.take(10)) or len(came) >= 5)
    transport.close()

    assert came == ["0", "1", "2", "3", "4"]
