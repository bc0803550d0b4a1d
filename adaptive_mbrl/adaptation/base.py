"""The seam between learning and control: a belief conditions a predictor.

Given the last K transitions D of a robot with unknown dynamics, an adapter turns its prior into a belief b = u(D), under which a
predictor foresees the next steps better than under the prior:

    maximise over meta-parameters   E_task E_(D, D') [ log p(D' | u(D)) ]        D' = the steps that follow D

State goes in and comes out: a belief is a value. Nobody but the adapter looks into a belief, and nobody looks behind the
predictor.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.predictor import Predictor
from adaptive_mbrl.transitions import Transitions

BeliefT = TypeVar("BeliefT")
KnownSituations = Sequence[Mapping[str, float] | None]
"""What is known of the dynamics of each training situation, as numbers by name, at its number; None where nothing is."""


class ParameterGroup(NamedTuple):
    """Meta-parameters that the outer loop treats alike.

    Attributes:
        parameters: what is trained.
        decay: whether weight decay acts on them.
        learning_rate: their own; None for the outer loop's.
    """

    parameters: list[nn.Parameter]
    decay: bool = False
    learning_rate: float | None = None


class Adapter(nn.Module, Generic[BeliefT]):
    """Owns the meta-parameters, the dynamics model included. Beliefs are made of tensors with the batch axis first."""

    @property
    @abstractmethod
    def normalizer(self) -> Normalizer:
        """Statistics of the training data, in whose stds errors are counted."""

    @property
    def takes_pending(self) -> bool:
        """Whether plans may begin after actions that are pending, see `StepInputs`.

        Not where the predictor itself remembers what was sent: it would not know of the actions between its belief and the plan.
        """
        return True

    @property
    def carried(self) -> int:
        """How many transitions before a query training shows, where a belief is carried over more than K of them; 0 for K."""
        return 0

    @abstractmethod
    def prior(self, batch_size: int) -> BeliefT:
        """Belief about B robots before any transition."""

    @abstractmethod
    def update(self, belief: BeliefT, recent: Transitions) -> BeliefT:
        """Belief one control step later.

        Args:
            belief: the last one. A rule that looks at the whole window starts over from its prior by itself.
            recent: the last K transitions, of which the last one is new; those with ``valid == False`` have no influence.
        """

    @abstractmethod
    def infer(self, recent: Transitions) -> BeliefT:
        """Belief about robots of which nothing but `recent` is known; for training and diagnostics.

        Args:
            recent: K transitions, or more: what is carried from step to step is carried over all of them, and a rule that looks
                at the whole window sees the last K.
        """

    def infer_in_training(self, windows: Windows) -> BeliefT:
        """The belief under which the outer loop predicts the query.

        Args:
            windows: their `recent` has K transitions, or `carried` of them where that is more. Beside it a rule may use what is
                known in training only, such as the situation's number in `task`, but not the query, which is to be predicted.
        """
        return self.infer(windows.recent)

    def know_situations(self, known: KnownSituations, *, refit: bool) -> None:
        """Hear before a fit what is known of the training situations, for `infer_in_training`.

        Args:
            known: by the number in `Windows.task`.
            refit: whether statistics of these numbers are taken anew; otherwise they stay what the weights were trained with.
        """

    @abstractmethod
    def condition(self, belief: BeliefT, noise: Tensor | None = None) -> Predictor:
        """The dynamics under a belief.

        Args:
            belief: about B robots.
            noise: from `draw_noise`; a posterior then gives one sample for each particle, shared by all candidates of a planner.
                Without it the predictor is the posterior's mean.
        """

    def signs(self, belief: BeliefT) -> Tensor | None:
        """+1 for each action, -1 where its motor is believed to be wired backwards, (B, action_dim); None if nobody looks."""
        return None

    def draw_noise(self, belief: BeliefT, generator: torch.Generator) -> Tensor | None:
        """Random numbers for `condition`, shared by all robots; None where a belief is no distribution to sample from.

        Where each robot has its own noise, those of B robots are stacked along a new second axis, after the samples.
        """
        return None

    def loss_terms(self, belief: BeliefT, windows: Windows) -> dict[str, Tensor]:
        """What the outer loss has beside the prediction error of the query, by name, each (W,)."""
        return {}

    def parameter_groups(self) -> list[ParameterGroup]:
        """All trainable parameters; each belongs to exactly one group."""
        return [ParameterGroup([p for p in self.parameters() if p.requires_grad])]

    def last_weights(self) -> list[nn.Parameter]:
        """The last weights that all situations share, those of the output layer where there is one."""
        return [p for p in self.parameters() if p.requires_grad]
