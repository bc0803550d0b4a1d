"""The encoder that rules share whose belief is a code: each transition is encoded by itself, and attention pools them.

    z = sum_k softmax_k(q . key(e_k)) value(e_k),   e_k = encoder(transition k)

The encoder is permutation-invariant, as in PEARL (Rakelly et al. 2019, arXiv 1903.08254); attention pools the transitions (Kim et
al. 2019, arXiv 1901.05761). An empty transition of value zero takes part in the attention, so that without data, and only then,
the code is exactly the prior's, which is zero.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.modulation import encode_transitions, pool, transition_dim
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions


class CodeBelief(NamedTuple):
    """The code, (B, code_dim)."""

    code: Tensor


class AttentionEncoderRule(AdaptationRule[CodeBelief]):
    """Infers the code; what it does to the predictor is the derived rule's.

    Args:
        model: gives the sizes.
        hidden: width of the encoder's two hidden layers.
        heads: number of attention heads, each of which pools the window with a query of its own.
        code_dim: length of the code.
    """

    def __init__(self, model: DynamicsModel, hidden: int, heads: int, code_dim: int) -> None:
        super().__init__()
        self.code_dim = code_dim
        self.encoder = nn.Sequential(nn.Linear(transition_dim(model), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.attention = nn.Linear(hidden, heads)
        self.empty_attention = nn.Parameter(torch.zeros(heads))
        self.value = nn.Linear(hidden, heads * code_dim)

    def prior(self, batch_size: int, base: NetworkPredictor) -> CodeBelief:
        return CodeBelief(self.empty_attention.new_zeros(batch_size, self.code_dim))

    def update(self, belief: CodeBelief, recent: Transitions, base: NetworkPredictor) -> CodeBelief:
        encoded = self.encoder(encode_transitions(base, recent))
        return CodeBelief(pool(self.attention(encoded), self.empty_attention, self.value(encoded), recent.valid))
