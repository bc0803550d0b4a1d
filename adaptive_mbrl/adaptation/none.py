"""No adaptation: the belief is empty and the model predicts with its own parameters (the multi-task model, the frozen arm)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.dynamics.model import Parameters
from adaptive_mbrl.transitions import Transitions


class NoBelief(NamedTuple):
    """Nothing is believed."""


class NoAdapter(Adapter[NoBelief]):
    """Ignores the recent transitions."""

    def prior(self, batch_size: int) -> NoBelief:
        return NoBelief()

    def update(self, belief: NoBelief, recent: Transitions) -> NoBelief:
        return belief

    def parameters_of(self, belief: NoBelief) -> Parameters:
        return self.model.shared_parameters()

    def select(self, use_first: Tensor, first: NoBelief, second: NoBelief) -> NoBelief:
        return first
