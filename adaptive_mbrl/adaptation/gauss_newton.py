r"""Second-order adaptation: damped Gauss-Newton steps for the input modulation, in closed form.

    m <- m + (J^T N^-1 J + S^-1)^-1 (J^T N^-1 r - S^-1 m)

m is how far action gains and context have moved from the base's, r what the K transitions' one-step predictions miss (in target
stds), J their Jacobian with respect to m, S = diag(s^2) a Gaussian prior around the base's modulation and N = diag(sigma^2) the
variance of the noise in each channel. A step leads to the mode of the posterior under the model linearised where it begins; the
first one is the extended Kalman filter's update, the further ones those of the iterated filter (Bell and Cathey 1993). The prior
is the damping of Levenberg and Marquardt, and a trust region: without data nothing moves, with little data little does. As in
CAVIA (Zintgraf et al. 2019, arXiv 1810.03642) only the modulation is adapted, so that the system to solve is small. s and sigma
are meta-learned through the solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.adaptation.full_precision import full_precision
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network import MODULATION
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class GaussNewtonConfig:
    """The Gaussian prior and the steps from it.

    Attributes:
        steps: number of Gauss-Newton steps; the network is linearised anew before each. No step is checked: they converge where
            the modulation can explain most of what is seen, and further ones need not help where it cannot.
        prior_std: initial prior standard deviation of an action gain or of an entry of the context.
        noise_std: initial standard deviation of the noise [target stds].
        learning_rate: the outer loop's rate for all standard deviations, which live on a log scale.
    """

    TAG: ClassVar[str] = "gauss_newton"

    steps: int = bounded(1, low=1, high=20)
    prior_std: float = bounded(0.5, low=1e-6, high=1e3)
    noise_std: float = bounded(0.3, low=1e-3, high=1e3)
    learning_rate: float = bounded(1e-2, low=0.0)

    def make(self, model: DynamicsModel, window: int) -> GaussNewtonRule:
        """The rule for a model, whatever the window."""
        return GaussNewtonRule(model, self)


class GaussNewtonBelief(NamedTuple):
    """A Gaussian about the modulation of each member: D = action_dim + context_dim parameters, the action gains first.

    Attributes:
        moved: mean of the distance from the base's modulation, (B, P, D).
        covariance: (B, P, D, D), under the model linearised where the last step began; that of the prior without data. The
            square root of a diagonal entry is the standard deviation of a gain.
    """

    moved: Tensor
    covariance: Tensor


class GaussNewtonRule(AdaptationRule[GaussNewtonBelief]):
    """The most probable modulation under the recent transitions and a prior.

    Args:
        model: gives the sizes.
        config: the Gaussian prior and the steps from it.
    """

    def __init__(self, model: DynamicsModel, config: GaussNewtonConfig) -> None:
        super().__init__()
        self.config = config
        parameters = model.net.parameters_by_name()
        self._sizes = [parameters[name].shape[-1] for name in MODULATION]
        self.log_prior_std = nn.Parameter(torch.full((model.net.members, sum(self._sizes)), config.prior_std).log())
        self.log_noise_std = nn.Parameter(torch.full((model.spec.obs_dim,), config.noise_std).log())

    def prior(self, batch_size: int, base: NetworkPredictor) -> GaussNewtonBelief:
        moved = torch.zeros_like(self.log_prior_std).repeat(batch_size, 1, 1)
        return GaussNewtonBelief(moved, (2 * self.log_prior_std).exp().diag_embed().repeat(batch_size, 1, 1, 1))

    def update(self, belief: GaussNewtonBelief, recent: Transitions, base: NetworkPredictor) -> GaussNewtonBelief:
        """Steps from the prior, whatever the last belief was; a robot without valid transitions keeps the prior."""
        prior_std = self.log_prior_std.exp()[:, None]
        # every transition's parameters and errors in units of their standard deviations; what is not valid weighs nothing
        weight = torch.where(recent.valid[..., None], (-self.log_noise_std).exp(), 0.0)
        target = base.model.normalizer.target(recent.obs, recent.next_obs)
        position = torch.zeros_like(prior_std).expand(-1, len(recent.obs), -1)
        for _ in range(self.config.steps):
            predicted, jacobian = self._displaced(base, position * prior_std).linearised(recent.obs, recent.action)
            error = ((target - predicted) * weight).to(position.dtype).flatten(2)
            slope = (jacobian * weight[:, :, None] * prior_std[:, :, None, :, None]).to(position.dtype)
            slope = slope.transpose(2, 3).flatten(3)
            with full_precision(slope):
                # the prior's part is the identity, which keeps the matrix well conditioned
                precision = slope @ slope.mT + torch.eye(slope.shape[-2], dtype=slope.dtype, device=slope.device)
                factor = torch.linalg.cholesky_ex(precision).L
                downhill = slope @ error[..., None] - position[..., None]
                position = position + torch.cholesky_solve(downhill, factor)[..., 0]
        with full_precision(factor):
            covariance = prior_std[..., None] * torch.cholesky_solve(prior_std.diag_embed().expand_as(factor), factor)
        # laid out as the prior is, so that one compiled graph serves all steps
        return GaussNewtonBelief((position * prior_std).transpose(0, 1).contiguous(), covariance.transpose(0, 1).contiguous())

    def condition(self, base: NetworkPredictor, belief: GaussNewtonBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return self._displaced(base, belief.moved.transpose(0, 1))

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup([self.log_prior_std, self.log_noise_std], learning_rate=self.config.learning_rate)]

    def _displaced(self, base: NetworkPredictor, moved: Tensor) -> NetworkPredictor:
        """The base with its modulation moved by (P, B, D)."""
        parts = zip(MODULATION, moved[:, :, None].split(self._sizes, dim=-1), strict=True)
        return base.with_parameters({name: base.per_robot(name) + part for name, part in parts})
