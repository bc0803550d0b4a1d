"""Windows of K recent transitions and the M steps that follow them, drawn from episodes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.situations import NumberedSpan, number_situations, numbers_by_name
from adaptive_mbrl.data.steps import steps_of, transitions_of
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions

ALL = slice(None)
"""All that is drawn."""


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


class _Spans(NamedTuple):
    """Windows that follow one another in an episode and are of one situation; all on the CPU.

    Attributes:
        episode: number of the episode, (S,) int64.
        begin: the step that the first query begins with, (S,) int64.
        num: number of windows, (S,) int64.
        task: the situation, counted from 0, (S,) int64.
        weight: of all its windows together, (S,) float64.
        cumulative: weight of the spans up to each, itself included, (S,) float64.
        first: number of the first window, where windows are counted in the order of the episodes, (S,) int64.
    """

    episode: Tensor
    begin: Tensor
    num: Tensor
    task: Tensor
    weight: Tensor
    cumulative: Tensor
    first: Tensor

    @classmethod
    def of(cls, numbered: Sequence[NumberedSpan], weights: NDArray[np.float64] | None, balance: float) -> _Spans:
        """Spans in the given order; `weights` are those of a window of each episode, (E,), None for 1."""
        episode, begin, end, task = torch.tensor(numbered).T.contiguous()
        num = end - begin
        weight = num.double() if weights is None else num * torch.from_numpy(weights)[episode]
        if balance > 0:
            weight = weight * task.bincount(weight)[task] ** -balance
        return cls(episode, begin, num, task, weight, weight.cumsum(0), num.cumsum(0) - num)

    def in_order(self, order: Tensor) -> _Spans:
        """The spans in another order, (S,)."""
        spans = _Spans(*(field[order] for field in self))
        return spans._replace(cumulative=spans.weight.cumsum(0))

    def windows_at(self, cumulative: Tensor, low: Tensor | int = 0, high: Tensor | None = None) -> Tensor:
        """The windows at some cumulated weights, (W,), which lie in the spans `low` to `high`."""
        last = len(self.num) - 1
        span = torch.searchsorted(self.cumulative, cumulative, right=True)
        # rounding must not lead into the next situation
        span = torch.minimum(torch.maximum(span, torch.as_tensor(low)), torch.as_tensor(last) if high is None else high)
        share = 1 - (self.cumulative[span] - cumulative) / self.weight[span]
        within = (share * self.num[span]).long().clamp_min(0)
        return self.first[span] + torch.minimum(within, self.num[span] - 1)


class _ByTask(NamedTuple):
    """Spans in the order of their situations, and of each situation its first and its last span, (T,)."""

    spans: _Spans
    low: Tensor
    high: Tensor


class WindowSampler:
    """Draws windows over all steps of a set of episodes, uniformly or by the weight of their episode.

    Args:
        episodes: the data; those shorter than `query` are left out.
        window: K.
        query: M.
        device: where the windows are put together.
        weights: relative weight of a window of each episode, (E,); None for the same of all.
        first_task: number of the first situation.
        balance: with 1 every situation is drawn equally often, with 0 by the weight of its windows.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        window: int,
        query: int,
        device: torch.device | str = "cpu",
        weights: NDArray[np.float64] | None = None,
        first_task: int = 0,
        balance: float = 0.0,
    ) -> None:
        chosen = [i for i, e in enumerate(episodes) if len(e) - e.history >= query]
        if not chosen:
            longest = max((len(e) - e.history for e in episodes), default=0)
            raise ConfigError(f"no episode has the {query} steps of a query; longest: {longest}")
        self.window, self.query, self.device = window, query, torch.device(device)
        self.episodes = [episodes[i] for i in chosen]
        self._steps = steps_of(self.episodes, self.device)
        queries = [(e.history, len(e) - query + 1) for e in self.episodes]
        numbered, self._known = number_situations(self.episodes, queries)
        self.num_tasks = len(self._known)
        self.first_task = first_task
        self._weighted = weights is not None or balance > 0
        self._spans = _Spans.of(numbered, None if weights is None else weights[chosen], balance)
        self._len = int(self._spans.num.sum())

    def __len__(self) -> int:
        return self._len

    def known_parameters(self) -> list[dict[str, float] | None]:
        """What is known of each situation's dynamics, as numbers by name; None where nothing is."""
        return [None if known is None else numbers_by_name(known) for known in self._known]

    def transitions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All (obs, next_obs) in pieces, each (S, obs_dim); without history, which other episodes hold already."""
        return transitions_of(self.episodes, self.device)

    def sample(self, num: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        """`num` windows, with replacement; only those in `part` are put together."""
        return self.at(self._pick(num, generator)[part])

    def sample_tasks(self, num_tasks: int, per_task: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        """`num_tasks` situations, each as likely as its windows together, and `per_task` windows of each, one after another.

        Only the windows of the situations in `part` are put together.
        """
        spans, low, high = self._by_task
        task = self._spans.task[self._span_of(self._pick(num_tasks, generator))]
        begin, end = spans.cumulative[low[task]] - spans.weight[low[task]], spans.cumulative[high[task]]
        share = torch.rand(num_tasks, per_task, generator=generator, dtype=torch.float64)
        cumulative = (begin[:, None] + (end - begin)[:, None] * share)[part].flatten()
        task = task[part]
        return self.at(spans.windows_at(cumulative, *(bound[task].repeat_interleave(per_task) for bound in (low, high))))

    @functools.cached_property
    def _by_task(self) -> _ByTask:
        spans = self._spans.in_order(self._spans.task.argsort(stable=True))
        behind = spans.task.bincount(minlength=self.num_tasks).cumsum(0)
        return _ByTask(spans, torch.cat([behind.new_zeros(1), behind[:-1]]), behind - 1)

    def _pick(self, num: int, generator: torch.Generator) -> Tensor:
        """Numbers of windows, (num,)."""
        if not self._weighted:
            return torch.randint(len(self), (num,), generator=generator)
        share = torch.rand(num, generator=generator, dtype=torch.float64)
        return self._spans.windows_at(share * self._spans.cumulative[-1])

    def _span_of(self, index: Tensor) -> Tensor:
        return torch.searchsorted(self._spans.first, index, right=True) - 1

    def at(self, index: Tensor) -> Windows:
        """The windows with the given numbers, (W,) int64 in [0, len), on the CPU."""
        span = self._span_of(index)
        episode = self._spans.episode[span]
        start = (self._spans.begin[span] + index - self._spans.first[span])[:, None]
        back = start - torch.arange(self.window, 0, -1)
        valid, back = back >= 0, back.clamp_min(0)
        obs, action = self._steps.obs, self._steps.action
        recent = Transitions(obs(episode, back), action(episode, back), obs(episode, back + 1), valid.to(self.device))
        ahead = start + torch.arange(self.query + 1)
        task = (self.first_task + self._spans.task[span]).to(self.device)
        return Windows(recent, obs(episode, ahead), action(episode, ahead[:, :-1]), task)
