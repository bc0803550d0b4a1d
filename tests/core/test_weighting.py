"""Newer episodes, or better ones, are drawn more often when a training asks for it, and all alike otherwise."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.weighting import WeightingConfig, episode_weights
from adaptive_mbrl.data.windows import WindowSampler
from tests.core.analytic import POINT

WINDOW, QUERY, STEPS = 4, 3, 40


def episode(
    mark: float, reward: float = 0.0, steps: int = STEPS, history: int = 0, batch: int = 0, source: str = "policy"
) -> Episode:
    """Every observation of it is `mark`; its history has an absurd reward."""
    rewards = np.full(steps, reward, np.float32)
    rewards[:history] = 1e3
    obs, actions = np.full((steps + 1, 2), mark, np.float32), np.zeros((steps, 1), np.float32)
    return Episode(obs, actions, rewards, {"source": source}, history, batch=batch)


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
    found = shares([episode(1), episode(2, batch=4), episode(3, batch=6)], WeightingConfig(recency=1.0))

    assert found[3] / found[2] == pytest.approx(math.exp(0.5), rel=0.07)
    assert found[2] / found[1] == pytest.approx(math.exp(0.5), rel=0.07)


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 4.0), (0.5, 2.0), (1.0, 1.0)])
def test_rare_situations_are_drawn_more_often(strength: float, expected: float):
    """Four episodes of one situation and one of another; those of the same one are alike."""
    often = [tagged(episode(i), "wind") for i in range(1, 5)]

    found = shares([*often, tagged(episode(9), "calm")], WeightingConfig(situations=strength))

    assert sum(found[i] for i in range(1, 5)) / found[9] == pytest.approx(expected, rel=0.07)
    assert found[1] / found[4] == pytest.approx(1.0, rel=0.1)


def tagged(of: Episode, situation: str) -> Episode:
    return dataclasses.replace(of, tags={**of.tags, "situation": situation})


def test_branches_are_as_old_as_the_episodes_of_their_round(tmp_path: Path):
    """Also in a store that is read again."""
    store = EpisodeStore.open(tmp_path, POINT)
    store.append([episode(1), episode(1, source="branch")])
    store.append([episode(2), *[episode(2, source="branch")] * 3])

    for found in (store, EpisodeStore.open(tmp_path)):
        weights = episode_weights(found.episodes, WeightingConfig(recency=1.0))

        np.testing.assert_allclose(weights, [math.exp(-1)] * 2 + [1.0] * 4)


def test_the_mean_reward_is_compared_with_that_of_whole_episodes():
    trunk = [episode(1, -1.0), episode(2, 1.0)]
    config = WeightingConfig(reward=1.0)

    weights = episode_weights([*trunk, *[episode(3, 1.5, source="branch")] * 50], config)

    np.testing.assert_allclose(weights, [math.exp(-2.5), math.exp(-0.5)] + [1.0] * 50)
    np.testing.assert_allclose(episode_weights([episode(3, 1.0, source="branch")] * 2, config), 1.0)


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
    found = shares([episode(1), episode(2, steps=2, batch=1), episode(3, batch=2)], WeightingConfig(recency=10.0))

    assert set(found) == {1.0, 3.0}
    assert found[3] > 0.95
