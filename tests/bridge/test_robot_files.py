"""What a supervisor takes from the checkpoint beside the bridge file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from adaptive_mbrl.adaptation.reversal import ReversalAdapter
from adaptive_mbrl.control.delay import DelayConfig
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.control.pause_config import AdaptationConfig
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


def test_the_bridge_file_says_how_long_a_delay_is_looked_for():
    config = load_bridge_config(BRIDGE)
    immediate = replace(config, adaptation=AdaptationConfig(max_delay=0))

    # `load_bridge_config` imports no PyTorch, so that the default stands there twice
    assert load_controller(config, BRIDGE, "cpu").settings.delay == DelayConfig()
    assert load_controller(immediate, BRIDGE, "cpu").settings.delay is None


def test_the_bridge_file_says_whether_reversed_motors_are_looked_for():
    config = load_bridge_config(BRIDGE)
    as_wired = replace(config, adaptation=AdaptationConfig(reversals=False))

    assert isinstance(load_controller(config, BRIDGE, "cpu").settings.adapter, ReversalAdapter)
    assert not isinstance(load_controller(as_wired, BRIDGE, "cpu").settings.adapter, ReversalAdapter)
