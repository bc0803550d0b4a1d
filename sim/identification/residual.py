"""What estimated physics leaves unexplained, as a Bayesian linear regression that goes on while the robot runs.

With MuJoCo's control step f under the estimated parameters theta, features phi of observation and action, and the target stds D,

    o' = f(o, a; theta) + D (W^T phi(o, a) + e),       W_fd ~ N(0, s^2),       e_d ~ N(0, R_d lambda^-age)

R_d is the physics' own unexplained mean square in channel d. So where the MJCF is right, there is next to nothing to explain,
and W stays near zero; and where nothing has been seen yet, the prior says that the physics is right. With features Phi and
unexplained errors Y, in target stds, of the transitions in a memory, and G = diag(lambda^age), the posterior of channel d is

    P_d = I / s^2 + Phi^T G Phi / R_d,       W_d = P_d^-1 Phi^T G Y_d / R_d,       var(phi^T W_d) = phi^T P_d^-1 phi

This is the posterior of the rule `bayes_linear`, by the F x F system: the memory is longer than the features are many, and every
channel has a noise of its own. Parametric physics with such a learned part on top is semi-parametric regression (Romeres et al.
2016, arXiv 1603.05412; Camoriano et al. 2016, arXiv 1601.04549).

The features are what an MJCF typically misses something in: positions, velocities and actions, each in its normalised units, and
a constant; angles as sine and cosine.
"""

from __future__ import annotations

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

_FARTHEST = 3.0
"""How many times the largest error in the memory the residual may be; a linear function has no bounds, and planners look far."""


@dataclass(frozen=True)
class ResidualConfig:
    """How the residual is learned.

    Attributes:
        memory: L, number of transitions that it is learned from.
        prior_std: s, prior standard deviation of a weight [target stds per unit of a feature].
        forgetting: lambda, what a transition counts for beside one that is a control step newer; 1 forgets nothing.
        patience: number of transitions after a change that only the parameters explain; then the residual learns from them, too.
    """

    memory: int = bounded(128, low=1, high=1024)
    prior_std: float = bounded(0.3, low=1e-6, high=1e3)
    forgetting: float = bounded(0.99, low=0.01, high=1.0)
    patience: int = bounded(5, low=1, high=1024)


class Memory(NamedTuple):
    """The last L transitions of B robots that were valid, newest last, in float64.

    Attributes:
        obs: (B, L, obs_dim).
        applied: the actions that reached the actuators under each of the M delays, (B, L, M, action_dim).
        next_obs: (B, L, obs_dim).
        missed: what the physics under its present parameters leaves unexplained in each of them [target stds]; for those from
            before a change, under the parameters of that time, (B, L, obs_dim).
        valid: False before there are L of them, and where the simulation broke, (B, L) bool.
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

    def append(self, obs: Tensor, applied: Tensor, next_obs: Tensor, new: Tensor, changed: Tensor) -> Memory:
        """The memory one control step later, with a transition that nothing has explained yet.

        Args:
            obs: (B, obs_dim).
            applied: (B, M, action_dim).
            next_obs: (B, obs_dim).
            new: where there is a transition; other robots' memories stay as they are, (B,) bool.
            changed: where the physics is another one from this transition on, (B,) bool.
        """
        before = self._replace(present=self.present & ~changed[:, None])
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
        noise: R, (B, obs_dim).
        config: how it is learned.
    """

    def __init__(self, normalizer: Normalizer, memory: Memory, delay: Tensor, noise: Tensor, config: ResidualConfig) -> None:
        self._normalizer = normalizer
        recent = memory.valid & memory.present
        used = memory.valid & (~memory.present | (recent.sum(1, keepdim=True) >= config.patience))
        phi, missed = (
            torch.where(used[..., None], x, 0.0) for x in (self._features(memory.obs, memory.under(delay)), memory.missed)
        )
        self._largest = _FARTHEST * missed.abs().amax(1, keepdim=True)
        age = torch.arange(config.memory - 1, -1, -1, dtype=phi.dtype)
        weighed, prior = phi.mT * config.forgetting**age, torch.eye(phi.shape[-1], dtype=phi.dtype) / config.prior_std**2
        # the channels differ in their noise only: (B, obs_dim, F, F)
        precision = prior + (weighed @ phi)[:, None] / noise[..., None, None]
        self._factor = torch.linalg.cholesky(precision)
        moved = (weighed @ missed / noise[:, None]).mT[..., None]
        self._weights = torch.cholesky_solve(moved, self._factor)[..., 0].mT

    def mean(self, obs: Tensor, action: Tensor) -> Tensor:
        """What is added to the next observation [SI units]: (B, N, obs_dim), applied (B, N, action_dim) -> (B, N, obs_dim)."""
        said = self._features(obs, action) @ self._weights
        return said.clamp(-self._largest, self._largest) * self._normalizer.target_std

    def variance(self, obs: Tensor, action: Tensor) -> Tensor:
        """Posterior variance in squared target stds, of the same arguments: (B, N, obs_dim)."""
        phi = self._features(obs, action)[:, None].mT
        return torch.linalg.solve_triangular(self._factor, phi, upper=False).square().sum(-2).mT

    def correction(self, obs: np.ndarray, action: np.ndarray) -> Array:
        """`mean` of N rows for each robot one after the other: (B N, obs_dim), (B N, action_dim) -> (B N, obs_dim)."""
        rows = (torch.from_numpy(np.ascontiguousarray(x)).reshape(len(self._weights), -1, x.shape[-1]) for x in (obs, action))
        return self.mean(*rows).reshape(obs.shape).numpy()

    def _features(self, obs: Tensor, action: Tensor) -> Tensor:
        """phi: (..., obs_dim), (..., action_dim) -> (..., F), in float64."""
        encoded = self._normalizer.affine().encode(obs.float())
        features = torch.cat([encoded, self._normalizer.encode_action(action.float())], dim=-1)
        return torch.nn.functional.pad(features.double(), (0, 1), value=1.0)
