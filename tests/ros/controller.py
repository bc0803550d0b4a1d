"""The lifecycle node in a process of its own, and what a ROS 2 system asks of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from tests.ros.robot import PATIENCE, eventually, started

MAIN = "import sys; from robot_bridge.node.executables import adaptive_mpc; sys.exit(adaptive_mpc())"
CHANGES = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "shutdown of unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "shutdown of inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "shutdown of active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class Operator:
    """A node that hears the commands and asks `adaptive_mpc` for things.

    Args:
        process: of `adaptive_mpc`.
        node: spun by whatever waits here.
        executor: of the node.
        listens: to the commands.
        namespace: of `adaptive_mpc` and of the commands.
    """

    def __init__(
        self, process: subprocess.Popen[str], node: Node, executor: SingleThreadedExecutor, listens: bool, namespace: str = ""
    ) -> None:
        self.process, self.node, self._executor, self._namespace = process, node, executor, namespace
        self.commands: list[list[float]] = []
        self.states: list[str] = []
        self.reactions: list[str] = []
        if listens:
            node.create_subscription(
                Float64MultiArray, f"{namespace}/commands", lambda m: self.commands.append(list(m.data)), 100
            )
        node.create_subscription(String, f"{namespace}/adaptive_mpc/state", lambda m: self.states.append(m.data), 100)
        node.create_subscription(String, f"{namespace}/adaptive_mpc/reaction", lambda m: self.reactions.append(m.data), 100)

    def spin(self) -> None:
        """Take what has come, or wait a little."""
        self._executor.spin_once(timeout_sec=0.05)

    def ask(self, kind: Any, service: str, request: Any) -> Any:
        """The answer of one of the node's services."""
        future = self.asked(kind, service, request)
        return eventually(lambda: future.done() and future.result(), self.spin)

    def asked(self, kind: Any, service: str, request: Any) -> Any:
        """The future answer of one of the node's services."""
        client = self.node.create_client(kind, f"{self._namespace}/adaptive_mpc/{service}")
        assert client.wait_for_service(PATIENCE)
        return client.call_async(request)

    def change(self, transition: str) -> bool:
        """Whether the node made a transition."""
        future = self.changing(transition)
        return bool(eventually(lambda: future.done() and future.result(), self.spin).success)

    def changing(self, transition: str) -> Any:
        """The future answer to a transition."""
        return self.asked(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=CHANGES[transition])))

    @property
    def state(self) -> str:
        """The lifecycle's."""
        return str(self.ask(GetState, "get_state", GetState.Request()).current_state.label)

    def trigger(self, service: str) -> tuple[bool, str]:
        """Ask one of the node's own services."""
        answer = self.ask(Trigger, service, Trigger.Request())
        return answer.success, answer.message

    def set(self, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter; whether that was allowed, and why not."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        (result,) = self.ask(SetParameters, "set_parameters", request).results
        return result.successful, result.reason

    def describe(self, *names: str) -> list[Any]:
        """The parameters' descriptors."""
        return list(self.ask(DescribeParameters, "describe_parameters", DescribeParameters.Request(names=names)).descriptors)

    def moves(self) -> None:
        """Wait for commands that are not the safe one."""
        self.commands.clear()
        eventually(lambda: len([c for c in self.commands if any(c)]) > 5, self.spin)

    def end(self, *numbers: signal.Signals) -> tuple[int, str]:
        """End the node by signals; its exit code and what it wrote to stderr."""
        for number in numbers:
            self.process.send_signal(number)
        eventually(lambda: self.process.poll() is not None, self.spin)
        for _ in range(5):  # the last messages may still be on their way
            self.spin()
        return self.process.returncode, self.process.stderr.read()


@contextmanager
def controller(*ros_arguments: str, enclave: str = "", listens: bool = True, namespace: str = "") -> Iterator[Operator]:
    """`adaptive_mpc`, not configured yet, and who operates it.

    Args:
        ros_arguments: ROS 2's own of the process, such as ``-p``, ``bridge:=FILE``.
        enclave: of the operator.
        listens: the operator hears the commands.
        namespace: of the process, where its arguments give it one.
    """
    context = Context()
    own = ["--ros-args", "--enclave", enclave] if enclave else []
    rclpy.init(args=own, context=context, signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor(context=context)
    node = Node("_ros2cli_operator", context=context)
    executor.add_node(node)
    try:
        with started("-c", MAIN, "--ros-args", *ros_arguments) as process:
            yield Operator(process, node, executor, listens, namespace)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def parameters(**values: object) -> list[str]:
    """As arguments of a node."""
    return [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
