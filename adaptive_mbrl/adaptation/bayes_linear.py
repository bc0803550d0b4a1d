r"""A Bayesian last layer in closed form.

As in ALPaCA (Harrison et al. 2018, arXiv 1807.08912) and Neural-Fly (O'Connell et al. 2022, arXiv 2205.06908).

The features phi of the network are meta-trained; only the last layer is believed about, and a linear-Gaussian belief has an exact
posterior. With prior variances s of the F weights of an output, noise variance sigma^2 and K transitions of features Phi and
residuals R = Y - Phi W_0 (Y: normalised targets):

    W = W_0 + S Phi^T (Phi S Phi^T + sigma^2 I)^-1 R,       S = diag(s)

K is smaller than F, so that the K x K system is the cheap one to solve. s and sigma are meta-learned. A posterior sample is a
prior sample that is corrected by the same formula (Matheron's rule).

With forgetting the noise variance of a transition of age a is sigma^2 lambda^-a: rows of Phi and R are scaled by lambda^(a / 2).
That is recursive least squares over K steps which forgets the data and not the prior, with precision

    P_t = lambda P_(t-1) + (1 - lambda) S^-1 + phi phi^T / sigma^2,       P_0 = S^-1

P never falls below S^-1: the belief does not wind up in directions in which nothing is seen, as it would if the prior were
forgotten, too. How large its error can become, and how fast a wrong start is forgotten, is proved in docs/adaptation.md, under
"What the error of `bayes_linear` is bounded by".

Neural-Fly also trains its features so that they do not tell one training situation from another; that is the option `adversary`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.adaptation.domain_adversary import DomainAdversary, DomainAdversaryConfig
from adaptive_mbrl.adaptation.full_precision import full_precision
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network import Parameters
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.predictor import Prediction
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class BayesLinearConfig:
    """The linear-Gaussian belief.

    Attributes:
        prior_std: initial prior standard deviation of a last-layer weight.
        noise_std: initial standard deviation of the noise [target stds].
        samples: posterior samples that a planner scores every candidate under; 0 plans with the posterior's mean.
        learning_rate: the outer loop's rate for both standard deviations, which live on a log scale.
        forgetting: lambda, what a transition counts for beside one that is a control step newer; 1 forgets nothing.
        adversary: trains the features against a discriminator of the training situations; None for no such training.
    """

    TAG: ClassVar[str] = "bayes_linear"

    prior_std: float = bounded(0.05, low=1e-6, high=1e3)
    noise_std: float = bounded(0.3, low=1e-3, high=1e3)
    samples: int = bounded(0, low=0, high=64)
    learning_rate: float = bounded(1e-2, low=0.0)
    forgetting: float = bounded(1.0, low=0.01, high=1.0)
    adversary: DomainAdversaryConfig | None = None

    def make(self, model: DynamicsModel, window: int) -> BayesLinearRule:
        """The rule for a model and a window of K transitions."""
        return BayesLinearRule(model, window, self)


class BayesLinearBelief(NamedTuple):
    """The data that the posterior stands on, in the form in which it is used.

    Attributes:
        features: Phi with a column of ones for the bias, scaled by age, zero where a transition is not valid, (B, P, K, F + 1).
        residual: R, scaled in the same way, (B, P, K, obs_dim).
        factor: lower Cholesky factor of Phi S Phi^T + sigma^2 I, (B, P, K, K).
    """

    features: Tensor
    residual: Tensor
    factor: Tensor


class BayesLinearPredictor(NetworkPredictor):
    """The ensemble with the posterior's mean or samples as last layers, and its variance in what `predict` returns."""

    def __init__(self, base: NetworkPredictor, last_layer: Parameters, posterior: _Posterior | None = None) -> None:
        super().__init__(base.model, {**base.parameters, **last_layer}, base.affine)
        self._posterior = posterior

    def with_parameters(self, changed: Parameters) -> BayesLinearPredictor:
        # the posterior is about the features of these weights
        keeps = not any(name.startswith("weight_") for name in changed)
        return BayesLinearPredictor(self, changed, self._posterior if keeps else None)

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        target = self.target(obs, action)
        prediction = self.mixture(obs, target)
        if self._posterior is None:
            return prediction
        variance = self._posterior.variance(_with_ones(target.features)).mean(0)
        spread = variance[..., None] * self.model.normalizer.target_std.square()
        return Prediction(prediction.mean, (prediction.std.square() + spread).sqrt())


class _Posterior(NamedTuple):
    belief: BayesLinearBelief
    prior_variance: Tensor

    def correction(self, residual: Tensor) -> Tensor:
        """S Phi^T (Phi S Phi^T + sigma^2 I)^-1 residual: (B, P, K, d) -> (B, P, F + 1, d)."""
        with full_precision(residual):
            solved = torch.cholesky_solve(residual, self.belief.factor)
            return self.prior_variance[:, :, None] * (self.belief.features.mT @ solved)

    def variance(self, phi: Tensor) -> Tensor:
        """phi^T (S - S Phi^T (...)^-1 Phi S) phi of each output, in squared target stds: (P, B, N, F + 1) -> (P, B, N)."""
        with full_precision(phi):
            scaled = (phi * self.prior_variance[:, None, None]).transpose(0, 1)
            cross = self.belief.features @ scaled.mT
            explained = torch.linalg.solve_triangular(self.belief.factor, cross, upper=False).square().sum(-2)
            prior = (phi.transpose(0, 1) * scaled).sum(-1)
            return (prior - explained).clamp(min=0).transpose(0, 1)


