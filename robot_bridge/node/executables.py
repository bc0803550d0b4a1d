"""What `ros2 run adaptive_mbrl ...` starts, beside the lifecycle node of `lifecycle.py`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rclpy.utilities import remove_ros_args

from adaptive_mbrl.cli import main


def simulated_robot() -> int:
    """`adaptive-mbrl simulated-robot --transport rclpy`, with the flags that launch adds taken away."""
    return main(["simulated-robot", *without_empty_flags(remove_ros_args(sys.argv)[1:]), "--transport", "rclpy"])


def without_empty_flags(arguments: Sequence[str]) -> list[str]:
    """Arguments without the flags that a launch file left empty, ``--flag=``."""
    return [argument for argument in arguments if not (argument.startswith("--") and argument.endswith("="))]
