"""The messages that monitors read have ROS 2's own fields, and their numbers are found in them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.bags.types import decode, encode, require_known
from robot_bridge.middleware.dds import from_wire, to_wire
from robot_bridge.middleware.health_messages import HEALTH_MESSAGES, DynamicJointState, InterfaceValue
from robot_bridge.middleware.messages import (
    BatteryState,
    DiagnosticArray,
    DiagnosticStatus,
    Float64,
    Header,
    Imu,
    JointState,
    KeyValue,
    Message,
    Quaternion,
    Temperature,
)
from robot_bridge.monitor_values import monitored_value, require_monitored
from robot_bridge.safety.monitor_config import Limits, MonitorConfig

BATTERY = BatteryState(
    voltage=24.5,
    percentage=0.75,
    power_supply_status=BatteryState.POWER_SUPPLY_STATUS_DISCHARGING,
    present=True,
    cell_voltage=[4.0, 4.25],
    cell_temperature=[30.5, 31.0],
    location="back",
)
JOINTS = DynamicJointState(
    joint_names=["hip", "knee"],
    interface_values=[InterfaceValue(["position", "temperature"], [0.1, 41.5]), InterfaceValue(["current"], [3.0])],
)
SENT = {
    "BatteryState": BATTERY,
    "DynamicJointState": JOINTS,
    "Temperature": Temperature(Header(frame_id="hip"), 55.5, 0.25),
    "Float64": Float64(2.5),
}


@pytest.mark.parametrize("message_type", HEALTH_MESSAGES.values(), ids=lambda kind: kind.ros_type.rpartition("/")[2])
def test_the_fields_are_those_of_ros(message_type: type[Message]):
    require_known(message_type)
    message = SENT.get(message_type.ros_type.rpartition("/")[2], message_type())
    on_wire = to_wire(message)

    assert decode(bytes(encode(message)), message_type) == message
    assert from_wire(type(on_wire).deserialize(on_wire.serialize()), message_type) == message
    # the same bytes as those of rosbags, after the four that say how they are encoded
    assert on_wire.serialize()[4:].rstrip(b"\0") == bytes(encode(message))[4:].rstrip(b"\0")


def monitor(kind: type[Message], field: str, **where: str) -> MonitorConfig:
    return MonitorConfig(topic="/t", type=kind.ros_type, field=field, fault=Limits(low=0.0), **where)


DIAGNOSTICS = DiagnosticArray(
    status=[
        DiagnosticStatus(name="motors: hip", values=[KeyValue("temperature", "46.5 C"), KeyValue("mode", "torque")]),
        DiagnosticStatus(name="motors: knee"),
    ]
)


@pytest.mark.parametrize(
    ("message", "where", "value"),
    [
        (BATTERY, {"field": "percentage"}, 0.75),
        (BATTERY, {"field": "cell_voltage.1"}, 4.25),
        (BATTERY, {"field": "cell_voltage.2"}, math.nan),
        (JOINTS, {"field": "temperature", "joint": "hip"}, 41.5),
        (JOINTS, {"field": "temperature", "joint": "knee"}, math.nan),
        (JOINTS, {"field": "temperature", "joint": "foot"}, None),
        (SENT["Temperature"], {"field": "temperature", "frame": "hip"}, 55.5),
        (SENT["Temperature"], {"field": "temperature", "frame": "knee"}, None),
        (SENT["Float64"], {"field": "data"}, 2.5),
        (DIAGNOSTICS, {"field": "temperature", "status": "motors: hip"}, 46.5),
        (DIAGNOSTICS, {"field": "mode", "status": "motors: hip"}, math.nan),
        (DIAGNOSTICS, {"field": "temperature", "status": "motors: knee"}, math.nan),
        (DIAGNOSTICS, {"field": "temperature", "status": "battery"}, None),
        (JointState(name=["hip"], effort=[7.0]), {"field": "effort", "joint": "hip"}, 7.0),
        (JointState(name=["hip"]), {"field": "effort", "joint": "hip"}, math.nan),
        (JointState(name=["hip"], effort=[7.0]), {"field": "effort", "joint": "knee"}, None),
        (Imu(), {"field": "orientation.tilt"}, 0.0),
        (Imu(orientation_covariance=[-1.0] + [0.0] * 8), {"field": "orientation.tilt"}, math.nan),
        (Imu(orientation=Quaternion(0.0, 0.0, 0.0, 0.0)), {"field": "orientation.tilt"}, math.nan),
    ],
)
def test_a_number_is_found_in_its_message(message: Message, where: dict[str, str], value: float | None):
    config = monitor(type(message), **where)
    require_monitored(config)

    found = monitored_value(message, config)
    assert found == value or (value is not None and math.isnan(value) and math.isnan(found))


@given(st.floats(0, math.pi), st.floats(-math.pi, math.pi), st.floats(-math.pi, math.pi))
def test_the_tilt_is_the_angle_from_the_vertical_whatever_the_heading(tilt: float, towards: float, yaw: float):
    # yaw about z first, then a rotation by the tilt about a horizontal axis
    s, c = math.sin(tilt / 2), math.cos(tilt / 2)
    x, y = math.cos(towards), math.sin(towards)
    sy, cy = math.sin(yaw / 2), math.cos(yaw / 2)
    q = Quaternion(s * (x * cy + y * sy), s * (y * cy - x * sy), c * sy, c * cy)

    found = monitored_value(Imu(orientation=q), monitor(Imu, "orientation.tilt"))
    assert found == pytest.approx(tilt, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"type": "sensor_msgs/msg/Battery"},
            "key 'type': got 'sensor_msgs/msg/Battery' (did you mean 'sensor_msgs/msg/BatteryState'?)",
        ),
        ({"field": "charge_level"}, "has no number 'charge_level'"),
        ({"field": "location"}, "has no number 'location'"),
        ({"joint": "hip"}, "key 'joint': without meaning for sensor_msgs/msg/BatteryState"),
        ({"type": "sensor_msgs/msg/JointState", "field": "effort"}, "key 'joint': missing with sensor_msgs/msg/JointState"),
        (
            {"type": "sensor_msgs/msg/JointState", "field": "torque", "joint": "hip"},
            "key 'field': got 'torque'; allowed: position, velocity, effort",
        ),
        ({"type": "diagnostic_msgs/msg/DiagnosticArray"}, "key 'status': missing with diagnostic_msgs/msg/DiagnosticArray"),
        ({"type": "std_msgs/msg/Float32", "field": "data", "frame": "hip"}, "key 'frame': std_msgs/msg/Float32 has no header"),
        ({"type": "sensor_msgs/msg/Imu", "field": "angular_velocity.tilt"}, "has no number 'angular_velocity.tilt'"),
    ],
)
def test_a_number_that_no_message_holds_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ConfigError) as error:
        require_monitored(dataclasses.replace(monitor(BatteryState, "percentage"), **changes))
    assert message in str(error.value)


def test_what_monitors_read_survives_a_bag_with_its_definitions(tmp_path: Path):
    recorder = BagRecorder(tmp_path / "bag")
    for name, message in SENT.items():
        recorder.topic(f"/{name}", type(message), reliable=False)(message, 1.0)
    recorder.close()

    with Bag(tmp_path / "bag") as bag:
        found = {topic: message for topic, _, message in bag.messages({f"/{name}": type(m) for name, m in SENT.items()})}
    assert found == {f"/{name}": message for name, message in SENT.items()}
    with Reader(tmp_path / "bag") as reader:
        defined = {connection.topic: connection.msgdef.data for connection in reader.connections}
    assert "control_msgs/InterfaceValue[] interface_values" in defined["/DynamicJointState"].replace("msg/", "")
