"""Whether a robot is healthy, in the sense of gymnasium's `healthy_z_range` and its like: it has not fallen."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.spec import RobotSpec


def is_healthy(spec: RobotSpec, obs: Tensor) -> Tensor:
    """Whether each observation lies within the healthy ranges, limits included.

    Angles are compared within [-pi, pi]. A channel that is not a number is not healthy.

    Args:
        spec: the robot, with its ranges.
        obs: observations in SI units, (..., obs_dim).

    Returns:
        (...) bool; True everywhere for a robot without ranges.
    """
    healthy = torch.ones_like(obs[..., 0], dtype=torch.bool)
    for limits in spec.healthy:
        channel = spec.obs_index(limits.name)
        value = wrap_angle(obs[..., channel]) if spec.obs[channel].kind == "angle" else obs[..., channel]
        if limits.low is not None:
            healthy = healthy & (value >= limits.low)
        if limits.high is not None:
            healthy = healthy & (value <= limits.high)
    return healthy
