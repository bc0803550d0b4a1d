"""NodeParameters of the node: ROS parameters with `rclpy`, flags on the command line without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adaptive_mbrl.config import bounded


@dataclass(frozen=True)
class NodeParameters:
    """Take effect in configure.

    Attributes:
        bridge: YAML file of the robot's topics, channels and safety limits.
        dry_run: plan and report, send no command.
        device: where the networks run; auto takes a GPU when there is one.
        deadline: share of the control period that planning may take.
        preflight_seconds: how long configure listens to the robot and checks what it says [s]; 0 does not check.
        record: folder of the bag to record; empty records none.
    """

    bridge: str
    dry_run: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deadline: float = bounded(0.9, low=0.1, high=0.95)
    preflight_seconds: float = bounded(0.0, low=0.0, high=60.0)
    record: str = ""
