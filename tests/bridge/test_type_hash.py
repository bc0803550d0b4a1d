"""ROS 2 knows each message by a hash of its type; the expected ones are those of a ROS 2 installation and of rosbags."""

from __future__ import annotations

import os

import pytest
from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication, BuiltinTopicDcpsSubscription
from cyclonedds.core import InstanceState, Policy, ReadCondition, SampleState, ViewState
from cyclonedds.domain import DomainParticipant

from robot_bridge.bags.types import typestore
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import (
    JointState,
    LogLevel,
    Message,
    Response,
    SetBoolRequest,
    SetBoolResponse,
    TriggerRequest,
    TriggerResponse,
)
from robot_bridge.middleware.type_hash import type_hash
from tests.bridge.waiting import wait_until

DOMAIN = 60 + os.getpid() % 100
SERVICES = {
    TriggerRequest: "RIHS01_d010825374ce8918e72bfd826c82603e60f45419e932ea976f807b74a863a199",
    TriggerResponse: "RIHS01_2d946c21e2fc3f1e9ca6986a8191d85fcc70097a8bb7771a053564bc47009cdf",
    SetBoolRequest: "RIHS01_c62fbb99d94e1b25e8ef9e109f9581956bb1b3361a45a4e5810c36a90d29932e",
    SetBoolResponse: "RIHS01_d0814e7f7b4880ab77e9c57426c7aa1562ab69f11eef8e2e968812f9cbd0b059",
}
"""Requests and answers of `std_srvs`, which rosbags does not have; tests/ros compares them to the files of an installation."""


def all_messages() -> list[type[Message]]:
    ours = [c for c in Message.__subclasses__() if c.__module__.startswith("robot_bridge.")]
    found = [c for c in ours if c is not Response and c not in SERVICES]
    return sorted(found, key=lambda c: c.ros_type)


@pytest.mark.parametrize("message_type", all_messages(), ids=lambda m: m.ros_type)
def test_the_hash_of_a_message_is_the_one_that_others_compute(message_type: type[Message]):
    assert type_hash(message_type) == typestore().hash_rihs01(message_type.ros_type)


@pytest.mark.parametrize("message_type", SERVICES, ids=lambda m: m.ros_type)
def test_the_hash_of_a_service_is_the_one_of_ros_2(message_type: type[Message]):
    assert type_hash(message_type) == SERVICES[message_type]


def test_every_writer_and_reader_announces_the_hash_of_its_type():
    transport = DdsTransport(DOMAIN)
    onlooker = DomainParticipant(DOMAIN)
    readers = [BuiltinDataReader(onlooker, kind) for kind in (BuiltinTopicDcpsPublication, BuiltinTopicDcpsSubscription)]
    # what nobody holds any more is taken off the network
    held = [transport.publisher("/announced/joints", JointState), transport.client("/announced/freeze", SetBoolRequest)]
    transport.subscribe("/announced/joints", JointState, lambda message, received: None)
    transport.serve("/announced/estop", TriggerRequest, lambda request: Response(True, ""))
    transport.log("node", LogLevel.INFO, "a line")
    announced: dict[tuple[str, bool], bytes] = {}

    def look() -> bool:
        for reader, writes in zip(readers, (True, False), strict=True):
            alive = ReadCondition(reader, SampleState.Any | ViewState.Any | InstanceState.Alive)
            for sample in reader.read(1000, alive):
                if "announced" in sample.topic_name or sample.topic_name == "rt/rosout":
                    data = [policy.data for policy in sample.qos if isinstance(policy, Policy.Userdata)]
                    announced[sample.topic_name, writes] = data[0] if data else b""
        return len(announced) >= 7

    wait_until(look)
    transport.close()
    held.clear()

    joints = b"typehash=RIHS01_a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e;"
    assert announced["rt/announced/joints", True] == announced["rt/announced/joints", False] == joints
    for name, writes, kind in (
        ("rq/announced/estopRequest", False, TriggerRequest),
        ("rr/announced/estopReply", True, TriggerResponse),
        ("rq/announced/freezeRequest", True, SetBoolRequest),
        ("rr/announced/freezeReply", False, SetBoolResponse),
    ):
        assert announced[name, writes] == f"typehash={SERVICES[kind]};".encode()
    assert announced["rt/rosout", True].startswith(b"typehash=RIHS01_")
