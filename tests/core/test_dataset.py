"""Episodes as a dataset: which windows are drawn, which are held out, and what statistics are taken of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.errors import ConfigError
from tests.core.analytic import POINT

WINDOW, QUERY = 4, 3


def counting(first: int, steps: int, history: int = 0) -> Episode:
    """An episode whose observations and actions count on from `first`, so that each row says which step it is."""
    numbers = np.arange(first, first + steps + 1, dtype=np.float32)
    return Episode(
        np.stack([numbers, -numbers], axis=1), numbers[:-1, None], np.zeros(steps, np.float32), {"first": first}, history
    )


def dataset(*training: Episode, held_out: tuple[Episode, ...] = ()) -> EpisodeDataset:
    return EpisodeDataset(POINT, training, held_out, WINDOW, QUERY)


def starts(windows: Windows) -> list[int]:
    """The numbers that queries begin with."""
    return windows.obs[:, 0, 0].int().tolist()


def test_nothing_is_held_out_of_training_episodes_alone():
    assert dataset(counting(0, 20)).held_out(8) is None


def test_what_is_held_out_is_of_the_other_episodes_only():
    data = dataset(counting(0, 20), held_out=(counting(100, 20),))

    held_out, trained = data.held_out(50), data.sample(200, torch.Generator().manual_seed(0))

    assert held_out is not None
    assert min(starts(held_out)) >= 100
    assert max(starts(trained)) < 100
    assert len(data) == 18


@pytest.mark.parametrize("num", [1, 2, 7, 18, 36])
def test_held_out_windows_are_spread_evenly_from_the_first_to_the_last(num: int):
    """The same ones at every call; each one twice where there are half as many as asked for."""
    data = dataset(counting(0, 20), held_out=(counting(100, 11), counting(200, 11)))
    every = [*range(100, 109), *range(200, 209)]

    first, again = (data.held_out(num) for _ in range(2))

    assert first is not None
    assert again is not None
    found = starts(first)
    assert found == starts(again)
    assert len(found) == num
    positions = [every.index(start) for start in found]
    assert positions[0] == 0
    if num > 1:
        assert positions[-1] == len(every) - 1
        gaps = np.diff(positions)
        assert gaps.max() - gaps.min() <= 1


def test_statistics_are_of_training_transitions_without_those_of_history():
    """A branch repeats the steps that lead up to it; they are in another episode already."""
    whole, branch = counting(0, 20), counting(500, 9, history=4)
    data = dataset(whole, branch, held_out=(counting(9000, 20),))

    statistics = data.statistics()

    obs = torch.from_numpy(np.concatenate([whole.obs[:-1], branch.obs[4:-1]]))
    next_obs = torch.from_numpy(np.concatenate([whole.obs[1:], branch.obs[5:]]))
    expected = transition_statistics(POINT, [(obs, next_obs)])
    assert statistics.obs.rows == 20 + 5
    for got, wanted in zip(statistics, expected, strict=True):
        for x, y in zip(got[1:], wanted[1:], strict=True):
            torch.testing.assert_close(x, y)
    assert statistics.next_obs.high[0].item() == 509


def test_episodes_of_unequal_length_are_drawn_step_by_step_and_never_mixed():
    """Every step that a query may begin with is as likely as any other; an episode shorter than a query has none."""
    episodes = counting(0, 5), counting(100, 2), counting(200, 30), counting(300, 3)
    data = dataset(*episodes)

    windows = data.sample(4000, torch.Generator().manual_seed(0))

    possible = [*range(3), *range(200, 228), 300]
    assert len(data) == len(possible)
    found = starts(windows)
    assert set(found) == set(possible)
    assert all(60 < found.count(start) < 200 for start in possible)
    steps = torch.arange(QUERY + 1)
    assert torch.equal(windows.obs[:, :, 0], windows.obs[:, :1, 0] + steps)
    assert torch.equal(windows.action[..., 0], windows.obs[:, :-1, 0])


def test_the_window_ends_where_the_query_begins_and_is_not_valid_before_the_episode():
    data = dataset(counting(0, 5), counting(200, 30))

    windows = data.sample(500, torch.Generator().manual_seed(1))

    recent, begin = windows.recent, windows.obs[:, :1, 0]
    before = begin + torch.arange(-WINDOW, 0)
    first = torch.where(begin < 200, 0, 200)
    assert torch.equal(recent.valid, before >= first)
    assert torch.equal(recent.obs[..., 0][recent.valid], before[recent.valid])
    assert torch.equal(recent.action[..., 0][recent.valid], before[recent.valid])
    assert torch.equal(recent.next_obs[..., 0][recent.valid], before[recent.valid] + 1)
    assert not recent.valid.all()


def test_queries_begin_after_the_history_and_windows_reach_into_it():
    data = dataset(counting(0, 9, history=4))

    windows = data.sample(100, torch.Generator().manual_seed(0))

    assert set(starts(windows)) == {4, 5, 6}
    assert windows.recent.valid.all()


def test_the_generator_alone_decides_what_is_drawn():
    data = dataset(counting(0, 50))

    first, again, other = (starts(data.sample(20, torch.Generator().manual_seed(seed))) for seed in (3, 3, 4))

    assert first == again
    assert first != other


def test_episodes_that_are_all_too_short_are_refused():
    with pytest.raises(ConfigError, match="no episode has the 3 steps of a query; longest: 2"):
        dataset(counting(0, 2))
    with pytest.raises(ConfigError, match="no episode has the 3 steps of a query; longest: 2"):
        dataset(counting(0, 20), held_out=(dataclasses.replace(counting(0, 5), history=3),))
