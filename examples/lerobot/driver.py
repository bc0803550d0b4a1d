"""A LeRobot robot on ROS 2 topics.

python examples/lerobot/driver.py --port /dev/ttyACM0, or without a port in simulation.

It publishes JointState and obeys position commands, so that `adaptive-mbrl bridge --bridge examples/lerobot/bridge.yaml` controls
the arm from another process or machine, with all that the bridge has: preflight, guard, recording. When commands stop, the servos
hold their last position.
"""

from __future__ import annotations

import argparse
import math
import threading
import time
from collections.abc import Callable

from control import LeRobotRobot, real_arm
from joints import JointUnits, Velocities
from simulated_arm import SimulatedArm

from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.messages import Float64MultiArray, Header, JointState, Time
from robot_bridge.middleware.transport import Transport
from robot_bridge.simulated.steady_clock import SteadyClock
from robot_bridge.stopping import stop_on_signals

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
MAX_AGE = 0.2
"""Oldest command that is sent to the motors [s]."""


class Driver:
    """Carries messages to a LeRobot robot and back. The transport's thread takes commands, `step` talks to the motors.

    Args:
        robot: the robot, which is connected.
        transport: the middleware.
        commands: the topic of commands.
        now: monotonic time [s].

    Attributes:
        refused: number of commands of another length or without finite numbers.
    """

    def __init__(
        self,
        robot: LeRobotRobot,
        transport: Transport,
        commands: str = "/forward_position_controller/commands",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._robot, self._transport, self._now = robot, transport, now
        self._units, self._velocities = JointUnits(JOINTS), Velocities()
        self._command: tuple[float, list[float]] = -math.inf, []
        self._lock = threading.Lock()
        self.refused = 0
        self._publish = transport.publisher("/joint_states", JointState, reliable=False)
        transport.subscribe(commands, Float64MultiArray, self.take_command, reliable=True)

    def take_command(self, message: Float64MultiArray, received: float) -> None:
        """Keep the newest command."""
        if len(message.data) != len(JOINTS) or not all(map(math.isfinite, message.data)):
            self.refused += 1
            return
        with self._lock:
            self._command = received, list(message.data)

    def step(self) -> None:
        """Read the joints, publish them, and send the newest command, unless it is too old."""
        stamp, now = Time.of(self._transport.now()), self._now()
        positions = self._units.radians(self._robot.get_observation())
        self._publish(JointState(Header(stamp), list(JOINTS), positions, self._velocities(now, positions)))
        with self._lock:
            received, command = self._command
        if now - received <= MAX_AGE:
            self._robot.send_action(self._units.action(command))


def main() -> None:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A LeRobot robot on ROS 2 topics.")
    parser.add_argument("--port", help="serial port of an SO-101; without it the arm is simulated")
    parser.add_argument("--id", default="so101", help="the name under which LeRobot has calibrated the arm")
    parser.add_argument("--rate", type=float, default=25.0, help="how often the joints are read [Hz]")
    parser.add_argument("--domain", type=int, default=None)
    parser.add_argument("--interface", default="lo")
    args = parser.parse_args()
    clock = SteadyClock(stop_on_signals())
    robot = real_arm(args.port, args.id) if args.port else SimulatedArm(steps=10**6)
    transport = open_transport("dds", "lerobot_driver", args.domain, args.interface)
    robot.connect()
    driver = Driver(robot, transport)
    print("the joints are published on /joint_states", flush=True)
    begin, index = clock.now(), 0
    try:
        while clock.wait_until(begin + index / args.rate):
            driver.step()
            index += 1
    finally:
        transport.close()
        robot.disconnect()


if __name__ == "__main__":
    main()
