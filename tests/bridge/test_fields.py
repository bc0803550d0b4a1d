"""Angles of an orientation: Euler's, and the one about a single axis that goes all the way round."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.logs.orientation import Angle, angle_of
from robot_bridge.middleware.fields import ANGLES, field_of, write_angles, write_field
from robot_bridge.middleware.messages import Float64MultiArray, Imu, Quaternion

AXES = ("x", "y", "z")
turns = st.floats(-math.pi, math.pi, exclude_min=True)


@given(st.sampled_from(AXES), turns)
def test_a_twist_comes_back_all_the_way_round(axis: str, angle: float):
    message = Imu()

    write_field(message, f"orientation.twist_{axis}", angle)

    read = [field_of(message, f"orientation.twist_{a}") for a in AXES]
    assert read == pytest.approx([angle if a == axis else 0.0 for a in AXES], abs=1e-9)


@given(st.sampled_from(AXES), turns)
def test_both_quaternions_of_an_orientation_have_the_same_twist(axis: str, angle: float):
    q = Quaternion()
    write_angles(q, {f"twist_{axis}": angle})
    twin = Quaternion(-q.x, -q.y, -q.z, -q.w)

    assert -math.pi < ANGLES[f"twist_{axis}"](twin) <= math.pi
    assert math.remainder(ANGLES[f"twist_{axis}"](twin) - angle, 2 * math.pi) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("w", [0.0, -0.0])
@pytest.mark.parametrize("y", [1.0, -1.0])
def test_half_a_turn_is_plus_pi(y: float, w: float):
    assert ANGLES["twist_y"](Quaternion(y=y, w=w)) == math.pi


@given(turns, st.floats(-1.0, 1.0))
def test_a_twist_is_what_remains_about_its_axis_without_the_swing(twist: float, swing: float):
    # first the twist about z, then a swing about x: the product of the two quaternions by hand
    q = Quaternion(
        math.sin(swing / 2) * math.cos(twist / 2),
        -math.sin(swing / 2) * math.sin(twist / 2),
        math.cos(swing / 2) * math.sin(twist / 2),
        math.cos(swing / 2) * math.cos(twist / 2),
    )

    assert math.remainder(ANGLES["twist_z"](q) - twist, 2 * math.pi) == pytest.approx(0.0, abs=1e-9)


def test_pitch_ends_at_a_right_angle_where_a_twist_goes_on():
    message = Imu()
    write_field(message, "orientation.twist_y", 2.5)

    assert field_of(message, "orientation.pitch") == pytest.approx(math.pi - 2.5)
    assert field_of(message, "orientation.twist_y") == pytest.approx(2.5)


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
def test_three_angles_of_one_orientation_come_back(roll: float, pitch: float, yaw: float):
    q = Quaternion()

    write_angles(q, {"yaw": yaw, "roll": roll, "pitch": pitch})

    assert [ANGLES[name](q) for name in ("roll", "pitch", "yaw")] == pytest.approx([roll, pitch, yaw], abs=1e-6)


def test_an_array_grows_to_the_number_that_is_written():
    message = Float64MultiArray()

    write_field(message, "data.2", 1.5)

    assert message.data == [0.0, 0.0, 1.5]


@given(st.sampled_from(sorted(ANGLES)), turns, turns, turns)
def test_a_log_has_the_same_angles_as_a_bridge(angle: Angle, roll: float, pitch: float, yaw: float):
    q = Quaternion()
    write_angles(q, {"roll": roll, "pitch": pitch, "yaw": yaw})

    (read,) = angle_of(*(np.array([part]) for part in (q.w, q.x, q.y, q.z)), angle)

    assert read == pytest.approx(ANGLES[angle](q), abs=1e-9)
