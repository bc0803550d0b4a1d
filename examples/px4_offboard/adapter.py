"""Connects the bridge with a PX4 autopilot over ROS 2's wire.

python examples/px4_offboard/adapter.py --arm

The bridge speaks ENU and FLU, and standard messages; PX4 speaks NED and FRD, and px4_msgs. Between the two this process
 - turns PX4's odometry into Odometry and Imu,
 - turns each command into a heartbeat and a setpoint, and
 - asks for the offboard mode and arms, once, as soon as commands come.
"""

from __future__ import annotations

import argparse
import logging
import math
import threading
import time
from collections.abc import Callable

import frames
import setpoints
from offboard import OffboardSequence
from px4_messages import OffboardControlMode, VehicleCommand, VehicleCommandAck, VehicleOdometry, VehicleStatus

from adaptive_mbrl.errors import BridgeError
from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.messages import Float64MultiArray, Imu, Message, Odometry, Time, TriggerRequest
from robot_bridge.middleware.transport import Transport
from robot_bridge.stopping import stop_on_signals

_LOG = logging.getLogger("px4_offboard")


class Adapter:
    """Passes messages on between the bridge and PX4; its methods are called by the transport's thread.

    Args:
        transport: the middleware on which both sides are.
        kind: the kind of setpoints, one of `setpoints.KINDS`.
        arm: whether to arm.
        commands: the bridge's topic of commands.
        started: called once when the vehicle flies, such as to reset the bridge's belief.
        clock: monotonic time [s].

    Attributes:
        refused: number of messages that were not understood: commands of another length or without finite numbers, odometry in an
            unknown frame.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        kind: str = "motors",
        arm: bool = False,
        commands: str = "/effort_controller/commands",
        started: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, topic, message_type, self._field, self._length = setpoints.KINDS[kind]
        self.sequence, self._started, self._clock = OffboardSequence(arm=arm), started, clock
        self.refused = 0
        self._heartbeat = transport.publisher("/fmu/in/offboard_control_mode", OffboardControlMode)
        self._setpoint = transport.publisher(topic, message_type)
        self._ask = transport.publisher("/fmu/in/vehicle_command", VehicleCommand)
        self._odometry = transport.publisher("/odom", Odometry, reliable=False)
        self._imu = transport.publisher("/imu/data", Imu, reliable=False)
        transport.subscribe("/fmu/out/vehicle_odometry", VehicleOdometry, self.take_odometry)
        transport.subscribe(versioned("/fmu/out/vehicle_status", VehicleStatus), VehicleStatus, self.take_status)
        transport.subscribe("/fmu/out/vehicle_command_ack", VehicleCommandAck, self.take_answer)
        transport.subscribe(commands, Float64MultiArray, self.take_command, reliable=True)

    def take_command(self, message: Float64MultiArray, received: float) -> None:
        """Send a heartbeat and the setpoint, and ask for what is still missing; nothing at all once the flight is over."""
        if len(message.data) != self._length or not all(map(math.isfinite, message.data)):
            self.refused += 1
            return
        if self.sequence.over:
            return
        now = self._clock()
        timestamp = int(now * 1e6)
        self._heartbeat(setpoints.heartbeat(self._field, timestamp))
        self._setpoint(self._make(message.data, timestamp))
        request = self.sequence.next_request(now, timestamp)
        if request is not None:
            self._ask(request)

    def take_status(self, status: VehicleStatus, received: float) -> None:
        """Follow PX4's mode."""
        was_flying, was_over = self.sequence.flying, self.sequence.over
        self.sequence.take_status(status)
        if self.sequence.flying and not was_flying:
            _LOG.info("armed, in the offboard mode")
            self._started()
        if self.sequence.over and not was_over:
            _LOG.warning("PX4 has left the offboard mode (now %d) or disarmed; start the adapter again to fly", status.nav_state)

    def take_answer(self, answer: VehicleCommandAck, received: float) -> None:
        """Say which request was denied."""
        if answer.result != VehicleCommandAck.VEHICLE_CMD_RESULT_ACCEPTED:
            _LOG.warning("PX4 has not accepted command %d: result %d", answer.command, answer.result)

    def take_odometry(self, message: VehicleOdometry, received: float) -> None:
        """Publish the vehicle's state in ROS 2's frames; velocities are those in the world's frame, rates those of the body."""
        velocity = _world_velocity(message)
        if velocity is None or message.pose_frame == VehicleOdometry.POSE_FRAME_UNKNOWN:
            self.refused += 1
            return
        odometry, imu = Odometry(), Imu()
        stamp = Time.of(message.timestamp_sample * 1e-6)
        for sent in (odometry, imu):
            sent.header.stamp = stamp
        pose, turned = odometry.pose.pose, frames.attitude(message.q)
        pose.position.x, pose.position.y, pose.position.z = frames.world(message.position)
        for orientation in (pose.orientation, imu.orientation):
            orientation.w, orientation.x, orientation.y, orientation.z = turned
        linear, rate = odometry.twist.twist.linear, imu.angular_velocity
        linear.x, linear.y, linear.z = velocity
        rate.x, rate.y, rate.z = frames.body(message.angular_velocity)
        self._odometry(odometry)
        self._imu(imu)


def versioned(topic: str, message_type: type[Message]) -> str:
    """The name of a topic of PX4, which ends with the version of its message unless that is 0."""
    version = getattr(message_type, "MESSAGE_VERSION", 0)
    return f"{topic}_v{version}" if version else topic


def _world_velocity(message: VehicleOdometry) -> list[float] | None:
    """The velocity in ENU; None if its frame is not known."""
    if message.velocity_frame == VehicleOdometry.VELOCITY_FRAME_BODY_FRD:
        return frames.world(frames.rotated(message.q, message.velocity))
    known = message.velocity_frame in (VehicleOdometry.VELOCITY_FRAME_NED, VehicleOdometry.VELOCITY_FRAME_FRD)
    return frames.world(message.velocity) if known else None


def belief_reset(transport: Transport) -> Callable[[], None]:
    """A function that resets the bridge's belief: what it saw of a vehicle on the ground says nothing about one in the air."""
    call = transport.client("/adaptive_mpc/reset_belief", TriggerRequest)

    def reset() -> None:
        try:
            call(TriggerRequest())
        except BridgeError as error:
            _LOG.warning("the belief was not reset: %s", error)

    # a thread of its own, because the transport's thread has to take the answer
    return lambda: threading.Thread(target=reset, daemon=True).start()


def main() -> None:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Connect the bridge with a PX4 autopilot in its offboard mode.")
    parser.add_argument("--setpoints", choices=sorted(setpoints.KINDS), default="motors", help="what PX4 gets")
    parser.add_argument("--arm", action="store_true", help="arm as soon as PX4 is in the offboard mode; a person has to be there")
    parser.add_argument(
        "--commands", default="/effort_controller/commands", metavar="TOPIC", help="the bridge's topic of commands"
    )
    parser.add_argument("--transport", choices=("dds", "rclpy"), default="dds")
    parser.add_argument("--domain", type=int, default=None)
    parser.add_argument("--interface", default="lo")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stop = stop_on_signals()
    transport = open_transport(args.transport, "px4_offboard", args.domain, args.interface)
    Adapter(transport, kind=args.setpoints, arm=args.arm, commands=args.commands, started=belief_reset(transport))
    _LOG.info("waiting for the bridge and for PX4")
    try:
        stop.wait()
    finally:
        transport.close()


if __name__ == "__main__":
    main()
