"""What the loop tells the controller: which actions acted, which will act before the plan does, and where learning has a gap."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bridge.loop_parts import DT, Parts, make


def test_the_controller_is_told_what_acted_and_what_will_act_before_its_plan(parts: Parts):
    for parts.robot.x in (1.0, 2.0, 3.0, 4.0):
        parts.step()

    assert [a.obs for a in parts.controller.asked] == [1.0, 2.0, 3.0, 4.0]
    assert [a.sent for a in parts.controller.asked] == [None, None, 0.2, 1.1]
    assert [a.pending for a in parts.controller.asked] == [[], [0.2], [1.1], [2.1]]
    # the first command came in mid-period: what lies around it is no transition
    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, False]


def test_a_robot_with_latency_has_more_actions_on_their_way():
    parts = make(latency=DT)
    for _ in range(5):
        parts.step()
    parts.loop.planning.close()

    assert parts.robot.commands == [0.1, 0.2, 1.1, 2.1, 3.1]
    assert [a.sent for a in parts.controller.asked] == [None, None, 0.1, 0.2, 1.1]
    assert [a.pending for a in parts.controller.asked] == [[], [0.1, 0.2], [0.2, 1.1], [1.1, 2.1], [2.1, 3.1]]


def test_with_a_short_lead_the_plan_begins_from_a_newer_observation_and_learning_keeps_to_the_ticks():
    parts = make(lead=0.25)
    for k in range(1, 4):
        parts.clock.now = k * DT
        parts.robot.x = float(k)
        parts.loop.act(parts.clock.now)
        parts.clock.now += 0.75 * DT
        parts.robot.x += 0.75
        parts.loop.plan()
        parts.ready()
    parts.loop.planning.close()

    assert parts.robot.commands == [0.1, 0.2, 1.1]
    assert [(a.obs, a.latest, pytest.approx(a.remaining)) for a in parts.controller.asked] == [
        (1.0, None, 1.0),
        (2.0, 2.75, 0.25),
        (3.0, 3.75, 0.25),
    ]
    assert [a.sent for a in parts.controller.asked] == [None, None, 0.2]
    assert [a.pending for a in parts.controller.asked] == [[], [0.2], [1.1]]


def test_what_is_old_is_predicted_further_and_learned_from_with_the_commands_that_acted(parts: Parts):
    """Observations of a robot that measures a fifth of a period before the tick."""
    parts.robot.age = 0.2 * DT
    for parts.robot.x in (1.0, 2.0, 3.0, 4.0):
        parts.step()

    assert parts.robot.commands == [0.1, 0.2, 1.1, 2.1]
    assert [a.pending for a in parts.controller.asked] == [[], [0.1, 0.2], [0.2, 1.1], [1.1, 2.1]]
    assert [pytest.approx(a.remaining) for a in parts.controller.asked] == [1.0, 0.2, 0.2, 0.2]
    # a fifth of the period before and four fifths of the last one
    assert [a.sent for a in parts.controller.asked] == [None, None, pytest.approx(0.18), pytest.approx(0.92)]


def test_a_command_that_leaves_late_acts_late(parts: Parts):
    for _ in range(3):
        parts.step()
    send = parts.loop.send

    def slowly(command: np.ndarray) -> None:
        send(command)
        parts.clock.now += 0.1 * DT

    parts.loop.send = slowly
    parts.clock.now += 0.9 * DT
    parts.step()
    parts.loop.send = send

    assert parts.controller.asked[-1].pending == [pytest.approx(0.1 * 1.1 + 0.9 * 2.1)]


def test_with_a_short_lead_an_unusable_newer_observation_is_not_planned_from():
    parts = make(lead=0.25)
    parts.step()
    parts.clock.now += DT
    parts.loop.act(parts.clock.now)
    parts.robot.x = np.nan
    parts.loop.plan()

    assert len(parts.controller.asked) == 1
    assert parts.loop.planning.command is None


def test_a_period_without_a_control_step_is_a_gap(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.plan_late(2)
    for _ in range(3):
        parts.step()

    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, False, True, False, False]


def test_observations_that_are_not_one_period_apart_are_a_gap(parts: Parts):
    for _ in range(3):
        parts.step()
    parts.clock.now += 0.4 * DT
    parts.step()
    parts.clock.now += 0.2 * DT
    parts.step()

    assert [a.after_gap for a in parts.controller.asked] == [True, True, False, True, False]
    assert parts.loop.statistics.gaps == 2
