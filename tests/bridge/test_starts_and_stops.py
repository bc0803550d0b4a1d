"""What starts and stops of the node leave behind in their process and on the machine: nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.evidence.tiny_cartpole import write_tiny_cartpole
from benchmarks.starts_and_stops import DT, left_behind, started_and_stopped, whole_processes
from tests.bridge.faults import LineProcess

pytestmark = pytest.mark.slow

DOMAIN = 61 + os.getpid() % 50


def test_ten_starts_and_two_processes_leave_nothing_behind(tmp_path: Path):
    _, bridge = write_tiny_cartpole(tmp_path, DT)
    robot = LineProcess("robot", "standing", str(DOMAIN), str(bridge), "0", "0", package="benchmarks.evidence")
    robot.ask("good")
    try:
        found = left_behind(started_and_stopped(bridge, DOMAIN, 10, tmp_path))
        whole = whole_processes(bridge, DOMAIN, 2)
    finally:
        robot.close()

    assert found["left_behind"] == {"files": 0, "threads": 0, "python_threads": 0, "shared_memory": 0}
    assert (whole["exit_codes"], whole["shared_memory_left"]) == ([0], 0)
