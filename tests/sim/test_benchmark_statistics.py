"""Statistics of a benchmark against hand-made cases, brute force and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from sim.benchmark import statistics as module
from sim.benchmark.cells import Field
from sim.benchmark.curves import curve, performance_profile
from sim.benchmark.data import ArmData, FieldData
from sim.benchmark.figures import profiles
from sim.benchmark.markdown import interval, kind_rows
from sim.benchmark.statistics import (
    Draw,
    Estimate,
    Table,
    estimate,
    mean_difference,
    mean_of_ratios,
    pooled,
    probability_of_improvement,
)
from sim.evaluation.report import plain

RNG = np.random.default_rng(5)


def table(values: object, seeds: str = "seeds a", episodes: str = "episodes a") -> Table:
    return Table(np.array(values, dtype=np.float64), seeds, episodes)


def mean_of(found: Table) -> module.Statistic:
    return lambda draw: found.drawn(draw).mean((-2, -1))


def everything(*tables: Table) -> Draw:
    """The draw that is the sample itself."""
    return {name: np.arange(n) for found in tables for name, n in found.axes.items()}


def test_with_one_training_seed_the_interval_is_scipys_bca():
    values = RNG.gamma(1.5, size=25)

    found = estimate(mean_of(table([values])), [table([values])])

    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=9_999, batch=500, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert found.ci95 == pytest.approx((expected.low, expected.high), abs=1e-9)
    # it is not the percentile interval, since the sample is skewed
    percentile = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert found.ci95[1] - percentile.high > 0.02


def test_training_seeds_and_episodes_are_drawn_independently():
    values = RNG.normal(size=(5, 1)) + 0.5 * RNG.normal(size=(1, 12)) + 0.2 * RNG.normal(size=(5, 12))
    rng = np.random.default_rng(1)
    means = [values[np.ix_(rng.integers(5, size=5), rng.integers(12, size=12))].mean() for _ in range(20_000)]

    found = estimate(mean_of(table(values)), [table(values)])

    # BCa corrects the percentiles a little
    assert found.ci95 == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.12)
    width = found.ci95[1] - found.ci95[0]
    assert width == pytest.approx(2 * 1.96 * np.std(means), rel=0.1)


def test_the_luck_of_an_episode_does_not_cancel_over_training_seeds():
    """Four trainings that do the same say no more about episodes than one of them."""
    luck = RNG.normal(size=20)

    one, four = (estimate(mean_of(table([luck] * n)), [table([luck] * n)]) for n in (1, 4))

    assert four.ci95 == pytest.approx(one.ci95, abs=0.03)


def test_fewer_than_three_training_seeds_are_kept_as_they_are():
    values = RNG.normal(size=(2, 15)) + np.array([[0.0], [3.0]])

    two = estimate(mean_of(table(values)), [table(values)])

    mean = values.mean(0, keepdims=True)
    assert two.ci95 == pytest.approx(estimate(mean_of(table(mean)), [table(mean)]).ci95)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Training seeds and episodes that both matter; the truth is 0."""
    rng, inside = np.random.default_rng(3), 0
    for _ in range(120):
        values = rng.normal(size=(8, 1)) + rng.normal(size=(1, 16)) + rng.normal(size=(8, 16))
        low, high = estimate(mean_of(table(values)), [table(values)], resamples=500).ci95
        inside += low <= 0 <= high

    # few seeds make bootstrap intervals somewhat short
    assert 0.82 <= inside / 120 <= 0.99


def test_a_ratio_of_sums_within_scenarios_and_a_mean_over_them():
    first, second = table([[1.0, 3.0]], episodes="episodes 1"), table([[10.0, 0.0]], episodes="episodes 2")
    gaps = [table([[2.0, 6.0]], episodes="episodes 1"), table([[10.0, 10.0]], episodes="episodes 2")]

    statistic = mean_of_ratios([first, second], gaps)

    assert statistic(everything(first, second)) == pytest.approx((4 / 8 + 10 / 20) / 2)
    # episodes are drawn within their scenario, and gain and gap stay together
    draw = {"seeds a": np.array([[0], [0]]), "episodes 1": np.array([[0, 0], [1, 1]]), "episodes 2": np.array([[1, 1], [0, 0]])}
    assert statistic(draw) == pytest.approx([(0.5 + 0.0) / 2, (0.5 + 1.0) / 2])


def test_differences_are_paired_by_episode():
    base = 100 * RNG.normal(size=30)
    ours, theirs = table([base + 1 + 0.1 * RNG.normal(size=30)]), table([base], "seeds b")

    found = estimate(mean_difference([ours], [theirs]), [ours, theirs])

    assert found.value == pytest.approx(1, abs=0.1)
    assert found.ci95[1] - found.ci95[0] < 0.2