class BayesLinearRule(AdaptationRule[BayesLinearBelief]):
    """Exact Bayesian linear regression on the last layer, from the K recent transitions.

    Args:
        model: gives the sizes.
        window: K.
        config: the linear-Gaussian belief.
    """

    def __init__(self, model: DynamicsModel, window: int, config: BayesLinearConfig) -> None:
        super().__init__()
        if not model.config.hidden:
            raise ConfigError("key 'model.hidden': empty; bayes_linear needs at least one hidden layer, whose features it uses")
        self.config, self.window, self.obs_dim = config, window, model.spec.obs_dim
        last = model.net.num_layers - 1
        self._weight, self._bias = f"weight_{last}", f"bias_{last}"
        width = model.net.parameters_by_name()[self._weight].shape[1]
        self.log_prior_std = nn.Parameter(torch.full((model.net.members, width + 1), config.prior_std).log())
        self.log_noise_std = nn.Parameter(torch.tensor(config.noise_std).log())
        adversary = config.adversary
        self.adversary = None if adversary is None else DomainAdversary(model.net.members, width, adversary)

    @property
    def samples(self) -> int:
        return self.config.samples

    def prior(self, batch_size: int, base: NetworkPredictor) -> BayesLinearBelief:
        members, width = self.log_prior_std.shape
        # laid out as in `update`, so that one compiled graph serves all steps
        shape = (members, batch_size, self.window)
        features = self.log_prior_std.new_zeros(*shape, width).transpose(0, 1)
        residual = features.new_zeros(*shape, self.obs_dim).transpose(0, 1)
        return BayesLinearBelief(features, residual, self._factor(features))

    def update(self, belief: BayesLinearBelief, recent: Transitions, base: NetworkPredictor) -> BayesLinearBelief:
        valid = recent.valid[None, ..., None]
        predicted = base.target(recent.obs, recent.action)
        features = torch.where(valid, _with_ones(predicted.features), 0.0)
        residual = torch.where(valid, base.model.normalizer.target(recent.obs, recent.next_obs) - predicted.mean, 0.0)
        age = torch.arange(self.window - 1, -1, -1, dtype=torch.float32, device=features.device)
        scale = self.config.forgetting ** (0.5 * age[:, None])
        features, residual = ((scale * x.float()).transpose(0, 1) for x in (features, residual))
        return BayesLinearBelief(features, residual, self._factor(features))

    def condition(self, base: NetworkPredictor, belief: BayesLinearBelief, noise: Tensor | None = None) -> BayesLinearPredictor:
        posterior = _Posterior(belief, (2 * self.log_prior_std).exp())
        if noise is None:
            layer = posterior.correction(belief.residual).transpose(0, 1)
            return BayesLinearPredictor(base, self._last_layer(base, layer), posterior)
        # (S, B, P, ...): samples of the prior, and of the noise in the observed targets; with 1 for B where robots share them
        samples, noise = len(noise), noise if noise.dim() == 5 else noise[:, None]
        weights = self.log_prior_std.exp()[..., None] * noise[..., : -self.window, :]
        errors = self.log_noise_std.exp() * noise[..., -self.window :, :]
        with full_precision(noise):
            missing = belief.residual - belief.features @ weights - errors
        layers = [(w + posterior.correction(m)).transpose(0, 1) for w, m in zip(weights, missing, strict=True)]
        sampled = base.repeated(samples)
        return BayesLinearPredictor(sampled, self._last_layer(sampled, torch.cat(layers)))

    def draw_noise(self, belief: BayesLinearBelief, generator: torch.Generator) -> Tensor | None:
        """Standard normal, (samples, P, F + 1 + K, obs_dim); None where the posterior's mean is planned with."""
        if self.config.samples == 0:
            return None
        members, width = self.log_prior_std.shape
        shape = (self.config.samples, members, width + self.window, self.obs_dim)
        return torch.randn(shape, generator=generator, device=generator.device)

    def loss_terms(self, belief: BayesLinearBelief, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """`adversary`, where it is asked for: zeros, whose gradient trains the discriminator, and the features against it."""
        if self.adversary is None:
            return {}
        loss = self.adversary.loss(base.features(windows.obs[:, :-1], windows.action), windows.task)
        return {"adversary": loss - loss.detach()}

    def parameter_groups(self) -> list[ParameterGroup]:
        groups = [ParameterGroup([self.log_prior_std, self.log_noise_std], learning_rate=self.config.learning_rate)]
        if self.adversary is not None:
            rate = self.adversary.config.learning_rate
            groups.append(ParameterGroup(list(self.adversary.parameters()), learning_rate=rate))
        return groups

    def _factor(self, features: Tensor) -> Tensor:
        with full_precision(features):
            gram = (features * (2 * self.log_prior_std).exp()[:, None]) @ features.mT
            noise = (2 * self.log_noise_std).exp() * torch.eye(features.shape[-2], dtype=gram.dtype, device=gram.device)
            # without the check that would wait for the device; the noise keeps the matrix well conditioned
            return torch.linalg.cholesky_ex(gram + noise).L

    def _last_layer(self, base: NetworkPredictor, moved: Tensor) -> dict[str, Tensor]:
        """The base's last layer, moved by (P, B, F + 1, obs_dim); a learned variance keeps its own outputs."""
        weight, bias = base.per_robot(self._weight), base.per_robot(self._bias)
        moved = nn.functional.pad(moved, (0, weight.shape[-1] - self.obs_dim))
        return {self._weight: weight + moved[..., :-1, :], self._bias: bias + moved[..., -1:, :]}


def _with_ones(features: Tensor) -> Tensor:
    """A column of ones for the bias: (..., F) -> (..., F + 1)."""
    return nn.functional.pad(features, (0, 1), value=1.0)
