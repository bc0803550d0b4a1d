"""Windows of K recent transitions and the M steps that follow them, drawn from episodes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.data.situations import number_situations
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions

_PIECE = 1 << 20  # transitions that statistics are taken of at once


class Windows(NamedTuple):
    """A meta-batch of W windows.

    Attributes:
        recent: the K transitions before the query, (W, K, ...); invalid where the episode had not begun.
        obs: query observations, the first one being the start of the rollout, (W, M + 1, obs_dim).
        action: (W, M, action_dim).
        task: the training situation at the first step of the query, (W,) int64; windows of equal dynamics have the same.
    """

    recent: Transitions
    obs: Tensor
    action: Tensor
    task: Tensor


def concatenate(parts: Sequence[Windows]) -> Windows:
    """One meta-batch of several, in order."""
    recent = Transitions(*(torch.cat(field) for field in zip(*(p.recent for p in parts), strict=True)))
    return Windows(recent, *(torch.cat(field) for field in zip(*(p[1:] for p in parts), strict=True)))


class _ByTask(NamedTuple):
    """The windows in the order of their situations, on the CPU.

    Attributes:
        task: the situation of each window, counted from 0, (N,).
        order: positions of windows, (N,).
        cumulative: the weight of the windows up to each in that order, (N,).
        begin: the cumulated weight where each situation begins, (T,).
        end: where it ends, (T,).
    """

    task: Tensor
    order: Tensor
    cumulative: Tensor
    begin: Tensor
    end: Tensor


class WindowSampler:
    """Draws windows over all steps of a set of episodes, uniformly or by the weight of their episode.

    Args:
        episodes: the data; those shorter than `query` are left out.
        window: K.
        query: M.
        device: where the windows are put together.
        weights: relative weight of a window of each episode, (E,); None for the same of all.
        first_task: number of the first situation.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        window: int,
        query: int,
        device: torch.device | str = "cpu",
        weights: NDArray[np.float64] | None = None,
        first_task: int = 0,
    ) -> None:
        chosen = [i for i, e in enumerate(episodes) if len(e) - e.history >= query]
        long_enough = [episodes[i] for i in chosen]
        if not long_enough:
            longest = max((len(e) - e.history for e in episodes), default=0)
            raise ConfigError(f"no episode has the {query} steps of a query; longest: {longest}")
        self.window, self.query, self.device = window, query, torch.device(device)
        # every episode takes len + 1 rows, so that row r + 1 is the next observation of row r
        self._obs = torch.from_numpy(np.concatenate([e.obs for e in long_enough])).to(device)
        pad = np.zeros((1, long_enough[0].action.shape[1]), np.float32)
        self._action = torch.from_numpy(np.concatenate([a for e in long_enough for a in (e.action, pad)])).to(device)
        lengths = np.array([len(e) for e in long_enough])
        begins = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
        histories = np.array([e.history for e in long_enough])
        starts = np.concatenate([b + np.arange(h, n - query + 1) for b, h, n in zip(begins, histories, lengths, strict=True)])
        self._starts = torch.from_numpy(starts).to(device)
        counts = lengths - query + 1 - histories
        self._begin_of = torch.from_numpy(np.repeat(begins, counts)).to(device)
        spans = [(h, n - query + 1) for h, n in zip(histories.tolist(), lengths.tolist(), strict=True)]
        tasks, self.num_tasks = number_situations(long_enough, spans, first_task)
        self.first_task = first_task
        self._task = torch.from_numpy(np.concatenate(tasks)).to(device)
        self._cumulative = None if weights is None else torch.from_numpy(np.repeat(weights[chosen], counts).cumsum())
        self._transition_rows = torch.from_numpy(
            np.concatenate([b + np.arange(h, n) for b, h, n in zip(begins, histories, lengths, strict=True)])
        ).to(device)

    def __len__(self) -> int:
        return len(self._starts)

    def transitions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All (obs, next_obs) in pieces, each (S, obs_dim); without history, which other episodes hold already."""
        for rows in self._transition_rows.split(_PIECE):
            yield self._obs[rows], self._obs[rows + 1]

    def sample(self, num: int, generator: torch.Generator) -> Windows:
        """`num` windows, with replacement."""
        return self.at(self._pick(num, generator).to(self.device))

    def sample_tasks(self, num_tasks: int, per_task: int, generator: torch.Generator) -> Windows:
        """`num_tasks` situations, each as likely as its windows together, and `per_task` windows of each, one after another."""
        by = self._by_task
        task = by.task[self._pick(num_tasks, generator)]
        low, high = by.begin[task], by.end[task]
        at = low[:, None] + (high - low)[:, None] * torch.rand(num_tasks, per_task, generator=generator, dtype=torch.float64)
        positions = torch.searchsorted(by.cumulative, at.flatten(), right=True)
        # rounding must not lead into the next situation
        last = torch.searchsorted(by.cumulative, high).repeat_interleave(per_task)
        return self.at(by.order[torch.minimum(positions, last)].to(self.device))

    @functools.cached_property
    def _by_task(self) -> _ByTask:
        task = self._task.cpu() - self.first_task
        order = task.argsort(stable=True)
        if self._cumulative is None:
            weight = torch.ones(len(self), dtype=torch.float64)
        else:
            weight = self._cumulative.diff(prepend=self._cumulative.new_zeros(1))[order]
        cumulative = weight.cumsum(0)
        ends = cumulative[task.bincount(minlength=self.num_tasks).cumsum(0) - 1]
        return _ByTask(task, order, cumulative, torch.cat([ends.new_zeros(1), ends[:-1]]), ends)

    def _pick(self, num: int, generator: torch.Generator) -> Tensor:
        """Positions of windows, (num,), on the CPU."""
        if self._cumulative is None:
            return torch.randint(len(self), (num,), generator=generator)
        at = torch.rand(num, generator=generator, dtype=torch.float64) * self._cumulative[-1]
        return torch.searchsorted(self._cumulative, at, right=True).clamp_max(len(self) - 1)

    def at(self, index: Tensor) -> Windows:
        """The windows at the given positions, (W,) int64 in [0, len)."""
        start, begin = self._starts[index], self._begin_of[index]
        back = start[:, None] - torch.arange(self.window, 0, -1, device=self.device)
        valid = back >= begin[:, None]
        back = torch.maximum(back, begin[:, None])
        recent = Transitions(self._obs[back], self._action[back], self._obs[back + 1], valid)
        ahead = start[:, None] + torch.arange(self.query + 1, device=self.device)
        return Windows(recent, self._obs[ahead], self._action[ahead[:, :-1]], self._task[index])
