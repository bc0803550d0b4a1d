r"""Several last layers, of which the recent transitions choose one: T-MCL (Seo et al. 2020, arXiv 2010.13303).

    e_h = sum_k gamma^(K-k) rho(y_k - f_h(x_k, a_k)) / sum_k gamma^(K-k),   c = argmin_h e_h,   f_h = f with last layer W + D_h

rho is the pseudo-Huber loss per channel, y the normalised target, k runs over valid transitions. Training is multiple choice
learning per segment of a trajectory: the head that explains the recent transitions best is the one that the query's loss trains,
so that each head comes to stand for one kind of dynamics. The head is chosen without the query, exactly as it is at run time.
The other heads are pulled to the recent transitions with a small weight, without which a head that never wins would never be
trained (relaxed winner-takes-all, Rupprecht et al. 2017, arXiv 1612.00197):

    L = L_query(c) + relaxation * mean over h != c of e_h

The D_h sum to zero: the network's own last layer W is the heads' mean, and since the layer is linear it predicts the mean of what
the heads predict. That is the prior. All members choose the same head, which therefore means the same in each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.pseudo_huber import pseudo_huber
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class MultiHeadConfig:
    """The heads.

    Attributes:
        heads: H, number of last layers.
        forgetting: gamma, weight of a transition relative to the next newer one.
        relaxation: weight of the error of the heads that were not chosen.
        seed: fixes the heads' initial weights.
    """

    TAG: ClassVar[str] = "multi_head"

    heads: int = bounded(4, low=2, high=256)
    forgetting: float = bounded(0.9, low=0.5, high=1.0)
    relaxation: float = bounded(0.05, low=0.0, high=1.0)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> MultiHeadRule:
        """The rule for a model and a window of K transitions."""
        return MultiHeadRule(model, window, self)


class MultiHeadBelief(NamedTuple):
    """The choice, and what it stands on.

    Attributes:
        chosen: one at the chosen head and zero elsewhere; zero everywhere without a valid transition, (B, H).
        error: e_h, mean over members and channels; zero without a valid transition, (B, H).
    """

    chosen: Tensor
    error: Tensor


class MultiHeadRule(AdaptationRule[MultiHeadBelief]):
    """The head with the smallest recent error predicts.

    Args:
        model: gives the sizes.
        window: K.
        config: the heads.
    """

    def __init__(self, model: DynamicsModel, window: int, config: MultiHeadConfig) -> None:
        super().__init__()
        if not model.config.hidden:
            raise ConfigError("key 'model.hidden': empty; multi_head needs at least one hidden layer, which its heads share")
        self.config = config
        last = model.net.num_layers - 1
        self._weight, self._bias = f"weight_{last}", f"bias_{last}"
        parameters = model.net.parameters_by_name()
        members, width, outputs = parameters[self._weight].shape
        # small beside the last layer's own weights; zero would leave every choice to the rounding of equal errors
        initial = torch.randn(config.heads, members, width, outputs, generator=torch.Generator().manual_seed(config.seed))
        self.weight = nn.Parameter(0.1 / math.sqrt(width) * initial)
        self.bias = nn.Parameter(torch.zeros(config.heads, members, 1, outputs))
        age = torch.arange(window - 1, -1, -1, dtype=torch.float32)
        self.register_buffer("recency", config.forgetting**age, persistent=False)
        self.recency: Tensor

    def prior(self, batch_size: int, base: NetworkPredictor) -> MultiHeadBelief:
        nothing = self.bias.new_zeros(batch_size, self.config.heads)
        return MultiHeadBelief(nothing, nothing.clone())

    def update(self, belief: MultiHeadBelief, recent: Transitions, base: NetworkPredictor) -> MultiHeadBelief:
        error = self._errors(recent, base)
        best = error.argmin(1, keepdim=True) == torch.arange(self.config.heads, device=error.device)
        return MultiHeadBelief((best & recent.valid.any(1, keepdim=True)).to(error), error)

    def condition(self, base: NetworkPredictor, belief: MultiHeadBelief, noise: Tensor | None = None) -> NetworkPredictor:
        changed = {}
        for name, displacement in zip((self._weight, self._bias), self._displacements(), strict=True):
            changed[name] = base.per_robot(name) + torch.einsum("bh,hpio->pbio", belief.chosen, displacement)
        return base.with_parameters(changed)

    def loss_terms(self, belief: MultiHeadBelief, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """The mean error of the heads that were not chosen, with its weight."""
        others = ((1 - belief.chosen) * belief.error).sum(1) / (self.config.heads - 1)
        return {"other_heads": self.config.relaxation * others}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Weights decay as those of the network do, here towards the heads' mean."""
        return [ParameterGroup([self.weight], decay=True), ParameterGroup([self.bias])]

    def _displacements(self) -> tuple[Tensor, Tensor]:
        """D_h: weights (H, P, width, outputs) and biases (H, P, 1, outputs)."""
        return self.weight - self.weight.mean(0), self.bias - self.bias.mean(0)

    def _errors(self, recent: Transitions, base: NetworkPredictor) -> Tensor:
        """e_h, (B, H)."""
        obs_dim = recent.obs.shape[-1]
        weight, bias = (displacement[..., :obs_dim] for displacement in self._displacements())
        predicted = base.target(recent.obs, recent.action)
        features = predicted.features
        moved = torch.einsum("pbki,hpio->hpbko", features, weight.to(features.dtype)) + bias[:, :, None]
        missed = base.model.normalizer.target(recent.obs, recent.next_obs) - predicted.mean - moved
        # as the outer loss
        loss = pseudo_huber(missed.float()).mean((1, 4))
        weights = self.recency * recent.valid
        total = torch.where(recent.valid, loss, 0.0).mul(weights).sum(-1)
        return (total / weights.sum(-1).clamp(min=1e-35)).T
