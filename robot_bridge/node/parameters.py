"""The node's parameters: ROS parameters with `rclpy`, flags on the command line without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adaptive_mbrl.config import bounded
from robot_bridge.machine.cores import parse_cores
from robot_bridge.machine.realtime import Realtime


@dataclass(frozen=True)
class NodeParameters:
    """The node's parameters, which take effect in configure.

    Attributes:
        bridge: YAML file of the robot's topics, channels and safety limits.
        dry_run: whether to plan and report without sending commands.
        device: the device of the networks; auto takes a GPU when there is one.
        deadline: share of the control period that planning may take.
        preflight_seconds: how long configure listens to the robot and checks its messages [s]; 0 for no check.
        record: folder of the bag to record; empty for no recording.
        memory_limit: memory of this process [MiB] that diagnostics warn of before it is reached; 0 for that of its control group.
        realtime: whether the control loop and its watchdog ask for real-time priority, locked memory and cores of their own; with
            require a refusal is an error, with try a warning.
        cpus: cores of the control loop, such as 2,3; empty for the last one if there are three or more.
    """

    bridge: str
    dry_run: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deadline: float = bounded(0.9, low=0.1, high=0.95)
    preflight_seconds: float = bounded(0.0, low=0.0, high=60.0)
    record: str = ""
    memory_limit: float = bounded(0.0, low=0.0, high=1e9)
    realtime: Realtime = "off"
    cpus: str = ""

    def __post_init__(self) -> None:
        parse_cores(self.cpus)
