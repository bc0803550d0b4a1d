"""What a simulated robot sends is what a bridge's inputs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import ChannelInput, load_bridge_config
from robot_bridge.control.inputs import read_channel
from robot_bridge.middleware.messages import Float64MultiArray, Imu, JointState, Odometry
from robot_bridge.simulated.sensor_messages import SensorMessage

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "configs" / "bridge").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@given(seed=st.integers(0, 100))
def test_every_channel_of_the_shipped_bridges_comes_back(path: Path, seed: int):
    config = load_bridge_config(path)
    names = list(config.obs)
    obs = np.random.default_rng(seed).uniform(-1.5, 1.5, len(names))

    for name, topic in config.inputs.items():
        channels = [(names.index(c), source) for c, source in config.obs.items() if source.input == name]
        message = SensorMessage(topic.message_type, channels)(obs, 12.5)
        assert [read_channel(message, source) for _, source in channels] == pytest.approx([obs[i] for i, _ in channels], abs=1e-9)


def test_the_shipped_bridges_name_every_channel_once():
    for path in SHIPPED:
        config = load_bridge_config(path)
        sources = [(s.input, s.field, s.joint) for s in config.obs.values()]
        assert len(set(sources)) == len(sources)
        assert list(config.obs) == list(load_checkpoint(config.checkpoint).description.spec.obs_names)


def test_a_joint_state_has_each_joint_once_and_no_field_that_nobody_reads():
    channels = [
        (0, ChannelInput("joints", "position", "hip")),
        (1, ChannelInput("joints", "velocity", "knee")),
        (2, ChannelInput("joints", "velocity", "hip")),
    ]

    message = SensorMessage(JointState, channels)(np.array([0.1, 0.2, 0.3]), 12.5)

    assert (message.name, message.position, message.velocity, message.effort) == (["hip", "knee"], [0.1, 0.0], [0.3, 0.2], [])
    assert message.header.stamp.seconds == 12.5


def test_a_message_without_a_header_needs_none():
    assert SensorMessage(Float64MultiArray, [(0, ChannelInput("speed", "data.1"))])(np.array([0.5]), 12.5).data == [0.0, 0.5]


def test_each_orientation_has_its_own_angles():
    channels = [(0, ChannelInput("odom", "pose.pose.orientation.yaw")), (1, ChannelInput("odom", "pose.pose.orientation.roll"))]
    imu = [(2, ChannelInput("imu", "orientation.twist_y"))]
    obs = np.array([0.4, -0.3, 3.0])

    assert [read_channel(SensorMessage(Odometry, channels)(obs, 0.0), s) for _, s in channels] == pytest.approx([0.4, -0.3])
    assert read_channel(SensorMessage(Imu, imu)(obs, 0.0), imu[0][1]) == pytest.approx(3.0)


@pytest.mark.parametrize("other", ["yaw", "twist_x"])
def test_an_orientation_that_is_not_determined_is_refused(other: str):
    channels = [(0, ChannelInput("imu", "orientation.twist_y")), (1, ChannelInput("imu", f"orientation.{other}"))]

    with pytest.raises(ConfigError, match=rf"cannot turn 'orientation' to twist_y and {other} at once; allowed: one twist, or"):
        SensorMessage(Imu, channels)
