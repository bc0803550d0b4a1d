"""The executables of `ros2 run adaptive_mbrl`; torch is loaded only after the process is prepared for it.

A launch may end them while they load, which takes seconds. A signal ends them quietly then: nothing moves yet. Once they have
loaded, both set handlers of their own (`robot_bridge.stopping`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from adaptive_mbrl.errors import EXIT_INTERRUPTED
from adaptive_mbrl.runtime import prepare_process


def adaptive_mpc() -> int:
    """Run the lifecycle node of `lifecycle.py`."""
    _end_quietly_on_signals()
    prepare_process()
    from robot_bridge.node import lifecycle

    return lifecycle.main()


def simulated_robot() -> int:
    """Run `adaptive-mbrl simulated-robot --transport rclpy` without the ROS arguments that launch adds."""
    _end_quietly_on_signals()
    from rclpy.utilities import remove_ros_args

    from adaptive_mbrl.cli import main

    return main(["simulated-robot", *without_empty_flags(remove_ros_args(sys.argv)[1:]), "--transport", "rclpy"])


def without_empty_flags(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that a launch file left empty, ``--flag=``."""
    return [argument for argument in arguments if not (argument.startswith("--") and argument.endswith("="))]


def _end_quietly_on_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_quietly)


def _end_quietly(number: int, frame: FrameType | None) -> None:
    # an exception here could come out of any import, as another one or with a traceback
    os._exit(EXIT_INTERRUPTED)
