"""The network that the command line asks for."""

from __future__ import annotations

import sys

import pytest

from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.connect import environment_domain, open_transport


def test_without_a_ros_2_install_rclpy_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rclpy", None)
    monkeypatch.delitem(sys.modules, "robot_bridge.middleware.ros", raising=False)

    with pytest.raises(ConfigError, match=r"--transport: rclpy cannot be loaded .*; source a ROS 2 install, or use dds"):
        open_transport("rclpy", "node", 0, "lo")


@pytest.mark.parametrize(("text", "domain"), [("", 0), ("7", 7), ("232", 232)])
def test_the_domain_is_the_environments(monkeypatch: pytest.MonkeyPatch, text: str, domain: int):
    monkeypatch.setenv("ROS_DOMAIN_ID", text)

    assert environment_domain() == domain


@pytest.mark.parametrize("text", ["233", "-1", "seven"])
def test_a_domain_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("ROS_DOMAIN_ID", text)

    with pytest.raises(ConfigError, match=f"environment variable ROS_DOMAIN_ID: got '{text}'; allowed: 0 to 232"):
        environment_domain()


def test_an_interface_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.delenv("CYCLONEDDS_URI", raising=False)

    with pytest.raises(ConfigError, match=r"^--interface: DDS cannot start on 'nowhere0'; interfaces here: .*lo"):
        open_transport("dds", "node", 231, "nowhere0")

    # the library, which has no other way to tell, has printed nothing
    assert capfd.readouterr() == ("", "")
