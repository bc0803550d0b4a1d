"""What a supervisor takes from the checkpoint where the bridge file does not say it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.robot_files import load_controller, make_supervisor
from robot_bridge.safety.config import MODEL_ERROR_RATIO
from robot_bridge.safety.supervisor import Observed

BRIDGE = Path(__file__).resolve().parents[2] / "configs" / "bridge" / "cartpole.yaml"


def test_a_shipped_robot_has_limits_that_its_bridge_file_does_not_name():
    config = load_bridge_config(BRIDGE)
    controller = load_controller(config, BRIDGE, "cpu")
    guard = make_supervisor(config, controller, BRIDGE)
    guard.activate(0.0)

    faults = guard.decide(0.05, Observed(np.array([0.0, 0.0, 0.0, 1e6]), np.full(4, 0.05)), np.zeros(1)).faults

    assert [fault.split(",")[0] for fault in faults] == ["'pole_velocity' is 1e+06"]
    assert guard.config.max_model_error == pytest.approx(MODEL_ERROR_RATIO * controller.expected_error)
    assert 0 < controller.expected_error < 1


@pytest.mark.parametrize("given", [0.0, 2.5])
def test_a_limit_that_the_bridge_file_names_stays(given: float):
    config = load_bridge_config(BRIDGE)
    config = dataclasses.replace(config, safety=dataclasses.replace(config.safety, max_model_error=given))

    guard = make_supervisor(config, load_controller(config, BRIDGE, "cpu"), BRIDGE)

    assert guard.config.max_model_error == given
