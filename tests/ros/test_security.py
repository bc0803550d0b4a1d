"""The SROS2 policy: with it the node does all of its work, and nobody does what the policy does not give him."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from robot_bridge.bags.reader import Bag
from robot_bridge.middleware import messages
from tests.ros.robot import NO_ROS, PATIENCE, ROOT, Files, errors, eventually, simulated_robot, started

pytest.importorskip("rclpy", reason=NO_ROS)
import rclpy
from rclpy.context import Context
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String

from tests.ros.controller import controller, parameters

HAS_SROS2 = bool(shutil.which("ros2") and importlib.util.find_spec("sros2"))
pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.skipif(not HAS_SROS2, reason="sros2 is not installed")]
POLICY = ROOT / "configs/security/adaptive_mpc.policy.xml"
ENCLAVES = ("/adaptive_mpc", "/operator", "/robot")
COMMANDS = "/effort_controller/commands"
EAVESDROPPER = """
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

rclpy.init()
node, heard = Node("eavesdropper"), []
node.create_subscription(JointState, "/joint_states", lambda message: heard.append("state"), qos_profile_sensor_data)
node.create_subscription(Float64MultiArray, "/effort_controller/commands", lambda message: heard.append(message.data[0]), 10)
command = node.create_publisher(Float64MultiArray, "/effort_controller/commands", 10)
while heard.count(77.0) < 100:
    command.publish(Float64MultiArray(data=[77.0]))
    rclpy.spin_once(node, timeout_sec=0.02)
print(sorted(set(heard), key=str), sorted(name for name, _ in node.get_node_names_and_namespaces()), flush=True)
"""


def security(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ros2", "security", *arguments], capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Keys and signed permissions of the shipped policy."""
    folder = str(tmp_path_factory.mktemp("keystore"))
    for arguments in (("create_keystore", folder), *(("create_enclave", folder, e) for e in ENCLAVES)):
        told = security(*arguments)
        if told.returncode and "cryptography" in told.stderr:
            # sros2 does not say which versions of this library it works with; its traceback names it
            reason = told.stderr.strip().splitlines()[-1]
            pytest.skip(f"sros2 does not work with this version of cryptography ({reason}); version 41 does")
        assert told.returncode == 0, told.stderr
    for enclave in ENCLAVES:
        told = security("create_permission", folder, enclave, str(POLICY))
        assert told.returncode == 0, told.stderr
    return folder


@pytest.fixture
def enforced(keystore: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security for this process and those that it starts."""
    monkeypatch.setenv("ROS_SECURITY_KEYSTORE", keystore)
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    monkeypatch.setenv("ROS_SECURITY_STRATEGY", "Enforce")


def test_a_policy_that_is_not_sros2s_is_refused(keystore: str, tmp_path: Path):
    """What accepted the shipped one does look."""
    wrong = tmp_path / "wrong.policy.xml"
    wrong.write_text(POLICY.read_text().replace('subscribe="ALLOW"', 'subscribe="SOMETIMES"'))

    assert security("create_permission", keystore, "/robot", str(wrong)).returncode != 0


def test_the_node_does_all_of_its_work_and_outsiders_nothing(files: Files, enforced: None, tmp_path: Path):
    files.bridge.write_text(files.bridge.read_text().replace("/commands", COMMANDS))
    record, unprotected = tmp_path / "bag", {"ROS_SECURITY_ENABLE": "false"}
    arguments = ["--enclave", "/adaptive_mpc", *parameters(bridge=files.bridge, preflight_seconds=2.0, record=record)]
    with (
        simulated_robot(files, "--enclave", "/robot"),
        controller(*arguments, enclave="/operator", listens=False) as node,
        started("-c", EAVESDROPPER, environment=unprotected) as eavesdropper,
    ):
        heard, error = eavesdropper.communicate(timeout=PATIENCE)
        assert node.set("deadline", 0.8) == (True, "")
        assert [node.change(c) for c in ("configure", "activate")] == [True, True]
        eventually(lambda: "running" in node.states, node.spin)
        assert node.trigger("reset_belief")[0]
        assert node.trigger("estop") == (True, "estop")
        # the emergency stop has deactivated it
        assert node.change("cleanup")
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0, mistakes
    assert errors(mistakes) == []
    # it hears itself, so it would have heard others; and it does not even learn who is there
    assert heard == "[77.0] ['eavesdropper']\n", error
    # the robot stands until a command comes: the eavesdropper's did not reach it, the controller's did
    standing, moving = joint_states_before_and_after_a_command(record)
    assert len(set(standing)) == 1
    assert len(set(moving)) > 5


def test_a_bridge_file_with_other_topics_cannot_be_configured(files: Files, enforced: None):
    arguments = ["--enclave", "/adaptive_mpc", *parameters(bridge=files.bridge)]
    with controller(*arguments, enclave="/operator", listens=False) as node:
        assert [node.change("configure"), node.state] == [False, "unconfigured"]
        code, mistakes = node.end(signal.SIGINT)

    told = errors(mistakes)
    assert code == 0
    assert len(told) == 1
    assert "failed to create topic [rt/commands]" in told[0]


def joint_states_before_and_after_a_command(bag: Path) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    before: list[tuple[float, ...]] = []
    after: list[tuple[float, ...]] = []
    commanded = False
    with Bag(bag) as recorded:
        for _, _, message in recorded.messages({"/joint_states": messages.JointState, COMMANDS: messages.Float64MultiArray}):
            if isinstance(message, messages.JointState):
                (after if commanded else before).append(tuple(message.position))
            else:
                commanded = True
    return before, after


@pytest.mark.parametrize(
    ("enclave", "node_name", "creates", "kind", "topic"),
    [
        ("/operator", "_ros2cli_1", "publisher", Float64MultiArray, COMMANDS),
        ("/operator", "_ros2cli_1", "subscription", JointState, "/joint_states"),
        ("/robot", "simulated_robot", "publisher", Float64MultiArray, COMMANDS),
        ("/robot", "simulated_robot", "subscription", String, "/adaptive_mpc/state"),
        ("/adaptive_mpc", "adaptive_mpc", "publisher", JointState, "/joint_states"),
        ("/adaptive_mpc", "adaptive_mpc", "publisher", Float64MultiArray, "/other_robot/commands"),
        ("/adaptive_mpc", "adaptive_mpc", "subscription", Image, "/camera/image"),
    ],
)
def test_what_the_policy_does_not_give_is_refused(
    enforced: None, enclave: str, node_name: str, creates: str, kind: Any, topic: str
):
    context = Context()
    rclpy.init(args=["--ros-args", "--enclave", enclave], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = Node(node_name, context=context)
    try:
        with pytest.raises(rclpy_implementation.RCLError):
            getattr(node, f"create_{creates}")(kind, topic, *(((lambda message: None),) if creates == "subscription" else ()), 10)
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_without_a_key_there_is_no_node(enforced: None):
    with pytest.raises(rclpy_implementation.RCLError, match="enclaves/nobody' does not exist"):
        rclpy.init(args=["--ros-args", "--enclave", "/nobody"], context=Context())
