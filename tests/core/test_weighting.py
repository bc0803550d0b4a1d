"""Newer episodes, or better ones, are drawn more often when a training asks for it, and all alike otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.data.weighting import WeightingConfig, episode_weights
from adaptive_mbrl.data.windows import WindowSampler
from tests.core.analytic import POINT

WINDOW, QUERY, STEPS = 4, 3, 40


def episode(mark: float, reward: float = 0.0, steps: int = STEPS, history: int = 0) -> Episode:
    """Every observation of it is `mark`; its history has an absurd reward."""
    rewards = np.full(steps, reward, np.float32)
    rewards[:history] = 1e3
    return Episode(np.full((steps + 1, 2), mark, np.float32), np.zeros((steps, 1), np.float32), rewards, history=history)


def shares(episodes: list[Episode], config: WeightingConfig) -> dict[float, float]:
    """Share of 20,000 drawn windows that each episode has, by its mark."""
    data = EpisodeDataset(POINT, episodes, [], WINDOW, QUERY, weighting=config)
    marks = data.sample(20_000, torch.Generator().manual_seed(0)).obs[:, 0, 0]
    return {float(mark): float((marks == mark).float().mean()) for mark in marks.unique()}


def test_without_strengths_windows_are_the_same_as_ever():
    episodes = [episode(1, 5.0), episode(2)]
    assert episode_weights(episodes, WeightingConfig()) is None
    drawn = EpisodeDataset(POINT, episodes, [], WINDOW, QUERY).sample(50, torch.Generator().manual_seed(3))
    plain = WindowSampler(episodes, WINDOW, QUERY).sample(50, torch.Generator().manual_seed(3))
    assert torch.equal(drawn.obs, plain.obs)


def test_newer_episodes_are_drawn_more_often_by_the_stated_ratio():
    found = shares([episode(1), episode(2), episode(3)], WeightingConfig(recency=1.5))

    # the middles of three equal episodes are a third of the data apart
    assert found[3] / found[2] == pytest.approx(math.exp(0.5), rel=0.07)
    assert found[2] / found[1] == pytest.approx(math.exp(0.5), rel=0.07)


def test_better_episodes_are_drawn_more_often_by_the_stated_ratio():
    found = shares([episode(1, 10.0), episode(2, -10.0)], WeightingConfig(reward=0.5))

    assert found[1] / found[2] == pytest.approx(math.e, rel=0.07)


def test_an_episode_that_is_far_from_the_others_does_not_crowd_them_out():
    weights = episode_weights([episode(0) for _ in range(99)] + [episode(1, 1e6)], WeightingConfig(reward=1.0))

    assert weights is not None
    assert weights.max() == 1.0
    assert weights.min() > math.exp(-4.0) - 1e-9


def test_a_history_counts_for_nothing_and_equal_rewards_are_no_division_by_zero():
    weights = episode_weights([episode(1, 1.0, history=10), episode(2, 1.0)], WeightingConfig(reward=2.0))

    np.testing.assert_allclose(weights, 1.0)


def test_a_short_episode_that_is_left_out_does_not_shift_the_weights_of_the_others():
    found = shares([episode(1), episode(2, steps=2), episode(3)], WeightingConfig(recency=10.0))

    assert set(found) == {1.0, 3.0}
    assert found[3] > 0.95
