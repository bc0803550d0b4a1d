"""Looking at the control loop while it runs must not end the looking."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from robot_bridge.node.diagnostics import Diagnosis
from tests.bridge.test_control_loop import make


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_diagnosis_is_made_while_the_loop_writes_down_how_late_it_is(restless):
    loop, end = make().loop, threading.Event()
    controller = loop.planning.controller
    controller.bfloat16 = controller.belief_is_frozen = False

    def be_late() -> None:
        while not end.is_set():
            loop.statistics.lateness.append(0.002)

    thread = threading.Thread(target=be_late)
    thread.start()
    try:
        diagnosis = Diagnosis(loop, "node")
        values = [diagnosis(0.0).status[2].values for _ in range(200)]
    finally:
        end.set()
        thread.join()
        loop.planning.close()

    assert {pair.key: pair.value for pair in values[-1]}["late, median [ms]"] == "2"
