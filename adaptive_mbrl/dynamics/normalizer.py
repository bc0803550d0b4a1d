"""Observation encoding and normalisation; part of the model, so that it travels with every checkpoint."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.data.statistics import TransitionStatistics
from adaptive_mbrl.spec import RobotSpec


class Affine(NamedTuple):
    """How observations enter the network and how its output becomes the next observation, as affine maps.

    Attributes:
        angles: the columns of the angles, (A,).
        offset, scale: input = offset + scale * obs; zero in the columns of angles, each (obs_dim,).
        input_rows: the network's input for each column of an encoded observation, (obs_dim + 2 A,); None if they are the same.
        target_mean, target_std: the change is target_mean + target_std * output, each (obs_dim,).
        carry: 1 where the output is a change of the present value, 0 where it is the next value itself, (obs_dim,).
        low, high: where predictions are kept, each (obs_dim,).
    """

    angles: Tensor
    offset: Tensor
    scale: Tensor
    input_rows: Tensor | None
    target_mean: Tensor
    target_std: Tensor
    carry: Tensor
    low: Tensor
    high: Tensor

    def encode(self, obs: Tensor) -> Tensor:
        """Scaled channels with a zero for each angle, sines, cosines: (..., obs_dim) in SI units -> (..., obs_dim + 2 A).

        The zeros cost less than leaving the angles' columns out, which would copy the others at every predicted step.
        """
        scaled = torch.addcmul(self.offset, obs, self.scale)
        if self.input_rows is None:
            return scaled
        angles = obs.index_select(-1, self.angles)
        return torch.cat([scaled, angles.sin(), angles.cos()], dim=-1)

    def advance(self, obs: Tensor, target: Tensor) -> Tensor:
        """The next observation, (..., obs_dim), with angles not yet wrapped.

        It is kept within the range of the data: outside of it the model knows nothing, and a planner would go there.

        Args:
            obs: present observation, (..., obs_dim).
            target: the network's output, (..., obs_dim).
        """
        change = torch.addcmul(self.target_mean, target, self.target_std)
        return torch.clamp(torch.addcmul(change, obs, self.carry), self.low, self.high)


class Normalizer(nn.Module):
    """Maps (obs, action) to the network's input, and the network's output to next_obs.

    Angles enter as (sin, cos). The target of a channel is its wrapped change over one control step, or the next value itself
    where the spec says ``target: direct``. Statistics come from all raw data so far (`fit`) and are constant in between.

    Args:
        spec: the robot.
    """

    obs_mean: Tensor
    obs_std: Tensor
    target_mean: Tensor
    target_std: Tensor
    obs_low: Tensor
    obs_high: Tensor
    _is_angle: Tensor
    _is_no_angle: Tensor
    _angle_columns: Tensor
    _input_rows: Tensor
    _is_direct: Tensor
    _carry: Tensor
    _action_center: Tensor
    _action_half_range: Tensor

    def __init__(self, spec: RobotSpec) -> None:
        super().__init__()
        self.spec = spec
        angle = torch.tensor([c.kind == "angle" for c in spec.obs])
        low = torch.tensor([a.low for a in spec.action])
        high = torch.tensor([a.high for a in spec.action])
        self._num_angles = num_angles = int(angle.sum())
        # the network has the other channels, then sines, then cosines; an angle's own column is zero, whatever its row
        row = torch.where(angle, 0, (~angle).long().cumsum(0) - 1)
        rows_of_angles = spec.obs_dim - num_angles + torch.arange(2 * num_angles)
        constants = {
            "_is_angle": angle,
            "_is_no_angle": (~angle).float(),
            "_angle_columns": angle.nonzero()[:, 0],
            "_input_rows": torch.cat([row, rows_of_angles]),
            "_is_direct": torch.tensor([c.target == "direct" for c in spec.obs]),
            "_carry": torch.tensor([float(c.target != "direct") for c in spec.obs]),
            "_action_center": (low + high) / 2,
            "_action_half_range": (high - low) / 2,
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("obs_mean", torch.zeros(spec.obs_dim))
        self.register_buffer("obs_std", torch.ones(spec.obs_dim))
        self.register_buffer("target_mean", torch.zeros(spec.obs_dim))
        self.register_buffer("target_std", torch.ones(spec.obs_dim))
        self.register_buffer("obs_low", torch.full((spec.obs_dim,), -torch.inf))
        self.register_buffer("obs_high", torch.full((spec.obs_dim,), torch.inf))

    @property
    def input_dim(self) -> int:
        """Number of the network's inputs for an observation."""
        return self.spec.obs_dim + self._num_angles

    @property
    def encoded_dim(self) -> int:
        """Number of columns of an encoded observation; more than `input_dim`, since angles have a column of zeros."""
        return self.spec.obs_dim + 2 * self._num_angles

    @torch.no_grad()
    def fit(self, statistics: TransitionStatistics) -> None:
        """Take over the statistics of transitions."""
        for moments, mean, std in (
            (statistics.obs, self.obs_mean, self.obs_std),
            (statistics.target, self.target_mean, self.target_std),
        ):
            mean.copy_(moments.mean)
            std.copy_(moments.floored_std)
        low, high = (x.to(self.obs_low) for x in (statistics.next_obs.low, statistics.next_obs.high))
        margin = 0.1 * (high - low)
        self.obs_low.copy_(torch.where(self._is_angle, -torch.inf, low - margin))
        self.obs_high.copy_(torch.where(self._is_angle, torch.inf, high + margin))

    def affine(self) -> Affine:
        """The present maps, for one prediction or for a loop over many."""
        scale = self._is_no_angle / self.obs_std
        rows = self._input_rows if self._num_angles else None
        ends = (self.target_mean, self.target_std, self._carry, self.obs_low, self.obs_high)
        return Affine(self._angle_columns, -self.obs_mean * scale, scale, rows, *ends)

    def encode_action(self, action: Tensor) -> Tensor:
        """(..., action_dim) -> the same, limits mapped to [-1, 1]."""
        return (action - self._action_center) / self._action_half_range

    def target(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """What the network should output, (..., obs_dim)."""
        raw = torch.where(self._is_direct, next_obs, self.wrap(next_obs - obs))
        return (raw - self.target_mean) / self.target_std

    def wrap(self, obs: Tensor) -> Tensor:
        """Angles, or differences of angles, in [-pi, pi); other channels as they are; (..., obs_dim)."""
        return torch.where(self._is_angle, wrap_angle(obs), obs) if self._num_angles else obs

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Difference of two next observations in units of the one-step target's std, angles wrapped; (..., obs_dim)."""
        return self.wrap(predicted - observed) / self.target_std

    def shift(self, obs: Tensor, error: Tensor) -> Tensor:
        """The observation that differs from `obs` by `error` (inverse of `error`), angles wrapped."""
        return self.wrap(obs + error * self.target_std)
