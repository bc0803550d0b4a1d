"""Every message of the bridge is one of ROS 2's, as an object and as bytes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.errors import BridgeError
from robot_bridge.middleware.dds_types import from_wire, to_wire
from robot_bridge.middleware.messages import (
    MESSAGES,
    RESPONSES,
    DiagnosticArray,
    Message,
    Response,
    SetBoolRequest,
    String,
    TriggerRequest,
)
from robot_bridge.middleware.type_hash import type_hash
from tests.bridge.test_dds import messages
from tests.ros.robot import NO_ROS

pytest.importorskip("rclpy", reason=NO_ROS)
from ament_index_python.packages import get_package_share_directory
from rclpy.serialization import deserialize_message, serialize_message

from robot_bridge.middleware.ros import SERVICES, from_ros, ros_class, to_ros

pytestmark = pytest.mark.ros


def all_messages() -> list[type[Message]]:
    found = [c for c in Message.__subclasses__() if not issubclass(c, (Response, TriggerRequest, SetBoolRequest))]
    return sorted(found, key=lambda c: c.ros_type)


def installed(message_type: type[Message]) -> type[Message]:
    """The message type; skips the test where its package is not installed, as that of ros2_control often is not."""
    try:
        ros_class(message_type)
    except (BridgeError, AttributeError):
        pytest.skip(f"{message_type.ros_type} is not installed here")
    return message_type


def test_these_are_all_of_them():
    assert {*MESSAGES.values(), DiagnosticArray, String} < set(all_messages())


@pytest.mark.parametrize("message_type", all_messages(), ids=lambda m: m.ros_type)
def test_fields_are_those_of_ros_2(message_type: type[Message]):
    assert list(ros_class(installed(message_type)).get_fields_and_field_types()) == [
        f.name for f in dataclasses.fields(message_type)
    ]


@pytest.mark.parametrize("message_type", all_messages(), ids=lambda m: m.ros_type)
@given(data=st.data())
def test_a_message_survives_the_way_through_ros_2(message_type: type[Message], data: st.DataObject):
    message = data.draw(messages(installed(message_type)))

    as_ros = to_ros(message)
    over_ros = deserialize_message(serialize_message(as_ros), ros_class(message_type))

    assert from_ros(as_ros, message_type) == message
    assert from_ros(over_ros, message_type) == message


@pytest.mark.parametrize("message_type", all_messages(), ids=lambda m: m.ros_type)
@given(data=st.data())
def test_the_bytes_of_one_backend_are_read_by_the_other(message_type: type[Message], data: st.DataObject):
    message = data.draw(messages(installed(message_type)))
    wire = to_wire(message)

    read_by_ros = deserialize_message(wire.serialize(), ros_class(message_type))
    read_by_dds = type(wire).deserialize(serialize_message(to_ros(message)))

    assert from_ros(read_by_ros, message_type) == message
    assert from_wire(read_by_dds, message_type) == message


@pytest.mark.parametrize(
    "message_type",
    [*all_messages(), *RESPONSES, *RESPONSES.values()],
    ids=lambda m: m.ros_type,
)
def test_the_hash_of_a_type_is_the_one_that_is_installed(message_type: type[Message]):
    if issubclass(message_type, tuple(MESSAGES.values())) or message_type.ros_type.startswith("control_msgs/"):
        installed(message_type)
    package, folder, name = message_type.ros_type.split("/")
    service = name.removesuffix("_Request").removesuffix("_Response")
    described = json.loads((Path(get_package_share_directory(package)) / folder / f"{service}.json").read_text())
    hashes = {entry["type_name"]: entry["hash_string"] for entry in described["type_hashes"]}

    assert type_hash(message_type) == hashes[message_type.ros_type]


@pytest.mark.parametrize("request_type", [TriggerRequest, SetBoolRequest])
def test_services_are_those_of_std_srvs(request_type: type[Message]):
    package, folder, name = request_type.ros_type.split("/")

    assert (package, folder, name) == ("std_srvs", "srv", f"{SERVICES[request_type]}_Request")
