"""Recurrent adaptation: a GRU whose hidden state is carried through the episode (ReBAL, Nagabandi et al. 2018, arXiv 1803.11347).

    h_t = GRU(e_t, h_{t-1}),   h_0 = 0        e_t = transition t

It is the belief form of RL2 (Duan et al. 2016, arXiv 1611.02779): learning is what the recurrent network does with its state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.modulation import Modulation, encode_transitions, transition_dim
from adaptive_mbrl.adaptation.rule import RecursiveRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class RecurrentConfig:
    """The recurrent network.

    Attributes:
        hidden: length of its hidden state.
        seed: fixes its initial weights.
    """

    TAG: ClassVar[str] = "recurrent"

    hidden: int = bounded(64, low=1, high=4096)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> RecurrentRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return RecurrentRule(model, self)


class RecurrentBelief(NamedTuple):
    """The hidden state, (B, hidden)."""

    hidden: Tensor


class RecurrentRule(RecursiveRule[RecurrentBelief]):
    """A gated recurrent unit over single transitions.

    Args:
        model: gives the sizes.
        config: the recurrent network.
    """

    def __init__(self, model: DynamicsModel, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.cell = nn.GRUCell(transition_dim(model), config.hidden)
        self.modulation = Modulation(model, config.hidden)

    def prior(self, batch_size: int, base: NetworkPredictor) -> RecurrentBelief:
        return RecurrentBelief(self.cell.weight_hh.new_zeros(batch_size, self.config.hidden))

    def advance(self, belief: RecurrentBelief, newest: Transitions, base: NetworkPredictor) -> RecurrentBelief:
        moved = self.cell(encode_transitions(base, newest)[:, 0], belief.hidden)
        return RecurrentBelief(torch.where(newest.valid, moved, belief.hidden))

    def condition(self, base: NetworkPredictor, belief: RecurrentBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return self.modulation(base, belief.hidden)
