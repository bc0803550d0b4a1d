"""The recent transitions as further inputs of the network: a multi-task model that sees what has just happened.

    h = W x + b + sum_k M_k (s_k, a_k, s'_k - s_k)          the first layer's products, with K transitions stacked as its input

Nothing is inferred: whatever the network makes of its history, it makes in the layers that predict. It is the plainest answer to
changing dynamics, and what a rule for adapting has to be better than.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.adaptation.modulation import encode_transitions, transition_dim
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class HistoryConfig:
    """Nothing to set."""

    TAG: ClassVar[str] = "history"

    def make(self, model: DynamicsModel, window: int) -> HistoryRule:
        """The rule for a model and a window of K transitions."""
        return HistoryRule(model, window)


class HistoryBelief(NamedTuple):
    """The K transitions as numbers of about unit size, oldest first, zeros where they are not valid: (B, K D)."""

    inputs: Tensor


class HistoryRule(AdaptationRule[HistoryBelief]):
    """Further inputs of the first layer; begins without influence.

    Args:
        model: gives the sizes.
        window: K.
    """

    def __init__(self, model: DynamicsModel, window: int) -> None:
        super().__init__()
        self._length = window * transition_dim(model, surprise=False)
        width = model.net.parameters_by_name()["bias_0"].shape[-1]
        self.weight = nn.Parameter(torch.zeros(model.net.members, self._length, width))

    def prior(self, batch_size: int, base: NetworkPredictor) -> HistoryBelief:
        return HistoryBelief(self.weight.new_zeros(batch_size, self._length))

    def update(self, belief: HistoryBelief, recent: Transitions, base: NetworkPredictor) -> HistoryBelief:
        return HistoryBelief(encode_transitions(base, recent, surprise=False).flatten(1))

    def condition(self, base: NetworkPredictor, belief: HistoryBelief, noise: Tensor | None = None) -> NetworkPredictor:
        added = torch.einsum("bi,pio->pbo", belief.inputs, self.weight)
        return base.with_parameters({"bias_0": base.per_robot("bias_0") + added[:, :, None]})

    def parameter_groups(self) -> list[ParameterGroup]:
        """The weights decay as those of the network do."""
        return [ParameterGroup([self.weight], decay=True)]
