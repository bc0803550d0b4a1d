"""The newest command acts, from the moment of its arrival until it is too old."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bridge_config import OutputConfig
from robot_bridge.middleware.messages import Float64MultiArray, JointState, JointTrajectory, JointTrajectoryPoint, Message
from robot_bridge.simulated.command_input import CommandInput
from robot_bridge.simulated.imperfections import TransmissionLineConfig
from robot_bridge.simulated.transmission_line import TransmissionLine

SPEC = RobotSpec("legged", 0.05, (Channel("x", "m"),), (ActionChannel("hip", "N m", -1, 1), ActionChannel("knee", "N m", -1, 1)))


def make(line: TransmissionLineConfig | None = None, order: tuple[str, ...] = ()) -> CommandInput:
    return CommandInput(
        SPEC,
        OutputConfig("/commands", order=order),
        TransmissionLine(line or TransmissionLineConfig(), np.random.default_rng(0)),
        timeout=0.2,
    )


def array(*values: float) -> Float64MultiArray:
    return Float64MultiArray(data=list(values))


def test_the_newest_command_that_has_come_acts():
    commands = make()
    assert commands.mean(0.5, 0.9).tolist() == [0.0, 0.0]
    commands.receive(array(0.1, 0.2), 1.0)
    commands.receive(array(0.3, 0.4), 1.01)
    commands.receive(array(0.5, 0.6), 1.03)

    assert commands.due == 1.0
    means = [commands.mean(begin, end).tolist() for begin, end in ((0.9, 1.0), (1.0, 1.01), (1.01, 1.03), (1.03, 1.05))]
    assert means == [[0.0, 0.0], pytest.approx([0.1, 0.2]), pytest.approx([0.3, 0.4]), pytest.approx([0.5, 0.6])]
    assert (commands.count, commands.late, commands.timeouts, commands.refused) == (3, 0, 0, 0)


def test_a_command_acts_after_its_latency():
    commands = make(TransmissionLineConfig(latency=0.015))
    commands.receive(array(0.1, 0.2), 1.0)

    assert commands.due == 1.015
    assert [commands.mean(t, t + 0.01)[0] for t in (1.0, 1.01, 1.02)] == pytest.approx([0.0, 0.05, 0.1])


def test_of_several_commands_in_an_interval_each_counts_for_as_long_as_it_acts():
    commands = make()
    commands.receive(array(1.0, 0.0), 0.95)
    commands.mean(0.94, 1.0)
    for at, value in ((1.02, 0.5), (1.05, -1.0)):
        commands.receive(array(value, 0.0), at)

    assert commands.mean(1.0, 1.1)[0] == pytest.approx(0.2 * 1.0 + 0.3 * 0.5 - 0.5 * 1.0)
    assert commands.mean(1.1, 1.2)[0] == pytest.approx(-1.0)


def test_values_come_in_the_order_of_the_bridge_file():
    commands = make(order=("knee", "hip"))
    commands.receive(array(0.1, 0.2), 1.0)

    assert commands.mean(1.0, 1.01) == pytest.approx([0.2, 0.1])


def test_after_the_timeout_the_actuators_get_zeros_until_a_command_comes():
    commands = make()
    commands.receive(array(0.1, 0.2), 1.0)
    means = [commands.mean(t, t + 0.02)[0] for t in (1.17, 1.19, 1.21)]
    commands.receive(array(0.3, 0.2), 1.4)
    again = [commands.mean(t, t + 0.2)[0] for t in (1.3, 1.5, 1.7)]

    assert (means, again) == (pytest.approx([0.1, 0.05, 0.0]), pytest.approx([0.15, 0.15, 0.0]))
    assert (commands.timeouts, commands.late) == (2, 1)


def test_late_is_more_than_one_and_a_half_periods_after_the_one_before():
    commands = make()
    for time in (1.0, 1.05, 1.12, 1.2, 1.25):
        commands.receive(array(0.0, 0.0), time)
    commands.mean(0.9, 2.0)

    assert commands.late == 1


@pytest.mark.parametrize(
    "message", [array(0.5), array(0.5, np.nan), array(0.5, np.inf), JointTrajectory(), JointState(position=[0.5, 0.5])], ids=repr
)
def test_what_is_no_command_is_refused(message: Message):
    commands = make()
    commands.receive(array(0.1, 0.2), 1.0)
    commands.receive(message, 1.01)

    assert commands.mean(1.01, 1.02) == pytest.approx([0.1, 0.2])
    assert (commands.count, commands.refused) == (1, 1)


def test_a_trajectorys_last_point_is_a_command():
    commands = make()
    commands.receive(JointTrajectory(points=[JointTrajectoryPoint([0.0, 0.0]), JointTrajectoryPoint([0.1, 0.2])]), 1.0)

    assert commands.mean(1.0, 1.01) == pytest.approx([0.1, 0.2])


def test_lost_commands_are_counted_and_do_not_act():
    commands = make(TransmissionLineConfig(loss=1.0))
    commands.receive(array(0.1, 0.2), 1.0)

    assert commands.mean(1.0, 2.0).tolist() == [0.0, 0.0]
    assert (commands.count, commands.lost) == (1, 1)
