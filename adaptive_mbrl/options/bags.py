"""Flags of the sub-command that reads a robot's recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from adaptive_mbrl.options.common import (
    OptionalInt,
    require_at_least,
)


@dataclass(frozen=True)
class ImportBagOptions:
    """Turn a recording of a robot (rosbag2, sqlite3 or MCAP) into episodes; needs no ROS 2 install.

    Example: adaptive-mbrl import-bag runs/bag --bridge configs/bridge/cartpole.yaml --out runs/imported

    Attributes:
        bag: folder of the bag, or one of its files.
        bridge: YAML file of the robot's topics and channels, as for `bridge`.
        out: folder of the episodes; new ones are appended.
        min_steps: fewest steps of an episode; shorter stretches between two gaps are left out; twice the checkpoint's window
            if not given.
        node: name of the controller's node in the recording, with its namespace.
    """

    bag: Positional[Path]
    bridge: Path
    out: Path
    min_steps: OptionalInt = None
    node: str = "adaptive_mpc"

    def __post_init__(self) -> None:
        require_at_least("--min-steps", self.min_steps, 1)
