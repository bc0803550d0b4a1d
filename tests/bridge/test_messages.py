"""The bridge's dataclasses against the definitions of ROS 2 Jazzy, which rosbags brings along."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from rosbags.interfaces import Nodetype
from rosbags.typesys import get_types_from_msg

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.types import encode, typestore
from robot_bridge.middleware import generate_messages, messages
from robot_bridge.middleware.dds import to_wire
from robot_bridge.middleware.messages import Message, Quaternion, Response, fields_of
from tests.bridge.test_dds import messages as any_content

SERVICES = {
    "std_srvs/srv/Trigger_Request": "uint8 structure_needs_at_least_one_member",
    "std_srvs/srv/Trigger_Response": "bool success\nstring message",
    "std_srvs/srv/SetBool_Request": "bool data",
    "std_srvs/srv/SetBool_Response": "bool success\nstring message",
}
"""What `std_srvs` says; rosbags knows no services."""
ALL = sorted(
    (c for c in vars(messages).values() if isinstance(c, type) and issubclass(c, Message) and c not in (Message, Response)),
    key=lambda c: c.ros_type,
)
TOPICS = [c for c in ALL if "/msg/" in c.ros_type]


def kind_of(hint: Any) -> Any:
    """The type of a field as rosbags writes it."""
    if isinstance(hint, type) and issubclass(hint, Message):
        return Nodetype.NAME, hint.ros_type
    if typing.get_origin(hint) is list:
        return Nodetype.SEQUENCE, (kind_of(typing.get_args(hint)[0]), 0)
    if hint in (bool, str):
        return Nodetype.BASE, ({bool: "bool", str: "string"}[hint], 0)
    number, _, size = hint.__metadata__[0].rstrip("]").partition("[")
    scalar = Nodetype.BASE, (number, 0)
    return (Nodetype.ARRAY, (scalar, int(size))) if size else scalar


@pytest.mark.parametrize("message_type", ALL, ids=lambda m: m.ros_type)
def test_fields_have_the_names_order_and_types_of_ros_2(message_type: type[Message]):
    name = message_type.ros_type
    of_services = {service: get_types_from_msg(text, "a/msg/A")["a/msg/A"] for service, text in SERVICES.items()}
    (_, fields) = of_services[name] if name in SERVICES else typestore().fielddefs[name]

    assert [(field, kind_of(hint)) for field, hint in fields_of(message_type)] == list(fields)


@pytest.mark.parametrize("message_type", TOPICS, ids=lambda m: m.ros_type)
@settings(max_examples=20)
@given(data=st.data())
def test_the_bytes_on_the_wire_are_those_of_a_bag(message_type: type[Message], data: st.DataObject):
    message = data.draw(any_content(message_type))

    try:
        in_a_bag = bytes(encode(message))
    except struct.error:
        # rosbags' byte ends at 127; the levels of diagnostics, which end at 3, are its only use here
        assert message_type in (messages.DiagnosticStatus, messages.DiagnosticArray)
        reject()
    on_the_wire = bytes(to_wire(message).serialize())

    # the end may be padded, and the header of the bytes says by how many
    assert on_the_wire[:2] == in_a_bag[:2] == b"\x00\x01"
    size = min(len(on_the_wire), len(in_a_bag))
    assert on_the_wire[4:size] == in_a_bag[4:size]
    assert max(len(on_the_wire), len(in_a_bag)) - size < 4


def test_the_generated_file_is_up_to_date():
    assert generate_messages.STANDARD.read_text(encoding="utf-8") == generate_messages.standard_messages()


def test_every_generated_message_is_a_public_name():
    for name in (*generate_messages.BRIDGE, *generate_messages.OTHERS, *generate_messages.BY_HAND):
        assert getattr(messages, name.rpartition("/")[2]).ros_type == name
    assert list(messages.MESSAGES) == list(generate_messages.BRIDGE)


def test_an_orientation_that_nobody_set_is_no_rotation():
    assert dataclasses.astuple(Quaternion()) == (0.0, 0.0, 0.0, 1.0)


def test_a_package_of_ones_own_needs_its_msg_files_only(tmp_path: Path):
    (tmp_path / "Gripper.msg").write_text(
        "uint8 OPEN=1\nstd_msgs/Header header\nfloat32[2] force\nuint8 state\nFinger[] fingers\n"
    )
    (tmp_path / "Finger.msg").write_text("int16 raw\nbool touches\n")
    out = tmp_path / "gripper_messages.py"
    arguments = ["--msg", str(tmp_path), "--package", "gripper_msgs", "--out", str(out), "Gripper", "Finger"]

    generate_messages.main(arguments)

    names: dict[str, Any] = {"__name__": "gripper_messages"}
    module = type(sys)("gripper_messages")
    sys.modules["gripper_messages"] = module
    try:
        exec(compile(out.read_text(), str(out), "exec"), vars(module))
        names = vars(module)
        gripper = names["Gripper"](force=[1.0, 2.0], fingers=[names["Finger"](raw=-3, touches=True)])
        assert gripper.OPEN == 1
        wire = to_wire(gripper)
        assert type(wire).deserialize(wire.serialize()) == wire
    finally:
        del sys.modules["gripper_messages"]


@pytest.mark.parametrize(
    ("definition", "said"),
    [("wstring text", "'wstring' is not supported"), ("bool[] flags", "lists of bool"), ("Nowhere other", "other' is unknown")],
)
def test_what_cannot_be_held_is_said_in_one_line(tmp_path: Path, definition: str, said: str):
    (tmp_path / "Odd.msg").write_text(f"{definition}\n")

    with pytest.raises(ConfigError) as raised:
        generate_messages.messages_of_package(tmp_path, "odd_msgs", ["Odd"])

    assert said in str(raised.value) or "unknown" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_messages_are_imported_without_rosbags_and_without_a_middleware():
    heavy = "{'rosbags', 'cyclonedds', 'rclpy', 'torch'}"
    code = f"import sys, robot_bridge.middleware.messages; print(sorted({heavy} & set(sys.modules)))"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"
