"""No adaptation: nothing is believed and the model predicts with its own parameters (the multi-task model)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class NoneConfig:
    """Nothing to set."""

    TAG: ClassVar[str] = "none"

    def make(self, model: DynamicsModel, window: int) -> NoAdaptation:
        """The rule, for any model and window."""
        return NoAdaptation()


class NoBelief(NamedTuple):
    """Nothing is believed."""


class NoAdaptation(AdaptationRule[NoBelief]):
    """Ignores the recent transitions."""

    def prior(self, batch_size: int, base: NetworkPredictor) -> NoBelief:
        return NoBelief()

    def update(self, belief: NoBelief, recent: Transitions, base: NetworkPredictor) -> NoBelief:
        return belief

    def condition(self, base: NetworkPredictor, belief: NoBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return base
