"""A robot's URDF gives limits that its bridge file leaves out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, OutputConfig, TopicConfig
from robot_bridge.middleware.messages import Float64MultiArray, JointState
from robot_bridge.safety.config import Range, SafetyConfig
from robot_bridge.safety.supervisor import SafetySupervisor
from robot_bridge.urdf import read_joint_limits, with_urdf_limits

URDF = """<?xml version="1.0"?>
<robot name="leg">
  <link name="base"/>
  <joint name="hip" type="revolute">
    <parent link="base"/><child link="thigh"/>
    <limit lower="-0.5" upper="1.5" velocity="6" effort="30"/>
  </joint>
  <joint name="wheel" type="continuous"><limit effort="2" velocity="0"/></joint>
  <joint name="slider" type="prismatic"><limit lower="-2" upper="2" velocity="1" effort="0"/></joint>
  <joint name="free" type="floating"/>
  <joint name="mount" type="fixed"/>
</robot>
"""
SPEC = RobotSpec(
    "leg",
    0.05,
    (
        Channel("hip_angle", "rad"),
        Channel("hip_velocity", "rad/s", "velocity"),
        Channel("hip_torque", "N m"),
        Channel("wheel_angle", "rad", "angle"),
        Channel("load", "N"),
    ),
    (ActionChannel("hip_motor", "N m", -10.0, 50.0), ActionChannel("wheel_motor", "N m", -1.0, 1.0)),
)
JOINTS = OutputConfig("/commands", joints=("wheel", "hip"), order=("wheel_motor", "hip_motor"), field="effort")


@pytest.fixture
def urdf(tmp_path: Path) -> Path:
    path = tmp_path / "leg.urdf"
    path.write_text(URDF)
    return path


def bridge_file(urdf: Path | str, output: OutputConfig = JOINTS, **safety: object) -> BridgeConfig:
    return BridgeConfig(
        "leg",
        {"joints": TopicConfig("/joint_states", JointState.ros_type), "load": TopicConfig("/load", Float64MultiArray.ros_type)},
        {
            "hip_angle": ChannelInput("joints", "position", "hip"),
            "hip_velocity": ChannelInput("joints", "velocity", "hip"),
            "hip_torque": ChannelInput("joints", "effort", "hip"),
            "wheel_angle": ChannelInput("joints", "position", "wheel"),
            "load": ChannelInput("load", "data.0"),
        },
        output,
        SafetyConfig({"hip_motor": 100.0, "wheel_motor": 100.0}, **safety),
        urdf=str(urdf),
    )


def test_the_limits_of_each_joint_that_moves_are_read(urdf: Path):
    assert read_joint_limits(urdf) == {
        "hip": {"position": Range(-0.5, 1.5), "velocity": Range(-6.0, 6.0), "effort": Range(-30.0, 30.0)},
        "wheel": {"effort": Range(-2.0, 2.0)},
        "slider": {"position": Range(-2.0, 2.0), "velocity": Range(-1.0, 1.0)},
        "free": {},
    }


def test_observations_and_commands_get_the_limits_of_their_joints(urdf: Path):
    safety = with_urdf_limits(bridge_file(urdf), SPEC, "leg.yaml").safety

    assert safety.obs_limits == {
        "hip_angle": Range(-0.5, 1.5),
        "hip_velocity": Range(-6.0, 6.0),
        "hip_torque": Range(-30.0, 30.0),
    }
    # the narrower one of the URDF's range and the checkpoint's
    assert safety.action_limits == {"hip_motor": Range(-10.0, 30.0), "wheel_motor": Range(-1.0, 1.0)}
    supervisor = SafetySupervisor(SPEC, safety)
    assert (supervisor.low.tolist(), supervisor.high.tolist()) == ([-10.0, -1.0], [30.0, 1.0])


def test_what_the_bridge_file_says_itself_counts(urdf: Path):
    own = {"obs_limits": {"hip_angle": Range(0.0, 1.0)}, "action_limits": {"hip_motor": Range(-5.0, 40.0)}}

    safety = with_urdf_limits(bridge_file(urdf, **own), SPEC, "leg.yaml").safety

    assert safety.obs_limits["hip_angle"] == Range(0.0, 1.0)
    assert safety.obs_limits["hip_velocity"] == Range(-6.0, 6.0)
    assert safety.action_limits["hip_motor"] == Range(-5.0, 40.0)


def test_commands_without_joints_get_no_limits(urdf: Path):
    assert with_urdf_limits(bridge_file(urdf, OutputConfig("/commands")), SPEC, "leg.yaml").safety.action_limits == {}


def test_without_a_urdf_nothing_changes():
    config = bridge_file("")

    assert with_urdf_limits(config, SPEC, "leg.yaml") is config


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<robot>", "no URDF can be read: no element found"),
        ('<xacro xmlns="http://www.ros.org/wiki/xacro"/>', r"no URDF: its root is .*xacro.*; allowed: 'robot'"),
        (URDF.replace('velocity="6"', 'velocity="six"'), "joint 'hip': limit 'velocity' is 'six'; allowed: a number"),
        (
            URDF.replace('"hip"', '"hips"'),
            r"leg.yaml: key 'urdf': .* has no joint 'hip' \(did you mean 'hips'\?\); its joints: hips",
        ),
        (URDF.replace('lower="-0.5" upper="1.5"', 'lower="60" upper="70"'), "allows 'hip' 60 to 70, and the checkpoint's robot"),
    ],
)
def test_a_urdf_that_does_not_fit_is_refused(urdf: Path, content: str, told: str):
    urdf.write_text(content)
    positions = dataclasses.replace(JOINTS, field="position")

    with pytest.raises(ConfigError, match=told):
        with_urdf_limits(bridge_file(urdf, positions, safe_action="hold"), SPEC, "leg.yaml")


def test_a_urdf_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere.urdf: no URDF can be read: .*No such file"):
        with_urdf_limits(bridge_file(tmp_path / "nowhere.urdf"), SPEC, "leg.yaml")
