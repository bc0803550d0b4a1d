"""Context-based adaptation: an encoder of the window gives a latent context, in one forward pass.

    z = sum_k softmax_k(q . key(e_k)) value(e_k),   e_k = encoder(transition k)

The encoder is permutation-invariant, as in PEARL (Rakelly et al. 2019, arXiv 1903.08254); attention pools the transitions (Kim et
al. 2019, arXiv 1901.05761), and the dynamics model gets the code as context (CaDM, Lee et al. 2020, arXiv 2005.06800). An empty
transition of value zero takes part in the attention, so that without data, and only then, the code is exactly the prior's.

CaDM trains its code on predicting the M steps after the window, forward and backward in time. Forward is the query loss of the
outer loop, for every rule; backward is the option `backward` here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.backward import BackwardModel
from adaptive_mbrl.adaptation.modulation import Modulation, encode_transitions, pool, transition_dim
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class ContextConfig:
    """The encoder.

    Attributes:
        hidden: width of its two hidden layers.
        heads: number of attention heads, each of which pools the window with a query of its own.
        code_dim: length of the code.
        action_gain: whether the code moves the gains of the network's action inputs, too, which express a weak or reversed motor
            exactly; without it the code acts through the network's context only.
        backward: weight of the loss of predicting backward in time, which is 0.5 in CaDM; 0 for none.
        seed: fixes its initial weights.
    """

    TAG: ClassVar[str] = "context"

    hidden: int = bounded(128, low=1, high=4096)
    heads: int = bounded(4, low=1, high=64)
    code_dim: int = bounded(16, low=1, high=1024)
    action_gain: bool = True
    backward: float = bounded(0.0, low=0.0)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> ContextRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return ContextRule(model, self)


class ContextBelief(NamedTuple):
    """The code, (B, code_dim)."""

    code: Tensor


class ContextRule(AdaptationRule[ContextBelief]):
    """An attention encoder of the window.

    Args:
        model: gives the sizes.
        config: the encoder.

    Raises:
        ConfigError: the code could change nothing.
    """

    def __init__(self, model: DynamicsModel, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        hidden, heads = config.hidden, config.heads
        self.encoder = nn.Sequential(nn.Linear(transition_dim(model), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.attention = nn.Linear(hidden, heads)
        self.empty_attention = nn.Parameter(torch.zeros(heads))
        self.value = nn.Linear(hidden, heads * config.code_dim)
        self.modulation = Modulation(model, config.code_dim, config.action_gain)
        self.backward_model = BackwardModel(model, config.code_dim, hidden) if config.backward > 0 else None

    def prior(self, batch_size: int, base: NetworkPredictor) -> ContextBelief:
        return ContextBelief(self.empty_attention.new_zeros(batch_size, self.config.code_dim))

    def update(self, belief: ContextBelief, recent: Transitions, base: NetworkPredictor) -> ContextBelief:
        encoded = self.encoder(encode_transitions(base, recent))
        return ContextBelief(pool(self.attention(encoded), self.empty_attention, self.value(encoded), recent.valid))

    def condition(self, base: NetworkPredictor, belief: ContextBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return self.modulation(base, belief.code)

    def loss_terms(self, belief: ContextBelief, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """`backward`, where it is asked for."""
        if self.backward_model is None:
            return {}
        return {"backward": self.config.backward * self.backward_model.loss(belief.code, windows, base.model.normalizer)}
