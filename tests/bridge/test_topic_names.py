"""One bridge file for several robots: names without a slash at the beginning are in a robot's namespace."""

from __future__ import annotations

import dataclasses
import os

import pytest
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, GoalInput, OperatorInput, OutputConfig, TopicConfig
from robot_bridge.control.pause_config import AdaptationConfig, ContactCondition, PauseConfig
from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.dds_types import idl_type
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Float64MultiArray, JointState, Response, String, TriggerRequest, Twist
from robot_bridge.ownership.config import CommandSource, OwnershipConfig
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.monitor_config import Limits, MonitorConfig
from robot_bridge.topic_names import in_namespace, namespace_of, require_namespace, with_whole_names
from tests.bridge.waiting import wait_until

DOMAIN = 60 + os.getpid() % 100
CONFIG = BridgeConfig(
    "cartpole",
    {"joints": TopicConfig("joint_states", JointState.ros_type), "load": TopicConfig("/load", Float64MultiArray.ros_type)},
    {"angle": ChannelInput("joints", "position", "hip"), "load": ChannelInput("load", "data.0")},
    OutputConfig("effort/commands"),
    SafetyConfig({}),
    GoalInput("goal", Twist.ros_type, ("linear.x",), (0.0,)),
    OperatorInput("operator"),
    monitors={
        "battery": MonitorConfig(topic="battery", type="sensor_msgs/msg/BatteryState", field="percentage", fault=Limits(low=0.1)),
        "lean": MonitorConfig(channel="angle", fault=Limits(high=1.0)),
    },
    adaptation=AdaptationConfig(PauseConfig(contact={"held": ContactCondition("held")})),
    ownership=OwnershipConfig(mode="priority", sources={"stick": CommandSource("stick/commands", 60)}),
)


def topics(config: BridgeConfig) -> list[str]:
    named = [*config.inputs.values(), config.output, config.goal, config.operator, *config.monitors.values()]
    return [about.topic for about in (*named, *config.adaptation.pause_when.contact.values(), *config.ownership.sources.values())]


def test_every_topic_of_a_bridge_file_gets_its_whole_name():
    named = with_whole_names(CONFIG, lambda name: in_namespace("robot_1", name))

    assert topics(named) == [
        "/robot_1/joint_states",
        "/load",
        "/robot_1/effort/commands",
        "/robot_1/goal",
        "/robot_1/operator",
        "/robot_1/battery",
        "",
        "/robot_1/held",
        "/robot_1/stick/commands",
    ]
    assert topics(with_whole_names(named, lambda name: in_namespace("robot_2", name))) == topics(named)


def test_two_topics_that_become_one_are_refused():
    with pytest.raises(ConfigError, match=r"key 'output.topic': '/load' is input 'load'; allowed: a topic of its own"):
        with_whole_names(CONFIG, lambda name: "/load" if name == "effort/commands" else name)


def test_nodes_of_a_bridge_file_get_their_whole_names_and_guids_stay():
    names = ("broadcaster", "/other/node", "0110fff6", "0110FFF6-dd9d")
    inputs = {name: dataclasses.replace(CONFIG.inputs["joints"], publisher=name) for name in names}
    config = dataclasses.replace(
        CONFIG,
        inputs=CONFIG.inputs | inputs,
        ownership=dataclasses.replace(CONFIG.ownership, publishers=names),
    )

    named = with_whole_names(config, lambda name: in_namespace("robot_1", name))

    whole = ("/robot_1/broadcaster", *names[1:])
    assert named.ownership.publishers == tuple(named.inputs[name].publisher for name in names) == whole
    assert with_whole_names(named, lambda name: in_namespace("robot_2", name)).ownership.publishers == whole
    assert Sender("", "robot_1/broadcaster").is_called(whole[0])


