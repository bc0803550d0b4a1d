"""Flags of the sub-commands that show a bridge in Foxglove and Rerun."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import OptionalInt, OptionalPath, Transport, require_domain, require_ending


@dataclass(frozen=True)
class FoxgloveLayoutOptions:
    """Write a layout for Foxglove that shows a robot of a bridge file; needs the extra `foxglove`.

    Example: adaptive-mbrl foxglove layout --bridge configs/bridge/cartpole.yaml --out layout.json

    Attributes:
        bridge: YAML file of the robot's topics and channels, as for `bridge`.
        out: the new layout, a .json file.
        bag: a recording of the robot, whose messages tell the order of the joints; without one it is that of the robot's
            channels, as the simulated robot has it.
        node: name of the controller's node, with its namespace.
    """

    bridge: Path
    out: Path
    bag: OptionalPath = None
    node: str = "adaptive_mpc"

    def __post_init__(self) -> None:
        require_ending("--out", self.out, ".json")


@dataclass(frozen=True)
class FoxgloveStreamOptions:
    """Show a running bridge live in Foxglove, until Ctrl-C; needs the extra `foxglove`.

    Example: adaptive-mbrl foxglove stream --bridge configs/bridge/cartpole.yaml

    Attributes:
        bridge: YAML file of the robot's topics and channels, as for `bridge`.
        port: port that Foxglove connects to; 0 takes any free one.
        host: address to listen on; 127.0.0.1 is reached from this machine only.
        node: name of the controller's node, with its namespace.
        transport: way to the robot; dds needs no ROS 2 install, rclpy needs one that is sourced.
        domain: ROS 2's domain id; the environment variable ROS_DOMAIN_ID if not given.
        interface: network interface to use with dds; the environment variable CYCLONEDDS_URI wins over it.
    """

    bridge: Path
    port: int = 8765
    host: str = "127.0.0.1"
    node: str = "adaptive_mpc"
    transport: Transport = "dds"
    domain: OptionalInt = None
    interface: str = "lo"

    def __post_init__(self) -> None:
        require_domain(self.domain)
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"--port: {self.port} is out of range; allowed: 0 to 65535")


@dataclass(frozen=True)
class RerunExportOptions:
    """Turn a recording of a bridge into one of Rerun, a .rrd file; needs the extra `rerun`.

    Example: adaptive-mbrl rerun export bags/run --bridge configs/bridge/cartpole.yaml --out run.rrd

    Attributes:
        bag: folder of the recording, or one of its files.
        bridge: YAML file of the robot's topics and channels, as for `bridge`.
        out: the new file.
        node: name of the controller's node in the recording, with its namespace.
    """

    bag: Positional[Path]
    bridge: Path
    out: Path
    node: str = "adaptive_mpc"

    def __post_init__(self) -> None:
        require_ending("--out", self.out, ".rrd")


@dataclass(frozen=True)
class RerunStreamOptions:
    """Show a running bridge live in a viewer of Rerun, until Ctrl-C; needs the extra `rerun`.

    Example: adaptive-mbrl rerun stream --bridge configs/bridge/cartpole.yaml

    Attributes:
        bridge: YAML file of the robot's topics and channels, as for `bridge`.
        viewer: address of the viewer, which has to run already: start it with the command `rerun`.
        node: name of the controller's node, with its namespace.
        transport: way to the robot; dds needs no ROS 2 install, rclpy needs one that is sourced.
        domain: ROS 2's domain id; the environment variable ROS_DOMAIN_ID if not given.
        interface: network interface to use with dds; the environment variable CYCLONEDDS_URI wins over it.
    """

    bridge: Path
    viewer: str = "rerun+http://127.0.0.1:9876/proxy"
    node: str = "adaptive_mpc"
    transport: Transport = "dds"
    domain: OptionalInt = None
    interface: str = "lo"

    def __post_init__(self) -> None:
        require_domain(self.domain)
