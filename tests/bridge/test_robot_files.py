"""What a supervisor takes from the checkpoint beside the bridge file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.robot_files import load_controller, make_supervisor
from robot_bridge.safety.supervisor import Observed

BRIDGE = Path(__file__).resolve().parents[2] / "configs" / "bridge" / "cartpole.yaml"


def test_a_shipped_robot_has_limits_that_its_bridge_file_does_not_name():
    config = load_bridge_config(BRIDGE)
    controller = load_controller(config, BRIDGE, "cpu")
    guard = make_supervisor(config, controller, BRIDGE)
    guard.activate(0.0)

    faults = guard.decide(0.05, Observed(np.array([0.0, 0.0, 0.0, 1e6]), np.full(4, 0.05)), np.zeros(1)).faults

    assert [fault.split(",")[0] for fault in faults] == ["'pole_velocity' is 1e+06"]
