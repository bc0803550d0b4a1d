"""The transitions of episodes as tensors, for fits that read single transitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.data.episode import Episode


class LabelledTransitions(NamedTuple):
    """N transitions, with what happened in them.

    Attributes:
        obs: (N, obs_dim).
        action: (N, action_dim).
        next_obs: (N, obs_dim).
        reward: (N,).
        ended: whether an episode ended by itself with the transition, (N,) bool.
    """

    obs: Tensor
    action: Tensor
    next_obs: Tensor
    reward: Tensor
    ended: Tensor

    def rows(self, index: Tensor) -> LabelledTransitions:
        """Some of the transitions."""
        return LabelledTransitions(*(x[index] for x in self))


def transitions_of(episodes: Sequence[Episode]) -> LabelledTransitions:
    """All transitions of episodes; the histories of branches are left out."""
    parts = []
    for e in episodes:
        first = e.history
        ended = torch.zeros(len(e) - first, dtype=torch.bool)
        if e.ended and len(ended):
            ended[-1] = True
        numbers = (torch.tensor(x) for x in (e.obs[first:-1], e.action[first:], e.obs[first + 1 :], e.reward[first:]))
        parts.append((*numbers, ended))
    return LabelledTransitions(*(torch.cat(column) for column in zip(*parts, strict=True)))
