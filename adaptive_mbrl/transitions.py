"""The one tuple that flows from a robot to the adapter: a window of recent transitions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Transitions(NamedTuple):
    """The last K transitions of B robots, time-ordered, newest last.

    Attributes:
        obs: SI units, (B, K, obs_dim).
        action: the actions that acted, as far as it is known: as they were sent, or after a delay, (B, K, action_dim).
        next_obs: SI units, (B, K, obs_dim).
        valid: False before the first step and across resets, (B, K) bool.
    """

    obs: Tensor
    action: Tensor
    next_obs: Tensor
    valid: Tensor

    def append(self, obs: Tensor, action: Tensor, next_obs: Tensor, valid: Tensor) -> Transitions:
        """The window one step later: without each robot's oldest transition, with its newest.

        Args:
            obs: (B, obs_dim).
            action: the action as it was sent, (B, action_dim).
            next_obs: (B, obs_dim).
            valid: whether the newest transition is one to learn from, (B,) bool.
        """
        newest = (obs[:, None], action[:, None], next_obs[:, None], valid[:, None])
        return Transitions(*(torch.cat([old[:, 1:], new], dim=1) for old, new in zip(self, newest, strict=True)))

    def rows(self, rows: slice) -> Transitions:
        """The windows of some of the robots."""
        return Transitions(*(field[rows] for field in self))

    def steps(self, steps: slice) -> Transitions:
        """Some steps of all windows, in order; `steps` counts from the oldest of the K transitions."""
        return Transitions(*(field[:, steps] for field in self))

    def repeated(self, times: int) -> Transitions:
        """Each robot's window `times` times, one after the other, (B times, K, ...)."""
        return Transitions(*(field.repeat_interleave(times, dim=0) for field in self))

    def newest(self, known: int | Tensor) -> Transitions:
        """The same with none but the `known` newest transitions valid; a number, or one for each robot, (B,)."""
        age = torch.arange(self.valid.shape[1], 0, -1, device=self.valid.device)
        limit = known[:, None] if isinstance(known, Tensor) else known
        return self._replace(valid=self.valid & (age <= limit))

    def finite(self) -> Transitions:
        """The same with zeros in invalid transitions: whatever stands there, NaN too, must not reach a gradient."""
        obs, action, next_obs = (torch.where(self.valid[..., None], x, 0.0) for x in self[:3])
        return Transitions(obs, action, next_obs, self.valid)
