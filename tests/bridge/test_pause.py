"""When adapting pauses by itself, and what is learned meanwhile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from robot_bridge.control.adaptation_pause import AdaptationPause, Pause
from robot_bridge.control.excitation import Excitation
from robot_bridge.control.pause_config import ContactCondition, PauseConfig
from robot_bridge.middleware.messages import Bool, Float64MultiArray
from robot_bridge.safety.observation_checks import Observed
from tests.bridge.loop_parts import make
from tests.bridge.test_supervisor import DT, SPEC

STDS = np.array([1.0, 2.0, 2.0])
STEPS = 20
"""Control periods in a second, over which excitation is measured."""


class Wire:
    """Keeps who listens to which topic."""

    def __init__(self) -> None:
        self.receivers: dict[str, Any] = {}

    def subscribe(self, topic: str, message_type: type, receive: Any, **options: Any) -> None:
        self.receivers[topic] = receive


class Robot:
    """A robot whose adapting may pause, with a clock that its control periods move."""

    def __init__(self, **config: Any) -> None:
        self.wire, self.now = Wire(), 0.0
        self.pause = AdaptationPause(PauseConfig(**config), SPEC, STDS, self.wire)

    def say(self, topic: str, message: Any) -> None:
        self.wire.receivers[topic](message, self.now)

    def run(self, steps: int, swing: float = 0.0, values: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> list[str]:
        """The reason in each of some control periods, in which states and commands swing so far [training stds]."""
        reasons = []
        for _ in range(steps):
            self.now += DT
            phase = math.sqrt(2) * swing * math.sin(2 * math.pi * 2 * self.now)
            observed = Observed(np.array(values) + phase * STDS, np.full(3, self.now))
            reasons.append(self.pause.look(self.now, observed, np.zeros(2)).reason)
        return reasons


# --- excitation ---------------------------------------------------------------------------------------------------------------


def test_excitation_is_the_standard_deviation_in_training_stds():
    robot = Robot()
    robot.run(STEPS - 1, swing=0.3)
    assert math.isnan(robot.pause.excitation)

    robot.run(STEPS, swing=0.3)
    assert robot.pause.excitation == pytest.approx(0.3, rel=1e-6)


def test_commands_alone_are_excitation_too_and_an_angle_turns_on_its_circle():
    excitation = Excitation(SPEC, STDS, 4)
    for i in range(4):
        excitation.add(np.array([math.pi - 0.1 if i % 2 else -math.pi + 0.1, 0.0, 0.0]), np.zeros(2))
    # to and fro over the end of the circle by 0.2 rad, not by a whole turn
    assert excitation.value == pytest.approx(0.1 / math.sqrt(3))
    for i in range(4):
        excitation.add(np.zeros(3), np.array([2.0, 2.0]) * (-1) ** i)
    assert excitation.value == pytest.approx(2.0 / (4 / math.sqrt(12)))
    excitation.add(np.array([math.nan, 0.0, 0.0]), np.zeros(2))
    assert math.isnan(excitation.value)


def test_a_robot_that_hardly_moves_pauses_and_goes_on_only_when_it_moves_clearly():
    robot = Robot(excitation_below=0.1, resume_seconds=0.0)

    assert robot.run(STEPS - 1, swing=0.05) == [""] * (STEPS - 1)
    assert robot.run(1, swing=0.05) == ["too little excitation"]
    # above the limit, but by less than the hysteresis
    assert set(robot.run(3 * STEPS, swing=0.13)) == {"too little excitation"}
    assert robot.run(2 * STEPS, swing=0.2)[-1] == ""
    assert set(robot.run(2 * STEPS, swing=0.13)) == {""}


def test_without_a_limit_nothing_pauses():
    assert set(Robot().run(3 * STEPS)) == {""}


# --- contact ------------------------------------------------------------------------------------------------------------------


def test_a_robot_that_is_held_pauses_until_it_has_been_free_for_a_while():
    robot = Robot(contact={"held by hand": ContactCondition(topic="/held")}, resume_seconds=0.22)
    assert robot.run(1) == [""]

    robot.say("/held", Bool(True))
    assert robot.run(3) == ["held by hand"] * 3
    robot.say("/held", Bool(False))
    assert robot.run(6) == ["held by hand"] * 4 + [""] * 2


def test_a_topic_that_must_speak_pauses_while_it_is_silent():
    robot = Robot(contact={"feet": ContactCondition(topic="/contact", below=0.5, max_age=0.12)}, resume_seconds=0.0)
    assert robot.run(1) == ["feet"]

    robot.say("/contact", Bool(True))
    assert robot.run(4) == ["", "", "feet", "feet"]


def test_numbers_of_messages_and_of_channels_are_conditions_too():
    force = ContactCondition(topic="/force", type="std_msgs/msg/Float64MultiArray", field="data.1", above=20.0)
    high = ContactCondition(channel="hip_angle", above=1.0, below=-1.0)
    robot = Robot(contact={"force": force, "in the air": high}, resume_seconds=0.0)

    assert robot.run(1, values=(0.9, 0.0, 0.0)) == [""]
    assert robot.run(1, values=(1.1, 0.0, 0.0)) == robot.run(1, values=(-1.1, 0.0, 0.0)) == ["in the air"]
    robot.say("/force", Float64MultiArray(data=[0.0, 21.0]))
    assert robot.run(1) == ["force"]
    # a number that the message does not hold says nothing
    robot.say("/force", Float64MultiArray(data=[0.0]))
    assert robot.run(1) == [""]


def test_what_was_wrong_is_kept_out_of_the_window_until_all_is_right():
    contact = {"held": ContactCondition(topic="/held")}
    robot = Robot(excitation_below=0.1, contact=contact, resume_seconds=0.0)
    robot.run(STEPS)
    assert robot.pause.look(robot.now, Observed(np.zeros(3), np.zeros(3)), np.zeros(2)) == Pause("too little excitation")

    robot.say("/held", Bool(True))
    robot.run(1)
    robot.say("/held", Bool(False))
    robot.run(1)
    assert robot.pause.look(robot.now, Observed(np.zeros(3), np.zeros(3)), np.zeros(2)).is_other_dynamics


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({}, r"key 'topic': got both or neither of 'topic' and 'channel'; allowed: one of them"),
        ({"topic": "/held", "channel": "height"}, r"key 'topic': got both or neither"),
        ({"channel": "height"}, r"key 'above': missing; allowed: 'above', 'below' or both"),
        ({"topic": "held by"}, r"key 'topic': got 'held by'; allowed: a name like /joint_states"),
        ({"topic": "/held", "type": "std_msgs/msg/Boool", "above": 1.0}, r"did you mean 'std_msgs/msg/Bool'"),
        ({"topic": "/held", "field": "value"}, r"key 'field': std_msgs/msg/Bool has no number 'value'"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(condition: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        ContactCondition(**condition)


# --- in the loop --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pause", "freeze", "gap"),
    [(Pause(), False, False), (Pause("still"), True, False), (Pause("held", True), True, True)],
    ids=["none", "too little excitation", "other dynamics"],
)
def test_a_pause_freezes_the_belief_and_other_dynamics_are_no_transitions(pause: Pause, freeze: bool, gap: bool):
    parts = make()
    asked = []
    step = parts.controller.step
    parts.controller.step = lambda obs, goal, options: (asked.append(options), step(obs, goal, options))[1]
    for _ in range(4):
        parts.step()
    parts.loop.planning.pause = pause
    parts.step()
    parts.loop.planning.close()

    assert (asked[-1].freeze, asked[-1].after_gap) == (freeze, gap)
    assert not asked[-2].freeze
