"""The lifecycle node `adaptive_mpc`: `AdaptiveMpc` behind ROS 2's transitions, parameters and log."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Sequence
from contextlib import suppress

import docstring_parser
import rclpy
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import MultiThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from robot_bridge.middleware.ros import EXECUTOR_THREADS, SPIN_SECONDS, OwnNodeTransport, RosTransport, shut_down
from robot_bridge.node.adaptive_mpc import NODE_NAME, AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.safety.states import State
from robot_bridge.stopping import stop_on_signals


class AdaptiveMpcNode(LifecycleNode):
    """The node as a lifecycle node: configure loads and warms up, activate to deactivate controls, cleanup frees everything.

    An emergency stop, or another node that takes the robot, leads it from active to inactive, so that whoever manages it does not
    believe that it controls.

    Raises:
        ConfigError: a parameter that is given at the start has a value that its description does not allow.
    """

    def __init__(self, name: str = NODE_NAME, **options: typing.Any) -> None:
        super().__init__(name, **options)
        self._declare_parameters()
        self.parameters()
        self.add_on_set_parameters_callback(self._check_parameters)
        self._watch_transitions()
        self._io: RosTransport | None = None
        name = self.get_fully_qualified_name().lstrip("/")
        self.mpc = AdaptiveMpc(RosTransport(self), name, on_stop=self._leave_active)

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
        """Bring the actuators to rest and free the checkpoint and the topics."""
        recorded = self.mpc.clean_up()
        if recorded:
            self.get_logger().info(recorded)
        if self._io is not None:
            self._io.close()
            self._io = None

    def parameters(self, **new: typing.Any) -> NodeParameters:
        """The parameters' values, of which some may be replaced by new ones.

        Raises:
            ConfigError: a value is not allowed.
        """
        values = {field.name: self.get_parameter(field.name).value for field in dataclasses.fields(NodeParameters)}
        return from_mapping(NodeParameters, values | new, source=f"parameters of {self.get_name()}")

    def _configure(self) -> None:
        parameters = self.parameters()
        if not parameters.bridge:
            raise ConfigError("parameter 'bridge': empty; allowed: the path of a bridge YAML")
        self._io = RosTransport(self)
        # this node receives nothing while it configures, so the preflight listens through a node of its own
        is_checked = parameters.preflight_seconds > 0
        preflight_transport = OwnNodeTransport(f"{self.get_name()}_preflight", renamed=False) if is_checked else None
        try:
            for line in self.mpc.configure(parameters, self._io, preflight_transport):
                self.get_logger().info(line)
        except BaseException:
            self.clean_up()
            raise
        finally:
            if preflight_transport is not None:
                preflight_transport.close()

    def _attempt(self, transition: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            transition()
        except AdaptiveMBRLError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            # rclpy would not report this exception
            self.get_logger().error(f"{type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        """Refuse values that configure would refuse, and changes that it would not see; rclpy checks only types and ranges."""
        own = {field.name for field in dataclasses.fields(NodeParameters)}
        new = {parameter.name: parameter.value for parameter in changed if parameter.name in own}
        late = [name for name, value in new.items() if value != self.get_parameter(name).value]
        if late and self._io is not None:
            reason = f"'{late[0]}' takes effect in configure, and the node is configured already; deactivate and clean up first"
            return SetParametersResult(successful=False, reason=reason)
        try:
            self.parameters(**new)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _watch_transitions(self) -> None:
        """Refuse transitions that the present state does not have; in rclpy 7 their exception would end the node."""
        service = self._service_change_state
        change = service.callback

        def answer(request: typing.Any, response: typing.Any) -> typing.Any:
            try:
                return change(request, response)
            except rclpy_implementation.RCLError:
                asked = request.transition.label or request.transition.id
                self.get_logger().error(f"no transition '{asked}' from state '{self._lifecycle_state}'")
                response.success = False
                return response
            finally:
                # an emergency stop may have come while the node activated, or another node
                self._leave_active()

        service.callback = answer

    @property
    def _lifecycle_state(self) -> str:
        return str(self._state_machine.current_state[1])

    def _leave_active(self) -> None:
        """Deactivate in an emergency stop, whose safe action goes on, and where the robot was given up to somebody else."""
        if self.mpc.state in (State.ESTOP, State.INACTIVE) and self._lifecycle_state == "active":
            # another thread may have deactivated meanwhile
            with suppress(rclpy_implementation.RCLError):
                self.trigger_deactivate()

    def _declare_parameters(self) -> None:
        described = {p.arg_name: p.description for p in docstring_parser.parse(NodeParameters.__doc__ or "").params}
        hints = typing.get_type_hints(NodeParameters)
        for field in dataclasses.fields(NodeParameters):
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
    """Spin the node until SIGINT or SIGTERM, then bring the robot to rest."""
    # with rclpy's own signal handlers a spinning executor may wait for ever; these handlers only set an event
    stop = stop_on_signals()
    rclpy.init(args=list(sys.argv if arguments is None else arguments), signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = AdaptiveMpcNode()
    except (InvalidParameterTypeException, InvalidParameterValueException, ConfigError) as error:
        rclpy.try_shutdown()
        print(f"error: {error}", file=sys.stderr)
        return 2
    executor = MultiThreadedExecutor(EXECUTOR_THREADS)
    executor.add_node(node)
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=SPIN_SECONDS)
    finally:
        node.clean_up()
        shut_down(executor)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
