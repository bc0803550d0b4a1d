"""What estimated physics leaves unexplained, as a Bayesian linear regression that goes on while the robot runs.

With MuJoCo's control step f under the estimated parameters theta, features phi of observation and action, and the target stds D,

    o' = f(o, a; theta) + D (W^T phi(o, a) + e),       W_fd ~ N(0, g_d R_d),       e_d ~ N(0, R_d lambda^-age)

R_d is the mean square of what neither of them explains in channel d, and g_d is how wide the prior of the weights is beside it:
where g_d = 0, there is no residual. With features Phi and unexplained errors Y, in target stds, of the transitions in a memory,
G = diag(lambda^age) and n = tr G, the posterior of channel d is

    W_d = V diag(g / (1 + g l)) c,    cov(W_d) = R_d V diag(g / (1 + g l)) V^T
    Phi^T G Phi = V diag(l) V^T,      c = V^T Phi^T G Y_d

Which g_d it is, the evidence says. In it every transition counts lambda^age times, and R_d ~ InvGamma(1, r^2) is integrated out:

    log p(Y_d | g) = -1/2 sum_i log(1 + g l_i) - (1 + n/2) log(r^2 + q/2) + const
    q = Y_d^T G Y_d - sum_i g c_i^2 / (1 + g l_i),      1 / E[1 / R_d] = (r^2 + q/2) / (1 + n/2)

A priori g_d = 0 is a hundred times as probable as each of the seven other widths that are tried. So noise is not explained,
because explaining it would take nearly as many weights as there are transitions; and what the features do explain is explained at
once, even where it had counted as noise before. To choose a prior by its evidence is MacKay's proposal (Bayesian interpolation,
Neural Computation 4(3), 1992).

This is the posterior of the rule `bayes_linear`, by the F x F system: the memory is longer than the features are many, and every
channel has a noise of its own. Parametric physics with such a learned part on top is semi-parametric regression (Romeres et al.
2016, arXiv 1603.05412; Camoriano et al. 2016, arXiv 1601.04549).

The features are what an MJCF typically misses something in: positions, velocities and actions, each in its normalised units, and
a constant; angles as sine and cosine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.adaptation.belief import select
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.normalizer import Normalizer

Array = NDArray[np.float64]

_WIDTHS = torch.tensor([0.0, *(10.0**k for k in range(-2, 5))], dtype=torch.float64)
"""g that are tried."""
_ODDS = math.log(100.0)
"""Log odds that the MJCF is right in a channel, before anything was seen."""
_FARTHEST = 3.0
"""How many times the largest error in the memory the residual may be; a linear function has no bounds, and planners look far."""


@dataclass(frozen=True)
class ResidualConfig:
    """How the residual is learned.

    Attributes:
        memory: L, number of transitions that it is learned from.
        noise: r, what stays unexplained where everything is explained, before anything was seen [target stds].
        forgetting: lambda, what a transition counts for beside one that is a control step newer; 1 forgets nothing.
        doubtful: number of transitions before a change is noticed that are no longer learned from: it may have come before them.
        lead_memory: k, weight of the past in the lead.
        least_lead: the lead from which the residual is used; see `sim/identification/hybrid.py`.
    """

    memory: int = bounded(128, low=1, high=1024)
    noise: float = bounded(0.005, low=1e-6, high=10.0)
    forgetting: float = bounded(0.99, low=0.01, high=1.0)
    doubtful: int = bounded(5, low=0, high=1024)
    lead_memory: float = bounded(0.8, low=0.0, high=1.0)
    least_lead: float = bounded(0.2, low=0.0, high=100.0)


class Memory(NamedTuple):
    """The last L transitions of B robots that were valid, newest last, in float64.

    Attributes:
        obs: (B, L, obs_dim).
        applied: the actions that reached the actuators under each of the M delays, (B, L, M, action_dim).
        next_obs: (B, L, obs_dim).
        missed: what the physics under its present parameters leaves unexplained in each of them [target stds]; for those from
            before a change, under the parameters of that time, (B, L, obs_dim).
        valid: False before there are L of them, where the simulation broke, and right before a change, (B, L) bool.
        present: whether a transition is from after the last change, (B, L) bool.
    """

    obs: Tensor
    applied: Tensor
    next_obs: Tensor
    missed: Tensor
    valid: Tensor
    present: Tensor

    @classmethod
    def empty(cls, batch_size: int, config: ResidualConfig, delays: int, obs_dim: int, action_dim: int) -> Memory:
        """Nothing has been seen of B robots."""
        obs = torch.zeros(batch_size, config.memory, obs_dim, dtype=torch.float64)
        applied = torch.zeros(batch_size, config.memory, delays, action_dim, dtype=torch.float64)
        never = torch.zeros(batch_size, config.memory, dtype=torch.bool)
        return cls(obs, applied, obs, obs, never, never)

    def append(self, obs: Tensor, applied: Tensor, next_obs: Tensor, new: Tensor, changed: Tensor, doubtful: int) -> Memory:
        """The memory one control step later, with a transition that nothing has explained yet.

        Args:
            obs: (B, obs_dim).
            applied: (B, M, action_dim).
            next_obs: (B, obs_dim).
            new: where there is a transition; other robots' memories stay as they are, (B,) bool.
            changed: where the physics is another one from this transition on, (B,) bool.
            doubtful: number of transitions before that one in which it may already have been another one.
        """
        is_sure = torch.arange(self.valid.shape[1]) < self.valid.shape[1] - doubtful
        before = self._replace(valid=self.valid & (is_sure | ~changed[:, None]), present=self.present & ~changed[:, None])
        newest = (obs, applied, next_obs, torch.zeros_like(obs), new, new)
        longer = Memory(*(torch.cat([old[:, 1:], x[:, None]], 1) for old, x in zip(before, newest, strict=True)))
        return select(new, longer, self)

    def under(self, delay: Tensor) -> Tensor:
        """The actions that reached the actuators, if each robot has this delay [control steps], (B,): (B, L, action_dim)."""
        return self.applied[torch.arange(len(delay)), :, delay]

    def explained(self, missed: Tensor) -> Memory:
        """The same after the transitions since the last change were simulated again; NaN where a simulation broke."""
        finite = missed.isfinite().all(-1)
        kept = torch.where((self.present & finite)[..., None], missed, self.missed)
        return self._replace(missed=kept, valid=self.valid & (finite | ~self.present))


class LinearResidual:
    """The most probable residual of B robots, and how uncertain it is.

    It is never much larger than what was missed in some transition of the memory: with nothing to explain, it is nothing.

    Args:
        normalizer: on the CPU; of the features and of the target stds.
        memory: what it is learned from.
        delay: action delay of each robot [control steps], (B,).
        config: how it is learned.
    """

    def __init__(self, normalizer: Normalizer, memory: Memory, delay: Tensor, config: ResidualConfig) -> None:
        self._normalizer = normalizer
        used = memory.valid[..., None]
        phi, missed = (torch.where(used, x, 0.0) for x in (self._features(memory.obs, memory.under(delay)), memory.missed))
        self._largest = _FARTHEST * missed.abs().amax(1, keepdim=True)
        age = torch.arange(config.memory - 1, -1, -1, dtype=phi.dtype)
        weight = used * (config.forgetting**age)[:, None]
        # the channels differ in their widths and in their noise only
        size, self._axes = torch.linalg.eigh(phi.mT @ (weight * phi))
        size = size.clamp(min=0.0)[:, None]
        along = (weight * missed).mT @ phi @ self._axes
        squared, count = (weight * missed.square()).sum(1), weight.sum(1)
        width, noise = _most_evident(size, along, squared, count, config.noise)
        kept = width[..., None] / (1 + width[..., None] * size)
        self._weights = self._axes @ (kept * along).mT
        self._spread = kept * noise[..., None]

    def mean(self, obs: Tensor, action: Tensor) -> Tensor:
        """What is added to the next observation [SI units]: (B, N, obs_dim), applied (B, N, action_dim) -> (B, N, obs_dim)."""
        said = self._features(obs, action) @ self._weights
        return said.clamp(-self._largest, self._largest) * self._normalizer.target_std

    def variance(self, obs: Tensor, action: Tensor) -> Tensor:
        """Posterior variance in squared target stds, of the same arguments: (B, N, obs_dim)."""
        return (self._features(obs, action) @ self._axes).square() @ self._spread.mT

    def correction(self, obs: np.ndarray, action: np.ndarray) -> Array:
        """`mean` of N rows for each robot one after the other: (B N, obs_dim), (B N, action_dim) -> (B N, obs_dim)."""
        rows = (torch.from_numpy(np.ascontiguousarray(x)).reshape(len(self._weights), -1, x.shape[-1]) for x in (obs, action))
        return self.mean(*rows).reshape(obs.shape).numpy()

    def _features(self, obs: Tensor, action: Tensor) -> Tensor:
        """phi: (..., obs_dim), (..., action_dim) -> (..., F), in float64."""
        encoded = self._normalizer.affine().encode(obs.float())
        features = torch.cat([encoded, self._normalizer.encode_action(action.float())], dim=-1)
        return torch.nn.functional.pad(features.double(), (0, 1), value=1.0)


def _most_evident(size: Tensor, along: Tensor, squared: Tensor, count: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """The width g that the evidence speaks for, and R = 1 / E[1 / R] under it: (B, obs_dim) each.

    Args:
        size: l, (B, 1, F).
        along: c, (B, obs_dim, F).
        squared: Y^T G Y, (B, obs_dim).
        count: n, (B, 1).
        noise: r.
    """
    widths = _WIDTHS[:, None, None, None]
    missed = squared - (widths * along.square() / (1 + widths * size)).sum(-1)
    unexplained = noise**2 + 0.5 * missed.clamp(min=0.0)
    evidence = -0.5 * torch.log1p(widths * size).sum(-1) - (1 + 0.5 * count) * unexplained.log()
    evidence[0] += _ODDS
    best = evidence.argmax(0)
    return _WIDTHS[best], unexplained.gather(0, best[None])[0] / (1 + 0.5 * count)
