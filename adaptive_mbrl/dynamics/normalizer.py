"""Observation encoding and normalisation; part of the model, so that it travels with every checkpoint."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.spec import RobotSpec

MIN_RELATIVE_STD = 1e-3
"""Floor of a channel's std relative to its range: a channel that hardly moves must not blow up the loss."""


class Affine(NamedTuple):
    """`Normalizer.encode` and `decode` as affine maps; each (obs_dim,) but `angles`, the angles' columns.

    The input is offset + scale * obs, zero for angles, which enter as sine and cosine; next_obs is
    target_mean + target_std * target + carry * obs, kept between low and high.
    """

    offset: Tensor
    scale: Tensor
    angles: Tensor
    target_mean: Tensor
    target_std: Tensor
    carry: Tensor
    low: Tensor
    high: Tensor


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
    _angle_columns: Tensor
    _is_direct: Tensor
    _action_center: Tensor
    _action_half_range: Tensor

    def __init__(self, spec: RobotSpec) -> None:
        super().__init__()
        self.spec = spec
        angle = torch.tensor([c.kind == "angle" for c in spec.obs])
        direct = torch.tensor([c.target == "direct" for c in spec.obs])
        low = torch.tensor([a.low for a in spec.action])
        high = torch.tensor([a.high for a in spec.action])
        self._num_angles = int(angle.sum())
        self.register_buffer("_is_angle", angle, persistent=False)
        self.register_buffer("_angle_columns", angle.nonzero()[:, 0], persistent=False)
        self.register_buffer("_is_direct", direct, persistent=False)
        self.register_buffer("_action_center", (low + high) / 2, persistent=False)
        self.register_buffer("_action_half_range", (high - low) / 2, persistent=False)
        self.register_buffer("obs_mean", torch.zeros(spec.obs_dim))
        self.register_buffer("obs_std", torch.ones(spec.obs_dim))
        self.register_buffer("target_mean", torch.zeros(spec.obs_dim))
        self.register_buffer("target_std", torch.ones(spec.obs_dim))
        self.register_buffer("obs_low", torch.full((spec.obs_dim,), -torch.inf))
        self.register_buffer("obs_high", torch.full((spec.obs_dim,), torch.inf))

    @property
    def input_dim(self) -> int:
        """Columns of `encode`'s result."""
        return self.spec.obs_dim + self._num_angles

    @torch.no_grad()
    def fit(self, obs: Tensor, next_obs: Tensor) -> None:
        """Set the statistics from transitions.

        Args:
            obs: (S, obs_dim).
            next_obs: (S, obs_dim).
        """
        target = self._raw_target(obs, next_obs)
        for values, mean, std in ((obs, self.obs_mean, self.obs_std), (target, self.target_mean, self.target_std)):
            span = values.amax(0) - values.amin(0)
            floor = torch.where(span > 0, MIN_RELATIVE_STD * span, torch.ones_like(span))
            mean.copy_(values.double().mean(0))
            std.copy_(torch.maximum(values.double().std(0, unbiased=False).to(floor), floor))
        low, high = next_obs.amin(0), next_obs.amax(0)
        margin = 0.1 * (high - low)
        self.obs_low.copy_(torch.where(self._is_angle, -torch.inf, low - margin))
        self.obs_high.copy_(torch.where(self._is_angle, torch.inf, high + margin))

    def encode(self, obs: Tensor) -> Tensor:
        """(..., obs_dim) in SI units -> (..., input_dim)."""
        scaled = (obs - self.obs_mean) / self.obs_std
        if not self._num_angles:
            return scaled
        sines = torch.where(self._is_angle, obs.sin(), scaled)
        return torch.cat([sines, obs.index_select(-1, self._angle_columns).cos()], dim=-1)

    def encode_action(self, action: Tensor) -> Tensor:
        """(..., action_dim) -> the same, limits mapped to [-1, 1]."""
        return (action - self._action_center) / self._action_half_range

    def target(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """What the network should output, (..., obs_dim)."""
        return (self._raw_target(obs, next_obs) - self.target_mean) / self.target_std

    def decode(self, obs: Tensor, target: Tensor) -> Tensor:
        """next_obs from the network's output; kept within the range of the data, which a planner would otherwise leave."""
        raw = target * self.target_std + self.target_mean
        next_obs = self.wrap(torch.where(self._is_direct, raw, obs + raw))
        return torch.clamp(next_obs, self.obs_low, self.obs_high)

    def affine(self) -> Affine:
        """What `encode` and `decode` do, for a loop over many steps."""
        scale = torch.where(self._is_angle, 0.0, 1 / self.obs_std)
        carry = (~self._is_direct).to(scale)
        columns, low, high = self._angle_columns, self.obs_low, self.obs_high
        return Affine(-self.obs_mean * scale, scale, columns, self.target_mean, self.target_std, carry, low, high)

    def wrap(self, obs: Tensor) -> Tensor:
        """Angles, or differences of angles, in [-pi, pi); other channels as they are; (..., obs_dim)."""
        return torch.where(self._is_angle, wrap_angle(obs), obs) if self._num_angles else obs

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Difference of two next observations in units of the one-step target's std, angles wrapped; (..., obs_dim)."""
        return self.wrap(predicted - observed) / self.target_std

    def shift(self, obs: Tensor, error: Tensor) -> Tensor:
        """The observation that differs from `obs` by `error` (inverse of `error`), angles wrapped."""
        return self.wrap(obs + error * self.target_std)

    def _raw_target(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        return torch.where(self._is_direct, next_obs, self.wrap(next_obs - obs))
