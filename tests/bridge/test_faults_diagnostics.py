"""Looking at the control loop while it runs must not end the looking."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from robot_bridge.control.plan_ahead import ERROR_WINDOW
from robot_bridge.middleware.messages import Float64MultiArray
from robot_bridge.node.diagnostics import OK, WARN, Diagnostics
from tests.bridge.test_control_loop import make
from tests.bridge.test_inputs import goal_reader


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_diagnosis_is_made_while_the_loop_writes_down_how_late_it_is(restless):
    loop, end = make().loop, threading.Event()

    def be_late() -> None:
        while not end.is_set():
            loop.statistics.lateness.append(0.002)

    thread = threading.Thread(target=be_late)
    thread.start()
    try:
        diagnosis = Diagnostics(loop, "node")
        values = [diagnosis(0.0).status[2].values for _ in range(200)]
    finally:
        end.set()
        thread.join()
        loop.planning.close()

    assert {pair.key: pair.value for pair in values[-1]}["late, median [ms]"] == "2"


def test_goals_that_are_none_and_others_that_command_the_robot_are_warned_of():
    goals = goal_reader(preview=True)
    diagnosis = Diagnostics(make().loop, "node", goals)

    def said(rivals: int) -> list[tuple[int, str]]:
        parts = {status.name: status for status in diagnosis(0.0, rivals).status}
        return [(part.level, part.message) for part in (parts["node: output"], parts["node: goal"])]

    assert said(0) == [(OK, "alone"), (OK, "followed")]
    goals.receive(Float64MultiArray(data=[1.0]), 0.0)
    assert said(1) == [(WARN, "1 other publisher(s) of commands: they work against this node"), (WARN, "1 refused")]
    goals.receive(Float64MultiArray(data=[1.0, 2.0, 3.0, 4.0]), 0.0)
    assert said(0) == [(OK, "alone"), (OK, "followed")]
    assert {v.key: v.value for v in diagnosis(0.0).status[-1].values} == {"goal": "4, 3", "refused": "1"}


def test_what_is_odd_about_the_senders_of_observations_is_warned_of():
    loop = make().loop
    loop.supervisor.max_age[:] = np.inf
    diagnosis = Diagnostics(loop, "node")

    def said(senders: dict[str, int]) -> tuple[int, str]:
        inputs = diagnosis(0.0, 0, senders).status[1]
        return inputs.level, inputs.message

    assert said({"/joint_states": 1}) == (OK, "fresh")
    assert said({"/joint_states": 2, "/imu": 1}) == (WARN, "2 publishers on /joint_states")
    loop.inputs.refused_stamps = 3
    assert said({"/joint_states": 2}) == (WARN, "3 refused stamps")
    assert said({"/joint_states": 1}) == (OK, "fresh")
    loop.planning.close()


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        (0.4, (OK, "in time")),
        (0.1, (WARN, "the model errs 5.0 times more than in training: fine-tune it")),
        (math.nan, (OK, "in time")),
    ],
    ids=["like in training", "another robot", "an older checkpoint"],
)
def test_a_model_that_errs_much_more_than_in_training_should_be_fine_tuned(trained: float, expected: tuple[int, str]):
    parts = make()
    parts.loop.planning.controller.expected_error = trained
    diagnosis = Diagnostics(parts.loop, "node")
    said = []
    for _ in range(ERROR_WINDOW + 1):
        parts.step()
        planner = diagnosis(0.0).status[3]
        said.append((planner.level, planner.message))
    parts.loop.planning.close()

    assert parts.loop.planning.mean_error == pytest.approx(0.5)
    assert said[ERROR_WINDOW // 2] == (OK, "in time")
    assert said[-1] == expected
