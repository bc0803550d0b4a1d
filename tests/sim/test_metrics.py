"""Figures of merit against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import trim_mean

from sim.evaluation import metrics
from sim.evaluation.metrics import (
    bootstrap_interval,
    interquartile_mean,
    mean_and_interval,
    normalized_score,
    ratio_and_interval,
    recovery_steps,
    return_after_change,
)

RETURNS = arrays(np.float64, st.integers(2, 12), elements=st.floats(-100, 100))


def test_return_after_change_starts_with_the_step_of_the_change():
    assert return_after_change(np.array([1.0, 2.0, 4.0, 8.0]), 2) == 12.0
    assert return_after_change(np.array([1.0, 2.0]), 0) == 3.0


def rewards(before: float, dip: float, dip_steps: int, late: float, steps: int = 100) -> np.ndarray:
    return np.array([before] * 50 + [dip] * dip_steps + [late] * (steps - dip_steps))


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        # the window is full of late rewards 10 steps after the dip; at 9 of 10 the mean is exactly at 90 %
        (rewards(5.0, 0.0, 20, 2.0), 29),
        (rewards(5.0, 1.0, 20, 2.0), 28),
        # rewards before the change are not counted: the dip is seen though the mean over it and what came before is high
        (rewards(1000.0, 0.0, 3, 1.0), 12),
        (rewards(2.0, 2.0, 0, 2.0), 10),
        # below zero, 10 % of the level's size is allowed too
        (rewards(0.0, -3.0, 20, -1.0), 30),
        (rewards(0.0, -1.1, 20, -1.0), 10),
        (rewards(1.0, -1.0, 20, 0.0), 30),
    ],
)
def test_recovery_is_the_end_of_the_first_window_that_reaches_the_late_level(series: np.ndarray, expected: int):
    assert recovery_steps(series, 50) == expected


def test_an_episode_that_ends_too_early_has_no_recovery():
    assert recovery_steps(np.ones(59), 50) is None
    assert recovery_steps(np.ones(60), 50) == 10


def test_an_arm_that_never_reaches_its_late_level_early_recovers_late():
    rising = np.linspace(0.0, 1.0, 200)
    steps = recovery_steps(rising, 0)

    assert steps is not None
    assert rising[steps - 10 : steps].mean() >= 0.9 * rising[-50:].mean() > rising[steps - 11 : steps - 1].mean()


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3)))
def test_interquartile_mean_is_the_trimmed_mean(values: np.ndarray):
    assert interquartile_mean(values) == pytest.approx(trim_mean(values, 0.25), abs=1e-9)


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
