"""The loop keeps its periods, whatever happens in it or to its clock; driven step by step in virtual time."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

from robot_bridge.safety.states import State
from tests.bridge.loop_parts import CONFIG, DT, Parts, make


def test_each_plan_is_made_one_period_ahead(parts: Parts):
    for parts.robot.x in (1.0, 2.0, 3.0, 4.0):
        assert parts.step() is State.RUNNING

    # the first plan is for the present period and lends its second action to the next one
    assert parts.robot.commands == [0.1, 0.2, 1.1, 2.1]
    assert parts.loop.statistics.missed_deadlines == 0


def test_nothing_is_planned_for_an_observation_that_is_not_there(parts: Parts):
    parts.robot.x = np.nan

    assert parts.step() is State.HOLD
    assert parts.controller.asked == []
    assert "'x' is not finite" in parts.loop.faults


def test_after_an_unusable_observation_everything_begins_anew(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.robot.x = np.nan
    assert parts.step() is State.HOLD
    parts.robot.x = 0.0
    states = [parts.step() for _ in range(3)]

    assert states[-1] is State.RUNNING
    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, True, True, False]
    assert parts.robot.commands[3:] == [0.0, 3.1, 3.2, 4.1]


def test_nothing_is_planned_or_sent_before_activate_and_after_deactivate(parts: Parts):
    parts.step()
    parts.loop.deactivate()
    sent = list(parts.robot.commands)
    asked = len(parts.controller.asked)

    assert parts.step() is State.INACTIVE
    assert (parts.robot.commands, len(parts.controller.asked)) == (sent, asked)

    parts.loop.activate()
    assert parts.step() is State.RUNNING
    assert parts.controller.asked[-1].after_gap


def test_a_dry_run_plans_but_neither_sends_nor_learns_from_what_it_did_not_send():
    parts = make()
    parts.loop.deactivate()
    parts.robot.commands.clear()
    parts.loop.activate(dry_run=True)
    for _ in range(4):
        assert parts.step() is State.DRY_RUN
    parts.loop.planning.close()

    assert parts.robot.commands == []
    assert [a.after_gap for a in parts.controller.asked] == [True] * 4


def test_the_goal_is_that_of_the_moment_at_which_the_plan_acts():
    asked: list[float] = []
    parts = make(latency=0.5 * DT, goal=lambda begin: asked.append(begin / DT))
    for _ in range(3):
        parts.step()
    parts.loop.planning.close()

    # the first plan is for the present period
    assert asked == [pytest.approx(periods) for periods in (1.5, 3.5, 4.5)]


def test_an_error_in_the_loop_does_not_end_it(parts: Parts):
    stop, sent = threading.Event(), parts.robot.send

    def send(command: np.ndarray) -> None:
        parts.clock.now += DT
        if len(parts.robot.commands) == 2:
            parts.robot.commands.append("failed")
            raise OSError("the network is down")
        sent(command)
        if len(parts.robot.commands) == 5:
            stop.set()

    parts.loop.send = send
    parts.loop.run(stop)

    assert parts.loop.statistics.failures == 1
    assert parts.loop.statistics.last_failure == "OSError: the network is down"
    assert len(parts.robot.commands) >= 5


def test_a_command_that_could_not_be_sent_does_not_count_as_sent():
    parts = make(config=dataclasses.replace(CONFIG, rate_limits={"push": 1.0}))
    parts.step()
    sent = parts.robot.commands[-1]

    def fail(command: np.ndarray) -> None:
        raise OSError("the network is down")

    parts.loop.send = fail
    for _ in range(3):
        with pytest.raises(OSError, match="down"):
            parts.step()
    parts.loop.send = parts.robot.send
    parts.step()
    parts.loop.planning.close()

    assert abs(parts.robot.commands[-1] - sent) <= 1.0 * DT + 1e-9


def running(parts: Parts, jump: float) -> list[float]:
    """Commands of a loop whose clock jumps by so much [s] after the third one."""
    stop, sent = threading.Event(), parts.robot.send

    def send(command: np.ndarray) -> None:
        sent(command)
        parts.ready()
        parts.clock.now += DT if len(parts.robot.commands) != 3 else jump
        if len(parts.robot.commands) == 8:
            stop.set()

    parts.loop.send = send
    parts.loop.run(stop)
    return parts.robot.commands


def test_after_a_late_waking_no_plan_for_a_time_long_gone_is_followed(parts: Parts):
    running(parts, 5.5 * DT)

    assert parts.robot.commands[3] == 0.0
    assert parts.loop.statistics.overruns == 4
    assert parts.loop.statistics.missed_deadlines >= 1


def test_a_clock_that_is_set_back_does_not_stop_the_loop(parts: Parts):
    assert len(running(parts, -5.0)) >= 8
