"""Statistics of transitions: the same however the data is cut, and of the targets that the network is trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.data.statistics import MIN_RELATIVE_STD, Moments, TransitionStatistics, transition_statistics
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from tests.core.analytic import MIXED, mixed_transitions

ANGLE, DIRECT = 1, 2  # columns in MIXED


def transitions(num: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    data = mixed_transitions(1, num, seed)
    return data.obs[0], data.next_obs[0]


def turning(num: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Half of the angles are carried over pi."""
    obs, next_obs = (x.clone() for x in transitions(num, seed))
    obs[::2, ANGLE] = math.pi - 0.05
    next_obs[::2, ANGLE] = 0.05 - math.pi
    return obs, next_obs


def assert_equal(got: TransitionStatistics, expected: TransitionStatistics) -> None:
    for a, b in zip(got, expected, strict=True):
        assert a.rows == b.rows
        for x, y in zip(a[1:], b[1:], strict=True):
            torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-10)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), offset=st.sampled_from([0.0, 1e3]), seed=st.integers(0, 1000))
def test_pieces_give_what_all_at_once_gives(sizes: list[int], offset: float, seed: int):
    """Also far from zero, where a sum of squares would lose its digits."""
    obs, next_obs = (x.double() + offset for x in transitions(sum(sizes), seed))

    pieces = transition_statistics(MIXED, zip(obs.split(sizes), next_obs.split(sizes), strict=True))

    assert_equal(pieces, transition_statistics(MIXED, [(obs, next_obs)]))


def test_the_order_of_pieces_does_not_matter():
    first, second = transitions(30, 1), transitions(7, 2)

    assert_equal(transition_statistics(MIXED, [first, second]), transition_statistics(MIXED, [second, first]))


def test_pieces_are_looked_at_one_by_one():
    """A generator is enough, and nothing of what it gives is changed."""
    given_out = [transitions(10, seed) for seed in range(3)]
    before = [(obs.clone(), next_obs.clone()) for obs, next_obs in given_out]

    def pieces() -> Iterator[tuple[Tensor, Tensor]]:
        yield from given_out

    statistics = transition_statistics(MIXED, pieces())

    assert statistics.obs.rows == 30
    for piece, kept in zip(given_out, before, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(piece, kept, strict=True))


def test_moments_are_those_of_the_rows():
    rows = torch.tensor([[1.0, -5.0], [2.0, -5.0], [6.0, -5.0]])

    moments = Moments.of(rows)

    assert moments.rows == 3
    assert moments.mean.tolist() == [3.0, -5.0]
    assert moments.squared.tolist() == [14.0, 0.0]
    assert (moments.low.tolist(), moments.high.tolist()) == ([1.0, -5.0], [6.0, -5.0])
    assert moments.mean.dtype == torch.float64


def test_the_target_of_an_angle_is_its_short_way_round():
    obs, next_obs = turning(100)

    target = transition_statistics(MIXED, [(obs, next_obs)]).target

    wrapped = wrap_angle(next_obs[:, ANGLE] - obs[:, ANGLE])
    assert wrapped[::2].tolist() == pytest.approx([0.1] * 50, abs=1e-5)
    assert target.mean[ANGLE].item() == pytest.approx(wrapped.double().mean().item(), abs=1e-6)
    assert target.high[ANGLE].item() == pytest.approx(wrapped.max().item(), abs=1e-6)


def test_the_target_of_a_direct_channel_is_the_next_value_itself():
    obs, next_obs = transitions(100)

    statistics = transition_statistics(MIXED, [(obs, next_obs)])

    for name in ("mean", "squared", "low", "high"):
        got, expected = (getattr(moments, name)[DIRECT].item() for moments in (statistics.target, statistics.next_obs))
        assert got == expected
    others = next_obs[:, 0] - obs[:, 0]
    assert statistics.target.mean[0].item() == pytest.approx(others.double().mean().item(), abs=1e-6)


def test_a_constant_channel_has_the_std_one_and_a_rare_jump_a_floored_one():
    rows = torch.zeros(2_000_000, 2)
    rows[5, 1] = 4.0

    std = Moments.of(rows).floored_std

    assert std.tolist() == pytest.approx([1.0, 4 * MIN_RELATIVE_STD])


def test_a_constant_channel_stays_constant_when_pieces_are_merged():
    rows = torch.full((10, 1), 3.3)

    merged = Moments.of(rows[:3]).merged(Moments.of(rows[3:]))

    assert merged.floored_std.item() == 1.0
    assert merged.mean.item() == pytest.approx(3.3, rel=1e-6)


@given(seed=st.integers(0, 1000))
def test_a_fitted_normalizer_makes_targets_of_mean_zero_and_std_one(seed: int):
    """Of every kind of channel, angles that are carried over pi included."""
    obs, next_obs = turning(200, seed)
    normalizer = Normalizer(MIXED)

    normalizer.fit(transition_statistics(MIXED, [(obs, next_obs)]))

    target = normalizer.target(obs, next_obs)
    torch.testing.assert_close(target.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(target.std(0, unbiased=False), torch.ones(4), atol=1e-5, rtol=0)


def test_without_any_transition_there_are_no_statistics():
    with pytest.raises(ConfigError, match="no transition"):
        transition_statistics(MIXED, [])
