"""Whatever comes in, only the newest message is decoded, none that is too large, and all in their share of a core."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.errors import BridgeError, ConfigError
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.control.inputs import Inputs
from robot_bridge.middleware import dds
from robot_bridge.middleware.dds import MAX_ANSWERS, DdsTransport
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.health_messages import DynamicJointState
from robot_bridge.middleware.messages import (
    MESSAGES,
    Bool,
    DiagnosticArray,
    Float64MultiArray,
    Imu,
    JointState,
    Response,
    String,
    TriggerRequest,
)
from robot_bridge.middleware.reception import MAX_BYTES, MAX_LIST_BYTES, Pace, largest
from robot_bridge.preflight.checks import Verdict
from robot_bridge.preflight.listening import listen
from robot_bridge.preflight.topic_checks import topic_check
from sim.robot.robot import load_robot
from tests.bridge.waiting import PATIENCE, wait_until
from tests.cartpole_bridge import BRIDGE

DOMAIN = 60 + os.getpid() % 100


@pytest.fixture
def transport() -> Iterator[DdsTransport]:
    made = DdsTransport(DOMAIN)
    yield made
    made.close()


def test_a_usual_rate_is_never_waited_with():
    pace = Pace()

    assert not any(pace.rest(10.0 + k / 500, 2e-4) for k in range(5000))


@given(used=st.floats(1e-5, 1e-3), seconds=st.integers(1, 20))
def test_messages_without_end_get_their_share_of_a_core(used: float, seconds: int):
    pace, now, busy = Pace(), 100.0, 0.0
    while now < 100.0 + seconds:
        now += used
        busy += used
        now += pace.rest(now, used)

    # with one message too many at the end, and what was saved before
    assert busy <= Pace.SHARE * (now - 100.0) + Pace.BURST + used
    assert busy >= 0.5 * Pace.SHARE * (now - 100.0)


def test_a_message_that_costs_a_second_does_not_make_the_next_ones_wait_for_long():
    pace = Pace()

    assert pace.rest(100.0, 1.0) == pytest.approx(Pace.LONGEST_REST)


def test_the_largest_message_depends_on_what_its_type_holds(tmp_path):
    assert {largest(kind) for kind in (JointState, Float64MultiArray, DynamicJointState, DiagnosticArray)} == {MAX_LIST_BYTES}
    assert {largest(kind) for kind in (Imu, Bool, MESSAGES["nav_msgs/msg/Odometry"])} == {MAX_BYTES}

    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint="c") + "max_message_bytes: 70000\n")
    assert load_bridge_config(path).largest(JointState) == 70000
    path.write_text(BRIDGE.format(checkpoint="c") + "max_message_bytes: -1\n")
    with pytest.raises(ConfigError, match="key 'max_message_bytes': -1 is out of range"):
        load_bridge_config(path)


def test_a_message_that_is_too_large_is_refused_and_the_next_one_taken(transport: DdsTransport):
    names: list[list[str]] = []
    transport.subscribe("/large", JointState, lambda message, at: names.append(message.name), max_bytes=1000)
    publish = transport.publisher("/large", JointState, reliable=True)

    publish(JointState(name=[f"joint_{i}" for i in range(200)]))
    wait_until(lambda: transport.reception.refused["/large"] == 1)
    publish(JointState(name=["hip"]))

    wait_until(lambda: transport.reception.taken["/large"] == 1)
    assert names == [["hip"]]


def test_every_topic_has_a_largest_message(transport: DdsTransport):
    said: list[str] = []
    transport.subscribe("/said", String, lambda message, at: said.append(message.data))
    publish = transport.publisher("/said", String, reliable=True)

    publish(String("x" * (MAX_BYTES + 1)))
    wait_until(lambda: transport.reception.refused["/said"] == 1)
    publish(String("y"))

    wait_until(lambda: said == ["y"])


def test_of_many_messages_only_the_newest_one_is_decoded(transport: DdsTransport):
    got, first, go_on = list[float](), threading.Event(), threading.Event()

    def receive(message: Float64MultiArray, at: float) -> None:
        got.append(message.data[0])
        first.set()
        assert go_on.wait(PATIENCE)

    transport.subscribe("/many", Float64MultiArray, receive)
    publish = transport.publisher("/many", Float64MultiArray, reliable=False)
    publish(Float64MultiArray(data=[0.0]))
    assert first.wait(PATIENCE)
    for k in range(1, 301):
        publish(Float64MultiArray(data=[float(k)]))
    go_on.set()

    wait_until(lambda: got[-1] == 300.0)
    # delivery within a process has no order between its threads and ours, so that one in between may have been taken
    assert len(got) <= 3


def test_a_publisher_that_cannot_be_told_does_not_end_the_receiving(transport: DdsTransport):
    got: list[str] = []

    def accept(sender: Sender) -> bool:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    transport.subscribe("/hostile", String, lambda message, at: None, accept=accept)
    transport.subscribe("/usual", String, lambda message, at: got.append(message.data))
    publish = {topic: transport.publisher(topic, String) for topic in ("/hostile", "/usual")}
    publish["/hostile"](String("x"))
    wait_until(lambda: transport.reception.refused["/hostile"] == 1)

    publish["/usual"](String("y"))
    wait_until(lambda: got == ["y"])


def test_samples_that_dds_cannot_give_are_counted(transport: DdsTransport, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    with monkeypatch.context() as patched:
        patched.setattr(dds, "ddspy_take", fail)
        transport.subscribe("/broken", String, lambda message, at: None)
        transport.publisher("/broken", String)(String("x"))
        wait_until(lambda: transport.reception.refused["/broken"] > 0)

    assert transport._thread.is_alive()


def test_a_receiver_that_fails_is_counted_and_does_not_end_the_receiving(transport: DdsTransport):
    def fail(message: Bool, at: float) -> None:
        raise ValueError("no such thing")

    transport.subscribe("/failing", Bool, fail)
    publish = transport.publisher("/failing", Bool)
    publish(Bool(True))
    wait_until(lambda: transport.reception.refused["/failing"] == 1)
    publish(Bool(True))
    wait_until(lambda: transport.reception.refused["/failing"] == 2)


def test_preflight_says_that_a_robot_sends_what_is_too_large(tmp_path, transport: DdsTransport):
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint="c") + "max_message_bytes: 50\n")
    config, end = load_bridge_config(path), threading.Event()
    publish = transport.publisher("/joint_states", JointState, reliable=False)

    def robot() -> None:
        while not end.wait(0.01):
            publish(JointState(name=["slider", "hinge_1"], position=[0.0, 0.0], velocity=[0.0, 0.0]))

    talking = threading.Thread(target=robot)
    talking.start()
    try:
        result = listen(config, transport, 0.5)
    finally:
        end.set()
        talking.join()

    check = topic_check(config.inputs["joints"], result.records["joints"], result.endpoints)
    assert (check.verdict, check.measured) == (Verdict.FAIL, f"{result.records['joints'].refused} messages were refused")
    assert "raise max_message_bytes" in check.advice


def test_a_flood_of_requests_does_not_start_threads_without_end(transport: DdsTransport):
    asked, may_answer = threading.Semaphore(0), threading.Event()

    def answer(request: TriggerRequest) -> Response:
        asked.release()
        assert may_answer.wait(PATIENCE)
        return Response(True, "done")

    transport.serve("/flooded/estop", TriggerRequest, answer)
    clients = [transport.client("/flooded/estop", TriggerRequest) for _ in range(MAX_ANSWERS + 1)]
    answers: list[Response] = []
    threads = [
        threading.Thread(target=lambda c=client: answers.append(c(TriggerRequest(), PATIENCE)))
        for client in clients[:MAX_ANSWERS]
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert asked.acquire(timeout=PATIENCE)
    with pytest.raises(BridgeError, match=r"no answer within 0.5 s"):
        clients[-1](TriggerRequest(), PATIENCE, 0.5)
    wait_until(lambda: transport.reception.refused["/flooded/estop"] == 1)
    may_answer.set()
    for thread in threads:
        thread.join(PATIENCE)

    assert [response.message for response in answers] == ["done"] * MAX_ANSWERS


def test_observations_are_limited_by_the_bridge_file(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint="c") + "max_message_bytes: 5000\n")
    asked: dict[str, int] = {}

    class Wire:
        def subscribe(self, topic: str, kind: type, receive: object, *, max_bytes: int, **options: object) -> None:
            asked[topic] = max_bytes

    Inputs(load_robot("cartpole").spec, load_bridge_config(path), Wire())
    assert asked == {"/joint_states": 5000}
