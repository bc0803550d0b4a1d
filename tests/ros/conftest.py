"""A ROS 2 of this test process's own: one domain, on the loopback interface, in a shell where ROS 2 is sourced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from robot_bridge.middleware.cyclone import configuration
from tests.cartpole_bridge import BRIDGE
from tests.ros.robot import SCENARIO, Files
from tests.sim.conftest import make_checkpoint

__all__ = ["make_checkpoint"]


@pytest.fixture(scope="session", autouse=True)
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Child processes inherit it."""
    settings = {
        "ROS_DOMAIN_ID": str(160 + os.getpid() % 70),
        "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
        "CYCLONEDDS_URI": configuration("lo"),
        "ROS_LOG_DIR": str(tmp_path_factory.mktemp("log")),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def files(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Files:
    """A cart-pole with an untrained checkpoint."""
    bridge, scenario = tmp_path / "bridge.yaml", tmp_path / "scenario.yaml"
    bridge.write_text(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint")))
    scenario.write_text(SCENARIO)
    return Files(bridge, scenario)
