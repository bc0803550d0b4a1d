"""Transformer-based adaptation: self-attention over the window relates transitions to each other before they are pooled.

    h = encoder(e_1 + p_1, ..., e_K + p_K),   z = sum_k softmax_k(q . key(h_k)) value(h_k)

p is a learned embedding of a transition's age (transformer encoder of Vaswani et al. 2017, arXiv 1706.03762; for adaptation from
recent transitions Melo 2022, arXiv 2206.06614). Where `context` sees a set, this rule sees a sequence: what changed in the
window, and what a late command did. Every transition attends to all valid ones, because the belief is asked for when all are
known. An empty transition takes part, so that there is always one to attend to; its value is zero, so that without data the code
is exactly the prior's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.modulation import Modulation, encode_transitions, pool, transition_dim
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class TransformerConfig:
    """The transformer.

    Attributes:
        hidden: width of a transition's embedding; a multiple of `heads`.
        layers: number of layers of attention.
        heads: number of attention heads of each layer, and of queries that pool the window at the end.
        code_dim: length of the code.
        seed: fixes its initial weights.
    """

    TAG: ClassVar[str] = "transformer"

    hidden: int = bounded(64, low=1, high=4096)
    layers: int = bounded(2, low=1, high=16)
    heads: int = bounded(4, low=1, high=64)
    code_dim: int = bounded(16, low=1, high=1024)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> TransformerRule:
        """The rule for a model and a window of K transitions."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return TransformerRule(model, window, self)


class TransformerBelief(NamedTuple):
    """The code, (B, code_dim)."""

    code: Tensor


class Layer(nn.Module):
    """Attention and a perceptron, each of which adds to its normalised input.

    Args:
        hidden: width.
        heads: number of attention heads.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.perceptron_norm = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.projected, self.attended = nn.Linear(hidden, 3 * hidden, bias=False), nn.Linear(hidden, hidden)
        self.perceptron = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden))

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """One layer.

        Args:
            x: (B, L, hidden).
            visible: which of the L are attended to, (B, L) bool, at least one.

        Returns:
            (B, L, hidden).
        """
        heads = self.projected(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None, None])
        x = x + self.attended(mixed.transpose(1, 2).flatten(2))
        out: Tensor = x + self.perceptron(self.perceptron_norm(x))
        return out


class TransformerRule(AdaptationRule[TransformerBelief]):
    """A transformer encoder of the window.

    Args:
        model: gives the sizes.
        window: K.
        config: the transformer.

    Raises:
        ConfigError: the width is no multiple of the number of heads.
    """

    def __init__(self, model: DynamicsModel, window: int, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        hidden, heads = config.hidden, config.heads
        if hidden % heads:
            raise ConfigError(f"key 'transformer.hidden': {hidden} is no multiple of the {heads} heads")
        self.embedding = nn.Linear(transition_dim(model), hidden)
        self.age = nn.Parameter(0.02 * torch.randn(window, hidden))
        self.empty = nn.Parameter(0.02 * torch.randn(hidden))
        self.layers = nn.ModuleList(Layer(hidden, heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(hidden)
        self.attention = nn.Linear(hidden, heads)
        self.empty_attention = nn.Parameter(torch.zeros(heads))
        self.value = nn.Linear(hidden, heads * config.code_dim)
        self.modulation = Modulation(model, config.code_dim)

    def prior(self, batch_size: int, base: NetworkPredictor) -> TransformerBelief:
        return TransformerBelief(self.empty_attention.new_zeros(batch_size, self.config.code_dim))

    def update(self, belief: TransformerBelief, recent: Transitions, base: NetworkPredictor) -> TransformerBelief:
        embedded = self.embedding(encode_transitions(base, recent)) + self.age
        x = torch.cat([self.empty.expand(len(embedded), 1, -1).to(embedded), embedded], dim=1)
        visible = nn.functional.pad(recent.valid, (1, 0), value=True)
        for layer in self.layers:
            x = layer(x, visible)
        x = self.norm(x[:, 1:])
        return TransformerBelief(pool(self.attention(x), self.empty_attention, self.value(x), recent.valid))

    def condition(self, base: NetworkPredictor, belief: TransformerBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return self.modulation(base, belief.code)
