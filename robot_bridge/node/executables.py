"""The executables of `ros2 run adaptive_mbrl`, except the lifecycle node in `lifecycle.py`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rclpy.utilities import remove_ros_args

from adaptive_mbrl.cli import main


def simulated_robot() -> int:
    """Run `adaptive-mbrl simulated-robot --transport rclpy` without the ROS arguments that launch adds."""
    return main(["simulated-robot", *without_empty_flags(remove_ros_args(sys.argv)[1:]), "--transport", "rclpy"])


def without_empty_flags(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that a launch file left empty, ``--flag=``."""
    return [argument for argument in arguments if not (argument.startswith("--") and argument.endswith("="))]
