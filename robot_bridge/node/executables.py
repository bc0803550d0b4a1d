"""The executables of `ros2 run adaptive_mbrl`; torch is loaded only after the process is prepared for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rclpy.utilities import remove_ros_args

from adaptive_mbrl.cli import main
from adaptive_mbrl.runtime import prepare_process


def adaptive_mpc() -> int:
    """Run the lifecycle node of `lifecycle.py`."""
    prepare_process()
    from robot_bridge.node import lifecycle

    return lifecycle.main()


def simulated_robot() -> int:
    """Run `adaptive-mbrl simulated-robot --transport rclpy` without the ROS arguments that launch adds."""
    return main(["simulated-robot", *without_empty_flags(remove_ros_args(sys.argv)[1:]), "--transport", "rclpy"])


def without_empty_flags(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that a launch file left empty, ``--flag=``."""
    return [argument for argument in arguments if not (argument.startswith("--") and argument.endswith("="))]
