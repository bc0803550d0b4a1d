r"""A Gaussian posterior over a latent code: PEARL (Rakelly et al. 2019, arXiv 1903.08254), for dynamics.

The code stands for the hidden parameter of a HiP-MDP (Doshi-Velez and Konidaris 2013, arXiv 1308.3513). Its prior is standard
normal, and an encoder turns each transition k into a Gaussian factor with mean m_k and precision l_k. The posterior is the
normalised product of the prior and of all factors, for each entry of the code by itself:

    precision = 1 + sum_k l_k,   mean = sum_k l_k m_k / precision

Without a valid transition it is exactly the prior. A planner gets the dynamics under the mean, or under posterior samples, one
for each of its particles. The outer loss is the query loss under the mean and, beside it,

    l(query; mean + eps / sqrt(precision)) + kl_weight * KL(posterior || N(0, 1))

where l is the pseudo-Huber error of one step from each observation of the query. PEARL's loss is that of fresh samples alone.
Three things differ here, and the sum is not a bound of the evidence:

- The query loss, open loop by default, is that of the mean, because the mean is what a controller without samples predicts with,
  and because `condition` says the same in training and in control. The mean alone would not teach the encoder how uncertain it
  is: only the KL would see the precision as such and would pull it towards the prior's. The term under the sample is what makes
  a posterior wide exactly where the code does not matter.
- The sample's error is one-step, which costs little beside the query loss and asks the same of the code.
- eps is not drawn anew: row i of a meta-batch has the same standard normal eps_i throughout a training, so that the expectation
  is taken over as many fixed points as a meta-batch has windows, while the windows in a row change. The loss is thus a function
  of parameters and windows alone, which is what lets a step be replayed and a training be watched without changing it.

On request the distance of two windows' codes is pulled to the distance of what they predict (HiP-BMDP, see `abstraction`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.abstraction import abstraction_loss
from adaptive_mbrl.adaptation.backward import BackwardModel
from adaptive_mbrl.adaptation.modulation import Modulation, encode_transitions, transition_dim
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.pseudo_huber import pseudo_huber
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class LatentConfig:
    """The encoder and its posterior.

    Attributes:
        hidden: width of the encoder's two hidden layers.
        code_dim: length of the code.
        samples: posterior samples that a planner scores every candidate under; 0 plans with the posterior's mean.
        kl_weight: weight of the KL divergence from the prior in the outer loss, per nat.
        backward: weight of the loss of predicting backward in time (see `context`); 0 for none.
        abstraction: weight of the loss by which codes are as far apart as what is predicted under them; 0 for none.
        seed: fixes the initial weights and the noise of the samples that are trained on, one for each row of a meta-batch.
    """

    TAG: ClassVar[str] = "latent"

    hidden: int = bounded(128, low=1, high=4096)
    code_dim: int = bounded(16, low=1, high=1024)
    samples: int = bounded(0, low=0, high=64)
    kl_weight: float = bounded(1e-3, low=0.0)
    backward: float = bounded(0.0, low=0.0)
    abstraction: float = bounded(0.0, low=0.0)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> LatentRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return LatentRule(model, self)


class LatentBelief(NamedTuple):
    """A Gaussian with independent entries: mean and precision of the code, both (B, code_dim)."""

    mean: Tensor
    precision: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The codes that standard normal noise stands for, (..., B, code_dim)."""
        return self.mean + noise * self.precision.rsqrt()


class LatentRule(AdaptationRule[LatentBelief]):
    """An encoder of single transitions, whose factors are multiplied.

    Args:
        model: gives the sizes.
        config: the encoder and its posterior.
    """

    def __init__(self, model: DynamicsModel, config: LatentConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.encoder = nn.Sequential(nn.Linear(transition_dim(model), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.factor_mean = nn.Linear(hidden, config.code_dim)
        self.factor_precision = nn.Linear(hidden, config.code_dim)
        self.modulation = Modulation(model, config.code_dim)
        self.backward_model = BackwardModel(model, config.code_dim, hidden) if config.backward > 0 else None

    @property
    def samples(self) -> int:
        return self.config.samples

    def prior(self, batch_size: int, base: NetworkPredictor) -> LatentBelief:
        zero = self.factor_mean.weight.new_zeros(batch_size, self.config.code_dim)
        return LatentBelief(zero, zero + 1)

    def update(self, belief: LatentBelief, recent: Transitions, base: NetworkPredictor) -> LatentBelief:
        mean, precision = self.factors(recent, base)
        total = 1 + precision.sum(1)
        return LatentBelief((precision * mean).sum(1) / total, total)

    def factors(self, recent: Transitions, base: NetworkPredictor) -> tuple[Tensor, Tensor]:
        """Mean and precision of each transition's factor, both (B, K, code_dim); precision zero where it is not valid."""
        encoded = self.encoder(encode_transitions(base, recent))
        # many factors are summed: in the digits of the weights, also under autocast
        mean, raw = (head(encoded).to(head.weight.dtype) for head in (self.factor_mean, self.factor_precision))
        return mean, torch.where(recent.valid[..., None], nn.functional.softplus(raw), 0.0)

    def condition(self, base: NetworkPredictor, belief: LatentBelief, noise: Tensor | None = None) -> NetworkPredictor:
        if noise is None:
            return self.modulation(base, belief.mean)
        # with 1 for B where robots share the noise
        codes = belief.at(noise if noise.dim() == 3 else noise[:, None])
        members = len(base.parameters["weight_0"])
        return self.modulation(base.repeated(len(noise)), codes.repeat_interleave(members, dim=0))

    def draw_noise(self, belief: LatentBelief, generator: torch.Generator) -> Tensor | None:
        """Standard normal, (samples, code_dim); None where the posterior's mean is planned with."""
        if self.config.samples == 0:
            return None
        return torch.randn(self.config.samples, self.config.code_dim, generator=generator, device=generator.device)

    def loss_terms(self, belief: LatentBelief, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """`sample`: one-step error of the query under a posterior sample; `kl`; `backward` and `abstraction` of the mean."""
        terms = {"sample": self._sample_loss(belief, windows, base), "kl": self.config.kl_weight * kl_from_prior(belief)}
        if self.backward_model is not None:
            terms["backward"] = self.config.backward * self.backward_model.loss(belief.mean, windows, base.model.normalizer)
        if self.config.abstraction > 0:
            dynamics = functools.partial(self.modulation, base)
            terms["abstraction"] = self.config.abstraction * abstraction_loss(belief.mean, dynamics, windows)
        return terms

    def _sample_loss(self, belief: LatentBelief, windows: Windows, base: NetworkPredictor) -> Tensor:
        # the same at every update: see the module's docstring
        generator = torch.Generator().manual_seed(self.config.seed)
        noise = torch.randn(belief.mean.shape, generator=generator).to(belief.mean)
        predictor = self.modulation(base, belief.at(noise))
        before, after = windows.obs[:, :-1], windows.obs[:, 1:]
        error = predictor.target(before, windows.action).mean - base.model.normalizer.target(before, after)
        # the form of the query loss, so that neither outweighs the other
        return pseudo_huber(error).mean((0, 2, 3))


def kl_from_prior(belief: LatentBelief) -> Tensor:
    """KL(posterior || N(0, 1)) in nats, summed over the code, (B,)."""
    variance = 1 / belief.precision
    return 0.5 * (variance + belief.mean.square() - 1 - variance.log()).sum(-1)
