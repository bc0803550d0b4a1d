"""The last piece of the simulated hardware: JointState commands of ros2_control's topic interface become the robot's array.

python examples/ros2_control/relay.py

The hardware interface publishes a JointState with the joints in its own order, and NaN where a joint has got no command yet. The
simulated robot wants one number for each joint, in the order of controllers.yaml.
"""

from __future__ import annotations

import argparse
import math

from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.fields import joint_value
from robot_bridge.middleware.messages import Float64MultiArray, JointState
from robot_bridge.middleware.transport import Transport
from robot_bridge.stopping import stop_on_signals

COMMANDS, POSITIONS = "/hardware/joint_commands", "/hardware/joint_positions"
JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)


def relay(transport: Transport) -> None:
    """Pass commands on while the transport is open; one that does not hold all joints is left out."""
    publish = transport.publisher(POSITIONS, Float64MultiArray)

    def take(message: JointState, received: float) -> None:
        values = [joint_value(message, "position", joint) for joint in JOINTS]
        if all(map(math.isfinite, values)):
            publish(Float64MultiArray(data=values))

    transport.subscribe(COMMANDS, JointState, take)


def main() -> None:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Commands of ros2_control's topic interface for the simulated robot.")
    parser.add_argument("--transport", choices=("dds", "rclpy"), default="dds")
    parser.add_argument("--domain", type=int, default=None)
    parser.add_argument("--interface", default="lo")
    args = parser.parse_args()
    stop = stop_on_signals()
    transport = open_transport(args.transport, "hardware_relay", args.domain, args.interface)
    relay(transport)
    stop.wait()
    transport.close()


if __name__ == "__main__":
    main()
