"""The lifecycle node `adaptive_mpc`: ROS 2's transitions, parameters and log around `AdaptiveMpc`."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Sequence

import docstring_parser
import rclpy
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import AdaptiveMBRLError
from robot_bridge.middleware.ros import SPIN_SECONDS, OwnNodeTransport, RosTransport
from robot_bridge.node.adaptive_mpc import NODE, AdaptiveMpc
from robot_bridge.node.parameters import Parameters
from robot_bridge.stopping import stop_on_signals


class AdaptiveMpcNode(LifecycleNode):
    """Loads and warms up in configure, controls from activate to deactivate, lets go in cleanup."""

    def __init__(self, name: str = NODE, **options: typing.Any) -> None:
        super().__init__(name, **options)
        self._declare_parameters()
        self._io: RosTransport | None = None
        self.mpc = AdaptiveMpc(RosTransport(self), self.get_fully_qualified_name().lstrip("/"))

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.mpc.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.mpc.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.clean_up)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.clean_up)

    def clean_up(self) -> None:
        """Bring the actuators to rest and let go of checkpoint and topics."""
        self.mpc.clean_up()
        if self._io is not None:
            self._io.close()
            self._io = None

    def parameters(self) -> Parameters:
        """The parameters' present values.

        Raises:
            ConfigError: one is not as its description says.
        """
        values = {field.name: self.get_parameter(field.name).value for field in dataclasses.fields(Parameters)}
        return from_mapping(Parameters, values, source=f"parameters of {self.get_name()}")

    def _configure(self) -> None:
        parameters = self.parameters()
        self._io = RosTransport(self)
        # this node receives nothing while it configures
        ears = OwnNodeTransport(f"{self.get_name()}_preflight") if parameters.preflight_seconds > 0 else None
        try:
            self.mpc.configure(parameters, self._io, ears)
        except BaseException:
            self.clean_up()
            raise
        finally:
            if ears is not None:
                ears.close()

    def _attempt(self, transition: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            transition()
        except AdaptiveMBRLError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _declare_parameters(self) -> None:
        described = {p.arg_name: p.description for p in docstring_parser.parse(Parameters.__doc__ or "").params}
        hints = typing.get_type_hints(Parameters)
        for field in dataclasses.fields(Parameters):
            choices = typing.get_args(hints[field.name])
            descriptor = ParameterDescriptor(
                description=described[field.name],
                additional_constraints=f"one of {', '.join(choices)}" if choices else "",
            )
            if field.metadata:
                bounds = FloatingPointRange(from_value=field.metadata["low"], to_value=field.metadata["high"])
                descriptor.floating_point_range = [bounds]
            default = "" if field.default is dataclasses.MISSING else field.default
            self.declare_parameter(field.name, default, descriptor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Spin the node until SIGINT or SIGTERM; the last commands are safe ones."""
    # rclpy's own handlers may leave a spinning executor waiting; these only set an event
    stop = stop_on_signals()
    rclpy.init(args=list(sys.argv if arguments is None else arguments), signal_handler_options=SignalHandlerOptions.NO)
    node = AdaptiveMpcNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=SPIN_SECONDS)
    finally:
        node.clean_up()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
