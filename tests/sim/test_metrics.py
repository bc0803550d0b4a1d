"""Figures of merit against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import trim_mean

from adaptive_mbrl.intervals import bootstrap_interval, mean_and_interval
from sim.evaluation import metrics
from sim.evaluation.metrics import (
    difference_of_differences,
    interquartile_mean,
    normalized_score,
    ratio_and_interval,
    return_after_change,
    steps_to_late_level,
    steps_to_share,
)
from sim.evaluation.summary import _median_steps

RETURNS = arrays(np.float64, st.integers(2, 12), elements=st.floats(-100, 100))


def test_return_after_change_starts_with_the_step_of_the_change():
    assert return_after_change(np.array([1.0, 2.0, 4.0, 8.0]), 2) == 12.0
    assert return_after_change(np.array([1.0, 2.0]), 0) == 3.0


def rewards(before: float, dip: float, dip_steps: int, late: float, steps: int = 100) -> np.ndarray:
    return np.array([before] * 50 + [dip] * dip_steps + [late] * (steps - dip_steps))


NOTHING, FULL = np.zeros(150), np.ones(150)


@pytest.mark.parametrize(
    ("series", "random", "oracle", "expected"),
    [
        # the window is full of late rewards 10 steps after the dip; at 8 of 10 the mean is exactly at 80 %
        (rewards(5.0, 0.0, 20, 1.0), NOTHING, FULL, 28),
        # rewards before the change are not counted
        (rewards(1000.0, 0.0, 3, 1.0), NOTHING, FULL, 11),
        (rewards(1.0, 1.0, 0, 1.0), NOTHING, FULL, 10),
        # a level that is reached exactly is reached, however its mean rounds
        (np.full(150, 0.8 * 15 / 7), NOTHING, np.full(150, 15 / 7), 10),
        # a robot that runs on for a while and then falls has not recovered
        (np.array([1.0] * 100 + [0.0] * 50), NOTHING, FULL, None),
        # nor has one that falls in the end; before that, its mean is above 80 % for long
        (np.array([1.0] * 131 + [0.0] * 19), NOTHING, FULL, None),
        # one that falls and gets up again is there when it is up for good, with 8 good steps among the last 10
        (np.array([1.0] * 60 + [0.0] * 50 + [1.0] * 40), NOTHING, FULL, 68),
        # an arm that settles for half of what the oracle reaches is never there
        (rewards(1.0, 0.0, 20, 0.5), NOTHING, FULL, None),
        # the level counts from the random policy's, so that its sign does not matter
        (rewards(0.0, -3.0, 20, -1.0), NOTHING - 2, FULL - 2, 29),
        # the oracle is no better than the random policy: there is nothing to reach
        (rewards(1.0, 1.0, 0, 1.0), FULL, FULL, None),
    ],
)
def test_steps_until_an_arm_reaches_the_oracles_level(series, random, oracle, expected: int | None):
    assert steps_to_share(series, random, oracle, 50) == expected


@pytest.mark.parametrize(
    ("series", "random", "expected"),
    [
        # at 9 of 10 late rewards the mean is exactly at 90 %
        (rewards(5.0, 0.0, 20, 1.0), NOTHING, 29),
        # unlike the oracle's level, its own is reached by an arm that settles for less
        (rewards(1.0, 0.0, 20, 0.5), NOTHING, 29),
        (rewards(1.0, 0.5, 0, 0.5), NOTHING, 10),
        # a level that is lost again for long does not count
        (np.array([1.0] * 65 + [0.0] * 41 + [1.0] * 44), NOTHING, 65),
        # the level counts from the random policy's, so that its sign does not matter
        (rewards(0.0, -3.0, 20, -1.0), NOTHING - 2, 30),
        # no better than the random policy in the end
        (rewards(5.0, 1.0, 20, 0.0), NOTHING, None),
    ],
)
def test_steps_until_an_arm_reaches_its_own_late_level(series, random, expected: int | None):
    assert steps_to_late_level(series, random, 50) == expected
    assert steps_to_late_level(series[:59], random, 50) is None


@pytest.mark.parametrize(
    ("steps", "median"), [([30, None, 10], 30), ([10, None], None), ([10, 20], 20), ([None], None), ([], None)]
)
def test_an_episode_that_never_recovers_counts_as_later_than_all_others(steps: list[int | None], median: int | None):
    assert _median_steps(steps) == median


def test_an_episode_that_ends_too_early_reaches_no_level():
    assert steps_to_share(np.ones(59), np.zeros(59), np.ones(59), 50) is None
    assert steps_to_share(np.ones(60), np.zeros(60), np.ones(60), 50) == 10


def test_what_an_arm_is_ahead_by_before_the_change_is_not_due_to_adapting():
    other = np.zeros(300)
    # ahead by 1 all along: adapting to the change is worth nothing
    assert difference_of_differences(np.ones(300), other, 100, 100) == pytest.approx(0.0)
    # ahead by 1 before and by 3 after, for 200 steps; the episodes' parts differ in length
    ahead = np.concatenate([np.ones(100), np.full(200, 3.0)])
    assert difference_of_differences(ahead, other, 100, 100) == pytest.approx(400.0)
    # what happens between the first and the last change counts as neither
    ahead[100:150] = 99.0
    assert difference_of_differences(ahead, other, 100, 150) == pytest.approx(300.0)
    assert difference_of_differences(ahead, other, 0, 0) is None


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3)), st.integers(0, 5))
def test_the_interquartile_mean_is_the_trimmed_mean_and_leaves_out_nan(values: np.ndarray, gaps: int):
    with_gaps = np.concatenate([values, np.full(gaps, np.nan)])

    found = interquartile_mean(np.stack([with_gaps, with_gaps[::-1], np.full(len(with_gaps), np.nan)]))

    assert found[:2] == pytest.approx(np.full(2, trim_mean(values, 0.25)), abs=1e-9)
    assert np.isnan(found[2])


def test_bootstrap_interval_of_many_samples_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)

    mean, interval = mean_and_interval(values)

    assert interval is not None
    half_width = 1.96 * values.std() / 20
    assert interval == pytest.approx((mean - half_width, mean + half_width), abs=0.03)


def test_bootstrap_is_repeatable_and_draws_whole_episodes():
    paired = np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 10.0]])

    def difference_from_double(rows: np.ndarray) -> np.ndarray:
        return (rows[..., 1] - 2 * rows[..., 0]).mean(1)

    assert bootstrap_interval(difference_from_double, paired) == (0.0, 0.0)
    assert mean_and_interval(paired[:, 0]) == mean_and_interval(paired[:, 0])


def test_one_episode_has_no_interval():
    assert mean_and_interval(np.array([4.0])) == (4.0, None)


@given(RETURNS)
def test_the_mean_lies_in_its_interval(values: np.ndarray):
    mean, interval = mean_and_interval(values)

    assert interval is not None
    assert min(values) - 1e-9 <= interval[0] <= mean + 1e-9
    assert mean - 1e-9 <= interval[1] <= max(values) + 1e-9


def test_ratio_of_means_not_mean_of_ratios():
    ratio, _ = ratio_and_interval(np.array([1.0, 3.0]), np.array([1.0, 7.0]))

    assert ratio == pytest.approx(4 / 8)
    assert ratio_and_interval(np.array([1.0]), np.array([-1.0])) == (None, None)


def test_normalized_score_of_known_returns():
    random = np.array([0.0, 10.0, 0.0, 10.0])
    oracle = np.array([100.0, 60.0, 100.0, 60.0])
    arm = np.array([50.0, 20.0, 70.0, 30.0])

    score = normalized_score(arm, random, oracle, ["a", "b", "a", "b"])

    assert score.per_episode == pytest.approx((0.5, 0.2, 0.7, 0.4))
    assert score.mean == pytest.approx((50 + 10 + 70 + 20) / 300)
    assert score.median == pytest.approx(0.45)
    assert score.worst == pytest.approx(30 / 100)
    assert score.iqm == pytest.approx(0.45)
    assert score.ci95 is not None
    assert 0.2 <= score.ci95[0] < score.mean < score.ci95[1] <= 0.7


@given(RETURNS)
def test_random_scores_0_and_the_oracle_1(random: np.ndarray):
    oracle = random + 50.0
    tasks = list(range(len(random)))

    for arm, expected in ((random, 0.0), (oracle, 1.0)):
        score = normalized_score(arm, random, oracle, tasks)
        values = (*score.per_episode, score.mean, score.median, score.worst, score.iqm, *(score.ci95 or ()))
        assert values == pytest.approx([expected] * len(values))


def test_an_episode_where_the_oracle_hardly_beats_random_has_no_score_of_its_own_and_blows_nothing_up():
    random, oracle = np.array([0.0, 0.0, 0.0]), np.array([100.0, 0.01, 80.0])

    score = normalized_score(np.array([50.0, 10.0, 40.0]), random, oracle, ["a", "a", "b"])

    assert score.per_episode == (0.5, None, 0.5)
    assert score.mean == pytest.approx(100 / 180.01)
    assert score.median == score.iqm == 0.5


def test_the_worst_task_is_one_where_the_oracle_clearly_beats_random():
    random, oracle = np.zeros(6), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.02])
    arm = np.array([0.6, 0.6, 0.6, 0.6, 0.5, -8.0])

    score = normalized_score(arm, random, oracle, list(range(6)))

    assert score.worst == pytest.approx(0.5)
    # a task's gap is that of all its episodes
    assert normalized_score(arm, random, oracle, [0, 0, 0, 0, 1, 1]).worst == pytest.approx(-7.5 / 1.02)


def test_only_the_score_over_all_episodes_is_resampled(monkeypatch: pytest.MonkeyPatch):
    resampled: list[int] = []

    def count(statistic: object, samples: np.ndarray) -> None:
        resampled.append(len(samples))

    monkeypatch.setattr(metrics, "bootstrap_interval", count)
    normalized_score(np.ones(8), np.zeros(8), np.full(8, 2.0), [0, 0, 1, 1, 2, 2, 3, 3])

    assert resampled == [8]


def test_an_oracle_that_is_no_better_than_random_gives_no_score():
    score = normalized_score(np.ones(3), np.ones(3), np.ones(3), ["a"] * 3)

    assert score.per_episode == (None, None, None)
    assert (score.mean, score.median, score.worst, score.iqm, score.ci95) == (None,) * 5
