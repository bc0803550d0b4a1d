"""The safe action: in an emergency stop, in place of a loop that stands still, and on the way to rest."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

from robot_bridge.safety.config import Damper, SafetyConfig
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import SafetySupervisor
from tests.bridge.loop_parts import CONFIG, DT, SPEC, Parts, make


def test_an_emergency_stop_is_answered_at_once_and_latched(parts: Parts):
    parts.step()
    parts.clock.now += 0.1 * DT
    parts.loop.estop()

    assert parts.robot.commands == [0.1, 0.0]
    assert parts.step() is State.ESTOP
    parts.loop.activate()
    assert parts.step() is State.ESTOP
    parts.loop.clear_estop()
    assert parts.step() is State.INACTIVE
    parts.loop.activate()
    assert parts.step() is State.RUNNING


def test_an_emergency_stop_is_cleared_at_rest():
    parts = make(config=dataclasses.replace(CONFIG, rate_limits={"push": 1.0}))
    for _ in range(3):
        parts.step()
    parts.take_a_period_for_each_command()
    parts.loop.estop()
    assert parts.robot.commands[-1] != 0.0
    parts.loop.clear_estop()
    parts.loop.planning.close()

    assert parts.robot.commands[-1] == 0.0
    assert parts.loop.supervisor.state is State.INACTIVE


def test_the_watchdog_sends_the_safe_action_for_a_loop_that_stands_still(parts: Parts):
    parts.step()
    parts.loop.due = parts.clock.now + DT
    parts.clock.now += 1.4 * DT
    assert not parts.loop.answer_stall()

    parts.clock.now += 0.2 * DT
    assert parts.loop.answer_stall()
    assert not parts.loop.answer_stall()  # once in a period
    parts.clock.now += DT
    assert parts.loop.answer_stall()

    assert parts.robot.commands == [0.1, 0.0, 0.0]
    assert parts.loop.supervisor.state is State.HOLD
    assert parts.loop.statistics.stalls == 2
    assert "the control loop stands still" in parts.loop.faults


def test_a_loop_that_is_late_while_nothing_is_sent_is_no_fault(parts: Parts):
    parts.step()
    parts.loop.deactivate()
    sent = len(parts.robot.commands)
    parts.loop.due = parts.clock.now + DT
    parts.clock.now += 9 * DT

    assert not parts.loop.answer_stall()
    assert parts.loop._current_tick(parts.clock.now - 5.5 * DT) == pytest.approx(parts.clock.now - 0.5 * DT)
    assert (len(parts.robot.commands), parts.loop.statistics.stalls, parts.loop.statistics.overruns) == (sent, 0, 0)

    parts.loop.activate()
    parts.loop._current_tick(parts.clock.now - 5.5 * DT)
    assert parts.loop.statistics.overruns == 5


def test_while_coming_to_rest_no_plan_is_followed(parts: Parts):
    for _ in range(3):
        parts.step()
    sent, between = parts.robot.send, []

    def send(command: np.ndarray) -> None:
        sent(command)
        if threading.current_thread() is threading.main_thread() and not between:
            between.append(None)
            thread = threading.Thread(target=parts.step)  # the loop goes on meanwhile
            thread.start()
            between.append(thread)

    parts.loop.send = send
    parts.clock.now += DT
    parts.loop.deactivate()
    between[1].join(10)

    assert parts.robot.commands[-1] == 0.0
    assert set(parts.robot.commands[3:]) == {0.0}


def test_time_to_come_to_rest_is_what_the_rate_limits_need(parts: Parts):
    slow = SafetySupervisor(SPEC, SafetyConfig({"push": 2.0}))

    assert slow.rest_seconds == 10.0


def test_at_the_end_the_actuators_come_to_rest(parts: Parts):
    stop, sent = threading.Event(), parts.robot.send

    def send(command: np.ndarray) -> None:
        sent(command)
        parts.clock.now += DT
        if len(parts.robot.commands) == 5:
            stop.set()

    parts.loop.send = send
    parts.loop.run(stop)

    assert set(parts.robot.commands[5:]) == {0.0}
    assert parts.loop.supervisor.state is State.INACTIVE


@pytest.mark.parametrize("velocity", [5.0, 0.0], ids=["clipped", "still"])
def test_a_damped_robot_is_not_left_with_the_last_damping(velocity: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("robot_bridge.control.loop.DAMPING_SECONDS", 2 * DT)
    config = dataclasses.replace(CONFIG, rate_limits={"push": 100.0}, safe_action="damping", dampers={"push": Damper("x", 3.0)})
    parts = make(config=config)
    parts.take_a_period_for_each_command()
    parts.step()
    parts.robot.x = velocity
    parts.robot.commands.clear()
    parts.loop.deactivate()
    parts.loop.planning.close()

    damping = [-4.9, -9.9, -4.9] if velocity else [0.0, 0.0]
    assert parts.robot.commands == [*damping, 0.0]
