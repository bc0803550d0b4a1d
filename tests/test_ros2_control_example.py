"""The example for ros2_control, as far as it can be checked without ROS 2: joints, topics and interfaces agree."""

from __future__ import annotations

import ast
import importlib.util
import math
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from adaptive_mbrl.config import load_yaml
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.middleware.messages import Float64MultiArray, JointState
from tests.bridge.recorded import Loopback

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FOLDER = EXAMPLES / "ros2_control"
CONTROLLERS = yaml.safe_load((FOLDER / "controllers.yaml").read_text())
URDF = ElementTree.parse(FOLDER / "arm.urdf").getroot()


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace(".", "_"), FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bridge() -> BridgeConfig:
    return load_yaml(EXAMPLES / "ur5e" / "bridge.yaml", BridgeConfig)


def hardware() -> BridgeConfig:
    return load_yaml(FOLDER / "robot_side.yaml", BridgeConfig)


def hardware_parameter(name: str) -> str:
    return str(URDF.find(f"./ros2_control/hardware/param[@name='{name}']").text)


def test_all_files_name_the_same_joints_in_the_same_order():
    joints = CONTROLLERS["forward_position_controller"]["ros__parameters"]["joints"]

    assert list(bridge().output.joints) == joints
    assert list(hardware().output.joints) == joints
    assert list(loaded("relay").JOINTS) == joints
    assert [joint.get("name") for joint in URDF.findall("./ros2_control/joint")] == joints
    assert [joint.get("name") for joint in URDF.findall("./joint")] == joints


def test_every_joint_has_the_interfaces_that_the_controllers_want():
    wanted = CONTROLLERS["forward_position_controller"]["ros__parameters"]["interface_name"]

    for joint in URDF.findall("./ros2_control/joint"):
        assert [c.get("name") for c in joint.findall("command_interface")] == [wanted]
        assert {s.get("name") for s in joint.findall("state_interface")} == {"position", "velocity"}
        # what the bridge reads of it
        fields = {source.field for source in bridge().obs.values() if source.joint == joint.get("name")}
        assert fields == {"position", "velocity"}


def test_the_urdf_is_one_chain_whose_limits_hold_the_commands():
    links = [link.get("name") for link in URDF.findall("./link")]
    parents = [joint.find("parent").get("link") for joint in URDF.findall("./joint")]
    children = [joint.find("child").get("link") for joint in URDF.findall("./joint")]

    assert [links[0], *children] == links
    assert parents == links[:-1]
    robot = yaml.safe_load((EXAMPLES / "ur5e" / "robot.yaml").read_text())
    for joint, action in zip(URDF.findall("./joint"), robot["actions"], strict=True):
        limit = joint.find("limit")
        assert float(limit.get("lower")) <= action["low"] < action["high"] <= float(limit.get("upper"))
        assert bridge().safety.rate_limits[action["name"]] <= float(limit.get("velocity"))


def test_each_topic_has_a_sender_and_a_receiver():
    relay = loaded("relay")

    assert hardware().inputs["joints"].topic == hardware_parameter("joint_states_topic")
    assert hardware_parameter("joint_commands_topic") == relay.COMMANDS
    # without this, commands stop while the joints are where they should be, and the driver's timeout strikes
    assert float(hardware_parameter("trigger_joint_command_threshold")) < 0
    assert hardware().output.topic == relay.POSITIONS
    assert bridge().inputs["joints"].topic == "/joint_states"
    assert bridge().output.topic == "/forward_position_controller/commands"
    assert bridge().goal == hardware().goal


def test_the_simulated_hardware_has_the_channels_of_the_bridge():
    assert hardware().obs == bridge().obs
    assert hardware().safety == bridge().safety


def test_the_relay_puts_joints_in_order_and_leaves_incomplete_commands_out():
    relay = loaded("relay")
    transport = Loopback(lambda: 0.0)
    relay.relay(transport)
    heard: list[list[float]] = []
    transport.subscribe(relay.POSITIONS, Float64MultiArray, lambda message, received: heard.append(message.data))
    send = transport.publisher(relay.COMMANDS, JointState)

    send(JointState(name=list(reversed(relay.JOINTS)), position=[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]))
    send(JointState(name=list(relay.JOINTS), position=[math.nan, 5.0, 4.0, 3.0, 2.0, 1.0]))
    send(JointState(name=list(relay.JOINTS[:-1]), position=[1.0] * 5))

    assert heard == [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]


def test_the_launch_file_starts_the_controllers_that_are_configured(monkeypatch: pytest.MonkeyPatch):
    """The launch file runs with classes that note what they are made with, because ROS 2 is not needed to read it."""
    ast.parse((FOLDER / "arm.launch.py").read_text())
    nodes: list[dict[str, Any]] = []
    actions, description = types.ModuleType("launch_ros.actions"), types.ModuleType("launch")
    actions.Node = lambda **given: nodes.append(given) or given
    description.LaunchDescription = list
    for name, module in {
        "launch_ros": types.ModuleType("launch_ros"),
        "launch_ros.actions": actions,
        "launch": description,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)

    loaded("arm.launch").generate_launch_description()

    spawned = {node["arguments"][0] for node in nodes if node["executable"] == "spawner"}
    known = {name for name, value in CONTROLLERS["controller_manager"]["ros__parameters"].items() if isinstance(value, dict)}
    assert spawned == known
    manager = next(node for node in nodes if node["executable"] == "ros2_control_node")
    assert manager["parameters"] == [str(FOLDER / "controllers.yaml")]
