"""Samples of a bag: by the time at which they were measured, and nothing invented where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adaptive_mbrl.logs.samples import Measured, interpolate
from robot_bridge.bags.samples import Samples
from robot_bridge.middleware.messages import Header, JointState, Time

START = 1_700_000_000 * 10**9
MAX_AGE = 0.1


def measured(received: list[float], stamps: list[float]) -> Measured:
    """Messages whose number is their place in the order of arrival; a stamp of -1 is a message with an empty header."""
    samples = Samples()
    for index, (at, stamp) in enumerate(zip(received, stamps, strict=True)):
        header = Header() if stamp == -1 else Header(Time.of(1.7e9 + stamp))
        samples.add(JointState(header), START + round(at * 1e9), [float(index)])
    return samples.measured(START, MAX_AGE)


def test_a_stamp_of_the_same_clock_is_the_time_of_the_measurement():
    found = measured([0.013, 0.021, 0.094, 0.095], [0.01, 0.02, 0.03, 0.04])

    np.testing.assert_allclose(found.times, [0.01, 0.02, 0.03, 0.04], atol=1e-6)
    assert found.by_stamp == 1.0


@pytest.mark.parametrize("offset", [-0.2, 0.4, 1000.0, -1e8])
def test_stamps_of_another_clock_are_not_used(offset: float):
    received = [0.01, 0.02, 0.03, 0.04]

    found = measured(received, [at - 0.001 - offset for at in received])

    np.testing.assert_allclose(found.times, received, atol=1e-6)
    assert found.by_stamp == 0.0


def test_an_empty_header_is_no_stamp():
    found = measured([0.01, 0.02, 0.03], [-1, -1, -1])

    np.testing.assert_allclose(found.times, [0.01, 0.02, 0.03], atol=1e-9)


def test_one_late_message_keeps_its_stamp():
    received = [0.01 * i for i in range(1, 11)]
    stamps = [at - 0.001 for at in received]
    received[5] = received[5] + 0.3

    found = measured(received, stamps)

    # it was overtaken by those after it, and so comes last and is not new
    assert found.values[:, 0].tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    np.testing.assert_allclose(found.times, [s for i, s in enumerate(stamps) if i != 5], atol=1e-6)


def test_one_message_that_is_long_on_its_way_says_nothing_about_the_clock():
    found = measured([0.001, 1.001, 2.3, 3.001, 4.001], [0.0, 1.0, 2.0, 3.0, 4.0])

    np.testing.assert_allclose(found.times, [0.0, 1.0, 2.0, 3.0, 4.0], atol=1e-6)


def test_stamps_that_stand_still_or_go_back_a_little_are_no_new_measurements():
    found = measured([0.01, 0.02, 0.03, 0.04, 0.05], [0.01, 0.02, 0.02, 0.015, 0.05])

    assert found.values[:, 0].tolist() == [0, 1, 4]


def test_a_clock_that_is_set_back_in_between_is_not_believed_from_there_on():
    received = [0.01 * i for i in range(1, 401)]
    stamps = [at if i < 200 else at - 60.0 for i, at in enumerate(received)]

    found = measured(received, stamps)

    np.testing.assert_allclose(found.times, received, atol=1e-6)
    assert found.by_stamp == 0.5


def test_times_always_increase():
    found = measured([0.0, 0.0, 0.01, 0.01, 0.02], [-1] * 5)

    assert found.values[:, 0].tolist() == [0, 2, 4]


# --- between samples ----------------------------------------------------------------------------------------------------------


def at(times: list[float], values: list[float], ticks: list[float], angle: bool = False) -> list[float]:
    return interpolate(np.array(times), np.array(values), np.array(ticks), MAX_AGE, angle=angle).tolist()


def test_drivers_that_share_a_topic_keep_their_samples():
    """Each has a number of its own, the second one's stamps are a little earlier or the same."""
    samples = Samples()
    for k in range(200):
        for row, behind in (([float(k), math.nan], 0.0), ([math.nan, float(k)], 0.002 * (k % 2))):
            header = Header(Time.of(1.7e9 + 0.01 * k - behind))
            samples.add(JointState(header), START + round((0.01 * k + 0.001) * 1e9), row)

    found = samples.measured(START, MAX_AGE)

    assert np.isfinite(found.values).sum(0).tolist() == [200, 200]
    assert (np.diff(found.times) > 0).all()


def test_between_two_samples_is_a_line():
    assert at([0.0, 0.1, 0.2], [0.0, 1.0, 5.0], [0.0, 0.05, 0.1, 0.175, 0.2]) == pytest.approx([0.0, 0.5, 1.0, 4.0, 5.0])


def test_nothing_is_known_outside_of_the_samples_or_across_a_gap():
    found = at([0.0, 0.1, 0.3], [0.0, 1.0, 3.0], [-0.01, 0.1, 0.11, 0.2, 0.3, 0.31])

    assert np.isnan(found).tolist() == [True, False, True, True, False, True]
    assert found[1] == pytest.approx(1.0)
    assert found[4] == pytest.approx(3.0)


def test_a_value_that_is_not_finite_is_no_sample():
    found = at([0.0, 0.05, 0.1, 0.15, 0.2, 0.25], [0.0, math.nan, 2.0, math.inf, math.nan, 5.0], [0.05, 0.15])

    assert found[0] == pytest.approx(1.0)
    assert math.isnan(found[1])
    assert at([0.0, 0.05, 0.1], [0.0, math.inf, 2.0], [0.05]) == pytest.approx([1.0])
    assert np.isnan(at([0.0, 0.1], [math.nan, 1.0], [0.1])).all()


@example(3.0, 0.5, 0.5)
@example(-3.0, -0.5, 0.5)
@given(st.floats(-3.1, 3.1), st.floats(-1.0, 1.0), st.floats(0, 1))
def test_an_angle_takes_the_short_way_round(begin: float, change: float, share: float):
    end = math.remainder(begin + change, 2 * math.pi)

    (found,) = at([0.0, 0.1], [begin, end], [0.1 * share], angle=True)

    assert math.remainder(found - (begin + share * change), 2 * math.pi) == pytest.approx(0.0, abs=1e-9)
