"""What a rule for adapting the network is: it maps a predictor and a belief to a better predictor.

Rules come one after the other. Each gets the predictor that the rules before it have made, infers its own part of the belief
under it, and conditions it further.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import KnownSituations, ParameterGroup
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.transitions import Transitions

BeliefT = TypeVar("BeliefT")


class AdaptationRule(nn.Module, Generic[BeliefT]):
    """Owns the rule's own meta-parameters; the network's belong to the adapter."""

    @property
    def samples(self) -> int:
        """Number of samples of the belief that are planned with; 0 for a belief that is no distribution to sample from."""
        return 0

    @property
    def carried(self) -> int:
        """See `Adapter.carried`; 0 for a rule that is not carried from step to step, which sees the last K transitions only."""
        return 0

    @abstractmethod
    def prior(self, batch_size: int, base: NetworkPredictor) -> BeliefT:
        """Belief about B robots before any transition; `base` as in `update`."""

    @abstractmethod
    def update(self, belief: BeliefT, recent: Transitions, base: NetworkPredictor) -> BeliefT:
        """Belief one control step later.

        Args:
            belief: the last one; a rule that looks at the whole window does not need it.
            recent: the last K transitions; those that are not valid must have no influence.
            base: the dynamics as the rules before this one leave them.
        """

    def infer(self, recent: Transitions, base: NetworkPredictor) -> BeliefT:
        """Belief about robots of which nothing but `recent` is known."""
        return self.update(self.prior(len(recent.obs), base), recent, base)

    def infer_in_training(self, windows: Windows, base: NetworkPredictor) -> BeliefT:
        """See `Adapter.infer_in_training`."""
        return self.infer(windows.recent, base)

    def know_situations(self, known: KnownSituations, *, refit: bool) -> None:
        """See `Adapter.know_situations`."""

    @abstractmethod
    def condition(self, base: NetworkPredictor, belief: BeliefT, noise: Tensor | None = None) -> NetworkPredictor:
        """The dynamics under the belief; arguments as in `update` and in `Adapter.condition`."""

    def draw_noise(self, belief: BeliefT, generator: torch.Generator) -> Tensor | None:
        """See `Adapter.draw_noise`."""
        return None

    def loss_terms(self, belief: BeliefT, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """See `Adapter.loss_terms`; `base` as in `update`."""
        return {}

    def parameter_groups(self) -> list[ParameterGroup]:
        """See `Adapter.parameter_groups`; of this rule's own parameters."""
        return [ParameterGroup([p for p in self.parameters() if p.requires_grad])]


class RecursiveRule(AdaptationRule[BeliefT]):
    """A rule whose belief is carried from step to step: each update looks at the newest transition only."""

    @abstractmethod
    def advance(self, belief: BeliefT, newest: Transitions, base: NetworkPredictor) -> BeliefT:
        """Belief after one more transition; `newest` has K = 1, and where it is not valid the belief stays as it is."""

    def update(self, belief: BeliefT, recent: Transitions, base: NetworkPredictor) -> BeliefT:
        """See `AdaptationRule.update`."""
        return self.advance(belief, recent.steps(slice(-1, None)), base)

    def infer(self, recent: Transitions, base: NetworkPredictor) -> BeliefT:
        """One transition after the other."""
        return self.carry(self.prior(len(recent.obs), base), recent, base)

    def carry(self, belief: BeliefT, recent: Transitions, base: NetworkPredictor) -> BeliefT:
        """Belief after some more transitions, oldest first."""
        for k in range(recent.obs.shape[1]):
            belief = self.advance(belief, recent.steps(slice(k, k + 1)), base)
        return belief
