"""One learned embedding per training situation, the most likely one picked online: FAMLE (Kaushik et al. 2020, arXiv 2003.04663).

    i = argmin_i L(D; z_i),   z <- z_i,   then I times   z <- z - alpha * grad_z L(D; z)

L is the one-step error over the valid transitions D of the window, in target stds. The embedding z modulates the network's input.
z_0 = 0 is the prior and one of the candidates: it is believed in until another one predicts the window better.

In training the situation is known (`Windows.task`), so that its own embedding takes the place of the most likely one, as
published; what is trained is an embedding and a network from which I steps lead to a good prediction. A share of the windows
trains the prior instead. Situation t has embedding t mod `count`, so that with more situations than embeddings unrelated ones
share one; situations that are not in the data any more when a training goes on leave theirs to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.gradient import one_step_loss
from adaptive_mbrl.adaptation.inner_gradient import inner_gradient
from adaptive_mbrl.adaptation.modulation import Modulation
from adaptive_mbrl.adaptation.prior_share import rows_under_prior
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class EmbeddingConfig:
    """The embeddings.

    Attributes:
        count: number of embeddings, best that of training situations; each is tried on the whole window at every control step.
        code_dim: length of an embedding.
        steps: I, gradient steps from the most likely embedding; 0 leaves it as it was learned.
        learning_rate: alpha, the size of these steps.
        prior_share: share of each meta-batch's windows that are predicted under the prior, rounded up to whole windows.
        seed: fixes the initial embeddings.
    """

    TAG: ClassVar[str] = "embedding"

    count: int = bounded(128, low=1, high=4096)
    code_dim: int = bounded(8, low=1, high=1024)
    steps: int = bounded(1, low=0, high=50)
    learning_rate: float = bounded(0.3, low=0.0)
    prior_share: float = bounded(0.1, low=0.0, high=0.5)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> EmbeddingRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return EmbeddingRule(model, self)


class EmbeddingBelief(NamedTuple):
    """The embedding after its gradient steps, (B, code_dim)."""

    code: Tensor


class EmbeddingRule(AdaptationRule[EmbeddingBelief]):
    """Picks the embedding that predicts the window best, and refines it.

    Args:
        model: gives the sizes.
        config: the embeddings.
    """

    def __init__(self, model: DynamicsModel, config: EmbeddingConfig) -> None:
        super().__init__()
        self.config = config
        self.modulation = Modulation(model, config.code_dim)
        self.embeddings = nn.Parameter(torch.randn(config.count, config.code_dim))

    def prior(self, batch_size: int, base: NetworkPredictor) -> EmbeddingBelief:
        return EmbeddingBelief(self.embeddings.new_zeros(batch_size, self.config.code_dim))

    def update(self, belief: EmbeddingBelief, recent: Transitions, base: NetworkPredictor) -> EmbeddingBelief:
        # the prior comes first: among equals, as without any valid transition, it is the one that is picked
        candidates = nn.functional.pad(self.embeddings, (0, 0, 1, 0))
        picked = candidates[self.errors(candidates, recent, base).argmin(1)]
        return EmbeddingBelief(self._refined(picked, recent, base))

    def infer_in_training(self, windows: Windows, base: NetworkPredictor) -> EmbeddingBelief:
        """The window's own situation's embedding, refined; the prior for some windows, and for those that show nothing."""
        own = self.embeddings[windows.task % self.config.count]
        trained = windows.recent.valid.any(1) & ~rows_under_prior(len(own), self.config.prior_share, own.device)
        refined = self._refined(own, windows.recent, base)
        return EmbeddingBelief(torch.where(trained[:, None], refined, 0.0))

    def condition(self, base: NetworkPredictor, belief: EmbeddingBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return self.modulation(base, belief.code)

    @torch.no_grad()
    def errors(self, codes: Tensor, recent: Transitions, base: NetworkPredictor) -> Tensor:
        """Mean squared one-step error of each code on each window, in target stds, averaged over the particles.

        Args:
            codes: C candidates, (C, code_dim).
            recent: of B robots, finite also where it is not valid.
            base: the dynamics that the codes modulate.

        Returns:
            (B, C); 0 for a robot without a valid transition.
        """
        robots, num = len(recent.obs), len(codes)
        own = {name: v.repeat_interleave(num, dim=1) for name, v in base.parameters.items() if v.dim() == 4}
        predictor = self.modulation(base.with_parameters(own), codes.repeat(robots, 1))
        return one_step_loss(predictor, recent.repeated(num)).mean(0).reshape(robots, num)

    def _refined(self, code: Tensor, recent: Transitions, base: NetworkPredictor) -> Tensor:
        """Gradient steps on the code; their derivative is left out, as in first-order MAML."""
        moved = torch.zeros_like(code)
        for _ in range(self.config.steps):
            moved = moved - self.config.learning_rate * self._gradient(code + moved, recent, base)
        return code + moved

    def _gradient(self, code: Tensor, recent: Transitions, base: NetworkPredictor) -> Tensor:
        def total_loss(at: tuple[Tensor, ...]) -> Tensor:
            return one_step_loss(self.modulation(base, *at), recent).mean(0).sum()

        (gradient,) = inner_gradient(total_loss, (code,))
        return gradient