@pytest.mark.parametrize(
    ("namespace", "name", "whole"),
    [
        ("", "joint_states", "/joint_states"),
        ("robot_1", "joint_states", "/robot_1/joint_states"),
        ("/fleet/robot_1", "effort/commands", "/fleet/robot_1/effort/commands"),
        ("robot_1", "/joint_states", "/joint_states"),
    ],
)
def test_a_whole_name_begins_with_a_slash(namespace: str, name: str, whole: str):
    assert in_namespace(namespace, name) == whole


@pytest.mark.parametrize(
    ("node", "namespace"),
    [("adaptive_mpc", ""), ("/robot_1/adaptive_mpc", "robot_1"), ("fleet/robot_1/adaptive_mpc", "fleet/robot_1")],
)
def test_a_nodes_name_says_its_namespace(node: str, namespace: str):
    assert namespace_of(node) == namespace


@pytest.mark.parametrize("namespace", ["1", "robot 1", "robot-1", "/", "robot/", "//robot"])
def test_what_cannot_be_a_namespace_is_refused(namespace: str):
    with pytest.raises(ConfigError, match=rf"^--namespace: got '{namespace}'; allowed: letters, digits and _, like robot_1"):
        require_namespace(namespace)
    with pytest.raises(ConfigError, match=r"^--namespace"):
        open_transport("dds", "node", DOMAIN, "lo", namespace)


def test_a_publisher_over_dds_has_the_name_of_its_node_with_the_namespace():
    talks, listens = (open_transport("dds", name, DOMAIN, "lo", "robot_1") for name in ("talks", "listens"))
    senders: set[str] = set()
    listens.subscribe("named", String, lambda message, at: None, accept=lambda sender: not senders.add(sender.node))
    publish = talks.publisher("named", String)

    wait_until(lambda: (publish(String("hello")), bool(senders - {""}))[1])
    for transport in (talks, listens):
        transport.close()

    assert senders - {""} == {"robot_1/talks"}


def test_two_robots_on_one_domain_do_not_hear_one_another():
    first, second = (open_transport("dds", "node", DOMAIN, "lo", namespace) for namespace in ("robot_1", "robot_2"))
    heard: dict[str, list[float]] = {"first": [], "second": [], "whole": []}
    first.subscribe("commands", Float64MultiArray, lambda message, received: heard["first"].extend(message.data), reliable=True)
    second.subscribe("commands", Float64MultiArray, lambda message, received: heard["second"].extend(message.data), reliable=True)
    onlooker = DdsTransport(DOMAIN)
    onlooker.subscribe(
        "/robot_2/commands", Float64MultiArray, lambda message, received: heard["whole"].extend(message.data), reliable=True
    )
    send = {1.0: first.publisher("commands", Float64MultiArray), 2.0: second.publisher("commands", Float64MultiArray)}
    first.serve("node/estop", TriggerRequest, lambda request: Response(True, "first"))

    def all_have_heard() -> bool:
        for value, publish in send.items():
            publish(Float64MultiArray(data=[value]))
        return all(heard.values())

    wait_until(all_have_heard)
    answer = onlooker.call("/robot_1/node/estop", TriggerRequest(), 20.0)
    for transport in (first, second, onlooker):
        transport.close()

    assert {name: set(values) for name, values in heard.items()} == {"first": {1.0}, "second": {2.0}, "whole": {2.0}}
    assert answer.message == "first"


def test_whoever_comes_late_gets_the_last_message_if_it_is_kept():
    transport = DdsTransport(DOMAIN)
    publish = transport.publisher("/kept/state", String, transient_local=True)
    publish(String("first"))
    publish(String("last"))
    listener = DomainParticipant(DOMAIN)
    late = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.Durability.TransientLocal, Policy.History.KeepAll)
    reader = DataReader(listener, Topic(listener, "rt/kept/state", idl_type(String)), late)
    came: list[str] = []
    wait_until(lambda: came.extend(sample.data for sample in reader.take(10)) or bool(came))
    transport.close()

    assert came == ["last"]
