"""The node's parameters: ROS parameters with `rclpy`, flags on the command line without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import BridgeConfig
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
        standby: whether to plan along with another node that has the robot, and to take over when that falls silent.
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
    standby: bool = False
    memory_limit: float = bounded(0.0, low=0.0, high=1e9)
    realtime: Realtime = "off"
    cpus: str = ""

    def __post_init__(self) -> None:
        parse_cores(self.cpus)


def require_standby(config: BridgeConfig, parameters: NodeParameters, *, is_guarded: bool) -> None:
    """Refuse to stand by where two nodes would fight for the robot."""
    if not parameters.standby:
        return
    if config.ownership is None or not config.ownership.is_exclusive:
        raise ConfigError(
            f"{parameters.bridge}: key 'ownership.mode': got 'warn' for a node that stands by; allowed: refuse, priority"
        )
    if is_guarded:
        raise ConfigError("--standby: not allowed with --guard, because a guard goes on commanding when its controller dies")
    if parameters.dry_run:
        raise ConfigError("--standby: not allowed with --dry-run, in which nothing is ever sent")