def test_the_probability_of_improvement_counts_pairs_of_seeds_within_an_episode():
    ours = table([[1.0, 5.0], [3.0, 5.0]])
    theirs = table([[2.0, 5.0], [0.0, 9.0]], "seeds b")

    # first episode: 1 > 0, 3 > 2, 3 > 0 of four pairs; second one: two ties and two losses
    found = probability_of_improvement([ours], [theirs])(everything(ours, theirs))
    assert found == pytest.approx((3 / 4 + 1 / 4) / 2)
    # two arms of the same checkpoints: seed by seed
    same = table(theirs.values)
    assert probability_of_improvement([ours], [same])(everything(ours)) == pytest.approx((0 + 1 + 0.5 + 0) / 4)
    # scenarios count alike, however many episodes they have
    alone = table([[1.0], [1.0]], episodes="episodes c"), table([[0.0], [0.0]], "seeds b", "episodes c")
    both = probability_of_improvement([ours, alone[0]], [theirs, alone[1]])
    assert both(everything(ours, theirs, *alone)) == pytest.approx((0.5 + 1.0) / 2)


def test_nothing_is_said_about_one_episode_or_about_what_never_happened():
    assert estimate(mean_of(table([[2.0]])), [table([[2.0]])]) == Estimate(2.0, None)
    assert estimate(mean_of(table([[np.inf, 1.0]])), [table([[np.inf, 1.0]])]) == Estimate(None, None)


def test_an_interval_can_end_where_the_level_is_never_reached():
    """A third of the runs never get there: the median is known, and its upper end is not."""
    values = table([[*np.arange(10.0, 30.0), *[np.inf] * 10]])

    def median(draw: Draw) -> np.ndarray:
        ordered = np.sort(pooled([values], draw), axis=-1)
        return ordered[..., ordered.shape[-1] // 2]

    found = estimate(median, [values], may_be_infinite=True)

    assert found.value == 25.0
    low, high = found.ci95
    assert 15 < low < 25
    assert high is None
    # what is unknown stays unknown
    assert estimate(median, [values]) == Estimate(25.0, None)
    assert interval({"value": 25.0, "ci95": plain(found.ci95)}, 0) == f"25 [{low:.0f}, never]"


def test_an_arm_with_different_numbers_of_training_seeds_is_named_as_left_out_of_the_profiles():
    def field_of(scenario: str, seeds: int) -> FieldData:
        episodes = tuple({"last_change": 1, "steps": 3, "changes": []} for _ in range(2))
        gone = tuple(np.full(3, 1.0) for _ in range(2))
        arm = ArmData(
            "meta",
            "adaptive",
            tuple(range(seeds)),
            (gone,) * seeds,
            np.full((seeds, 2), 2.0),
            (np.full(3, 2.0),) * 2,
            *[None] * 3,
        )
        about = Field("p", scenario, "cartpole", (), None)
        return FieldData(about, 0.1, episodes, (arm,), (np.zeros(3),) * 2, (), {}, ())

    assert list(profiles([field_of("a", 2), field_of("b", 2)])["arms"]) == ["meta"]
    found = profiles([field_of("a", 2), field_of("b", 1)])
    assert (found["arms"], found["left_out"]) == ({}, ["meta"])


def test_where_all_episodes_are_equal_the_interval_is_a_point():
    found = estimate(mean_of(table([[2.0] * 6])), [table([[2.0] * 6])])

    assert found == Estimate(2.0, (2.0, 2.0))


def test_pooled_rows_hold_every_run_once():
    first, second = table([[1, 2], [3, 4]], episodes="episodes 1"), table([[5], [6]], episodes="episodes 2")

    assert sorted(pooled([first, second], everything(first, second))) == [1, 2, 3, 4, 5, 6]


def test_a_curve_is_the_mean_with_the_interval_of_the_same_draws():
    values = RNG.normal(size=(4, 20, 3)) + np.array([0.0, 5.0, 9.0])
    values[:, :, 2] = np.nan
    values[:, 3:, 1] = np.nan

    found = curve(values)

    assert found.mean[0] == pytest.approx(values[..., 0].mean())
    assert found.mean[1] == pytest.approx(values[:, :3, 1].mean())
    assert np.isnan([found.mean[2], found.low[2], found.high[2]]).all()
    single = estimate(mean_of(table(values[..., 0])), [table(values[..., 0])])
    assert (found.low[0], found.high[0]) == pytest.approx(single.ci95, abs=0.08)


def test_a_curve_of_ratios_divides_sums_not_single_episodes():
    gains, gaps = np.array([[[1.0], [0.2]]]), np.array([[[2.0], [0.0]]])

    assert curve(gains, gaps).mean == pytest.approx([1.2 / 2.0])


def test_a_performance_profile_is_the_share_of_runs_above_each_score():
    scores = np.array([[0.1, 0.5, np.nan], [0.5, 0.9, np.nan]])

    found = performance_profile(scores, np.array([0.0, 0.1, 0.5, 1.0]))

    assert found.mean == pytest.approx([1.0, 0.75, 0.25, 0.0])
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()


def test_scores_by_kind_of_change_have_a_column_for_each_arm():
    kinds = {"a": {"episodes": 2, "normalized": {"x": 0.5, "y": None}}, "b": {"episodes": 1, "normalized": {"x": 1.0, "y": 0.25}}}

    header, rows = kind_rows({"kinds_of_change": kinds})

    assert header == ("normalised by kind of change", "episodes", "x", "y")
    assert rows == [("a", "2", "0.50", "-"), ("b", "1", "1.00", "0.25")]
