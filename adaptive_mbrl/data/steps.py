"""The steps of many episodes, looked up by the number of the episode and of the step, in memory or on disk.

What fits is copied to the device that trains. Larger data stays in the files that a store has mapped: the operating system reads
the pages that a window touches, and forgets them again when memory is short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.data.episode import Episode

MOST_IN_MEMORY = 1 << 30
"""Episodes with more bytes than this stay on disk."""
_PIECE = 1 << 17  # transitions that statistics are taken of at once


class Steps(Protocol):
    """Observations and actions of E episodes; an episode of T steps has T + 1 observations."""

    def obs(self, episode: Tensor, step: Tensor) -> Tensor:
        """The observations before some steps.

        Args:
            episode: number of the episode of each row, (W,) int64 on the CPU.
            step: numbers of steps, 0 to T, (W, L) int64 on the CPU.

        Returns:
            (W, L, obs_dim).
        """

    def action(self, episode: Tensor, step: Tensor) -> Tensor:
        """The actions of some steps, (W, L, action_dim); `step` is 0 to T - 1."""


def steps_of(episodes: Sequence[Episode], device: torch.device | str = "cpu") -> Steps:
    """The steps of some episodes, of which there is at least one: in memory if they fit, else where the episodes keep them."""
    if sum(e.obs.nbytes + e.action.nbytes for e in episodes) <= MOST_IN_MEMORY:
        return StepsInMemory(episodes, device)
    return StepsOnDisk(episodes, device)


class StepsInMemory:
    """All steps in two tensors; see `Steps`.

    Args:
        episodes: the data.
        device: where the tensors are.
    """

    def __init__(self, episodes: Sequence[Episode], device: torch.device | str = "cpu") -> None:
        self._obs = torch.from_numpy(np.concatenate([e.obs for e in episodes])).to(device)
        self._action = torch.from_numpy(np.concatenate([e.action for e in episodes])).to(device)
        lengths = torch.tensor([len(e) for e in episodes])
        self._first_action = lengths.cumsum(0) - lengths
        self._first_obs = self._first_action + torch.arange(len(episodes))

    def obs(self, episode: Tensor, step: Tensor) -> Tensor:
        """See `Steps.obs`."""
        return self._obs[(self._first_obs[episode][:, None] + step).to(self._obs.device)]

    def action(self, episode: Tensor, step: Tensor) -> Tensor:
        """See `Steps.action`."""
        return self._action[(self._first_action[episode][:, None] + step).to(self._action.device)]


class StepsOnDisk:
    """The steps stay in the arrays of their episodes, which may be mapped files; see `Steps`.

    Args:
        episodes: the data.
        device: where what is looked up goes.
    """

    def __init__(self, episodes: Sequence[Episode], device: torch.device | str = "cpu") -> None:
        self._obs = [e.obs for e in episodes]
        self._action = [e.action for e in episodes]
        self._device = device

    def obs(self, episode: Tensor, step: Tensor) -> Tensor:
        """See `Steps.obs`."""
        return self._look_up(self._obs, episode, step)

    def action(self, episode: Tensor, step: Tensor) -> Tensor:
        """See `Steps.action`."""
        return self._look_up(self._action, episode, step)

    def _look_up(self, arrays: Sequence[np.ndarray], episode: Tensor, step: Tensor) -> Tensor:
        rows = np.empty((*step.shape, arrays[0].shape[1]), np.float32)
        for row, number, steps in zip(rows, episode.tolist(), step.numpy(), strict=True):
            arrays[number].take(steps, axis=0, out=row)
        return torch.from_numpy(rows).to(self._device)


def transitions_of(episodes: Sequence[Episode], device: torch.device | str = "cpu") -> Iterator[tuple[Tensor, Tensor]]:
    """All (obs, next_obs) in pieces, each (S, obs_dim); without history, which other episodes hold already."""
    held: list[np.ndarray] = []
    rows = 0
    for episode in episodes:
        for begin in range(episode.history, len(episode), _PIECE):
            held.append(episode.obs[begin : min(begin + _PIECE, len(episode)) + 1])
            rows += len(held[-1]) - 1
            if rows >= _PIECE:
                yield _joined(held, device)
                held, rows = [], 0
    if held:
        yield _joined(held, device)


def _joined(parts: Sequence[np.ndarray], device: torch.device | str) -> tuple[Tensor, Tensor]:
    before, after = (torch.from_numpy(np.concatenate([part[rows] for part in parts])) for rows in (slice(-1), slice(1, None)))
    return before.to(device), after.to(device)
