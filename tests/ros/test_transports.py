"""The two transports talk to each other: topics, services and what each knows of the other."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adaptive_mbrl.errors import BridgeError
from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.endpoints import Endpoint
from robot_bridge.middleware.messages import Float64MultiArray, JointState, SetBoolRequest, String, TriggerRequest
from robot_bridge.middleware.transport import Transport
from robot_bridge.middleware.type_hash import type_hash
from tests.ros.robot import NO_ROS, PATIENCE, eventually, started

pytest.importorskip("rclpy", reason=NO_ROS)
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import SetBool, Trigger

from robot_bridge.middleware.ros import OwnNodeTransport, ros_class

pytestmark = pytest.mark.ros
PEER = str(Path(__file__).with_name("peer.py"))
PEERS_ENDPOINTS = {
    Endpoint("/joint_states", "sensor_msgs/msg/JointState", publishes=False, reliable=False),
    Endpoint("/commands", "std_msgs/msg/Float64MultiArray", publishes=True, reliable=True),
}


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """A transport of one kind here, and a peer of the other kind in another process."""
    kind, other = request.param
    with started(PEER, other) as process:
        assert process.stdout.readline() == "ready\n"
        transport = open_transport(kind, "here", None, "lo")
        yield transport
        transport.close()
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


both_ways = pytest.mark.parametrize("pair", [("dds", "rclpy"), ("rclpy", "dds"), ("rclpy", "rclpy")], indirect=True, ids="-".join)


@both_ways
@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "best effort"])
def test_a_message_there_and_one_back(pair: Transport, reliable: bool):
    answers: list[list[float]] = []
    answered = threading.Event()
    publish = pair.publisher("/joint_states", JointState, reliable=reliable)
    pair.subscribe(
        "/commands", Float64MultiArray, lambda m, received: (answers.append(m.data), answered.set()), reliable=reliable
    )

    eventually(answered.is_set, lambda: (publish(JointState(name=["a", "b"], position=[0.5, -2.0])), answered.wait(0.05)))

    assert answers[0] == [-2.0, 0.5]


@both_ways
def test_each_sees_the_topics_of_the_other(pair: Transport):
    graph, wait = pair.graph(), threading.Event()

    # its own is none of them
    pair.publisher("/commands", Float64MultiArray)

    seen = eventually(lambda: (found := graph.endpoints()) and set(found) >= PEERS_ENDPOINTS and found, lambda: wait.wait(0.05))

    assert len([e for e in seen if e.topic == "/commands"]) == 1


@pytest.mark.parametrize("pair", [("dds", "rclpy")], indirect=True)
def test_a_service_of_rclpy_answers_a_call_over_dds(pair: DdsTransport):
    answers = [
        pair.call("/peer/estop", TriggerRequest(), PATIENCE),
        *(pair.call("/peer/freeze", SetBoolRequest(on), PATIENCE) for on in (True, False)),
    ]

    assert [(a.success, a.message) for a in answers] == [(True, "stopped"), (False, "got True"), (True, "got False")]


@both_ways
def test_a_client_asks_again_and_again(pair: Transport):
    stop, freeze = pair.client("/peer/estop", TriggerRequest), pair.client("/peer/freeze", SetBoolRequest)

    answers = [stop(TriggerRequest(), PATIENCE), *(freeze(SetBoolRequest(on), PATIENCE) for on in (True, False))]

    assert [(a.success, a.message) for a in answers] == [(True, "stopped"), (False, "got True"), (True, "got False")]
    with pytest.raises(BridgeError, match="service '/nobody/estop': nobody serves it"):
        pair.client("/nobody/estop", TriggerRequest)(TriggerRequest(), timeout=0.05)


@pytest.mark.parametrize("pair", [("rclpy", "dds")], indirect=True)
def test_a_service_over_dds_answers_a_client_of_rclpy(pair: OwnNodeTransport):
    node, wait = pair._node, threading.Event()
    answers = []
    for kind, name, request in (
        (Trigger, "/peer/estop", Trigger.Request()),
        (SetBool, "/peer/freeze", SetBool.Request(data=True)),
        (SetBool, "/peer/freeze", SetBool.Request(data=False)),
    ):
        client = node.create_client(kind, name)
        assert client.wait_for_service(PATIENCE)
        future = client.call_async(request)
        eventually(future.done, lambda: wait.wait(0.05))
        answers.append((future.result().success, future.result().message))

    assert answers == [(True, "stopped"), (False, "got True"), (True, "got False")]
    assert ("/peer/estop", ["std_srvs/srv/Trigger"]) in node.get_service_names_and_types()


@pytest.mark.parametrize("pair", [("rclpy", "dds")], indirect=True)
def test_ros_2_has_nothing_to_say_about_the_types_of_the_other(capfd: pytest.CaptureFixture[str], pair: OwnNodeTransport):
    """Without the hash of its type ROS 2 warns of each endpoint, in every program that looks around."""
    node, wait = pair._node, threading.Event()

    (commands,) = eventually(lambda: node.get_publishers_info_by_topic("/commands"), lambda: wait.wait(0.05))
    eventually(lambda: ("/peer/freeze", ["std_srvs/srv/SetBool"]) in node.get_service_names_and_types(), lambda: wait.wait(0.05))

    assert f"RIHS01_{bytes(commands.topic_type_hash.value).hex()}" == type_hash(Float64MultiArray)
    assert "type hash" not in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["dds", "rclpy"])
def test_whoever_comes_late_hears_the_last_message_that_is_kept(kind: str):
    publisher = open_transport(kind, "kept", None, "lo")
    publish = publisher.publisher("/kept/state", String, transient_local=True)
    publish(String("inactive"))
    heard, wait = [], threading.Event()
    listener = OwnNodeTransport("late")
    late = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    listener._node.create_subscription(ros_class(String), "/kept/state", lambda m: heard.append(m.data), late)

    eventually(lambda: heard, lambda: wait.wait(0.05))
    for transport in (listener, publisher):
        transport.close()

    assert heard == ["inactive"]


def test_a_name_is_in_the_nodes_namespace_and_can_be_remapped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["node", "--ros-args", "-r", "__ns:=/robot_1", "-r", "joint_states:=/other/joints"])

    transport = OwnNodeTransport("node")

    names = [transport.resolve(name) for name in ("joint_states", "commands", "/commands", "/other/joints")]
    transport.close()
    assert names == ["/other/joints", "/robot_1/commands", "/commands", "/other/joints"]


def test_another_node_of_the_same_name_is_somebody_else():
    """The second controller of a robot is what preflight is to find."""
    with started(PEER, "rclpy") as process:
        assert process.stdout.readline() == "ready\n"
        transport, wait = OwnNodeTransport("peer"), threading.Event()
        transport.publisher("/commands", Float64MultiArray)

        seen = eventually(lambda: [e for e in transport.graph().endpoints() if e.topic == "/commands"], lambda: wait.wait(0.05))
        transport.close()

    assert seen == [Endpoint("/commands", "std_msgs/msg/Float64MultiArray", publishes=True, reliable=True)]


@pytest.mark.parametrize(("renamed", "name"), [(True, "launched"), (False, "listener")])
def test_the_name_that_a_launch_gives_is_that_of_one_node(monkeypatch: pytest.MonkeyPatch, renamed: bool, name: str):
    monkeypatch.setattr(sys, "argv", ["node", "--ros-args", "-r", "__node:=launched"])

    transport = OwnNodeTransport("listener", renamed=renamed)

    assert transport._node.get_name() == name
    transport.close()


def test_the_domain_is_the_one_that_is_asked_for():
    domain = int(os.environ["ROS_DOMAIN_ID"])
    here, elsewhere = OwnNodeTransport("here"), OwnNodeTransport("elsewhere", (domain + 1) % 230)
    elsewhere.publisher("/elsewhere", Float64MultiArray)

    assert here._context.get_domain_id() == domain
    assert elsewhere._context.get_domain_id() == (domain + 1) % 230
    for transport in (here, elsewhere):
        transport.close()
