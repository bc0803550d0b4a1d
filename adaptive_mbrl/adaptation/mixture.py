r"""A bank of adapted models that are recalled when their situation returns: MOLe (Nagabandi et al. 2019, arXiv 1812.07671).

Each component i is a displacement phi_i of the network's input modulation. With every transition t, an online step of expectation
maximisation under a Chinese restaurant prior of concentration alpha:

    l_i <- gamma l_i + log p(y_t | phi_i),   w_i = n_i exp(l_i),   w_new = alpha exp(l_new)        (l_new: of phi = 0)
    where w_new is the largest, or there is no component yet: the slot with the smallest n becomes phi = 0, n = 0, l = l_new
    r = w / sum of w over the components
    phi_i <- phi_i - beta r_i / (1 + kappa n_i) grad |y_t - f(x_t, a_t; phi_i)|^2,   n_i <- n_i + r_i

The component with the largest r predicts; where there is none, the prior does. Three things differ from the paper. gamma lets
evidence of a situation that has passed fade. kappa makes the steps of an experienced component smaller: with a constant step
(kappa = 0, as published) a component follows a change as fast as a new one would, and the situation that it stood for is
overwritten. The density is hyperbolic, log p = -sum over channels of sqrt(1 + (e / sigma)^2) - 1: however large a spike of a
sensor is, it tells two components apart no further than their predictions are; with a Gaussian its size would decide. A full bank
gives up its least used component, which is the newest one until it has proved itself.

Training runs the same recursion over each window. The choice and r are constants for the outer gradient, as in any M step. It
flows through the chosen component's own steps from the prior and through beta, to first order, which is MAML with one component
as long as a window shows a single situation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.adaptation.belief import select
from adaptive_mbrl.adaptation.gradient import one_step_loss
from adaptive_mbrl.adaptation.inner_gradient import clipped, inner_gradient
from adaptive_mbrl.adaptation.rule import RecursiveRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network import MODULATION
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.pseudo_huber import pseudo_huber
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class MixtureConfig:
    """The bank.

    Attributes:
        max_components: C, size of the bank.
        concentration: alpha; 0 never opens a component after the first.
        forgetting: gamma, weight of a transition's likelihood relative to the next newer one.
        noise_std: sigma, size of an error that speaks against a component [target stds].
        learning_rate: where meta-learning of beta starts.
        step_decay: kappa; a component that has explained 1 / kappa transitions takes half the step of a new one.
        clip: largest norm of one component's gradient, because a bank does not forget a spike as a window does; 0 does not clip.
        step_size_learning_rate: the outer loop's rate for beta, which lives on a log scale, one for each tensor.
    """

    TAG: ClassVar[str] = "mixture"

    max_components: int = bounded(4, low=1, high=64)
    concentration: float = bounded(1.0, low=0.0)
    forgetting: float = bounded(0.7, low=0.0, high=0.999)
    noise_std: float = bounded(0.3, low=1e-3, high=1e3)
    learning_rate: float = bounded(0.3, low=1e-9)
    step_decay: float = bounded(0.3, low=0.0, high=100.0)
    clip: float = bounded(3.0, low=0.0)
    step_size_learning_rate: float = bounded(1e-2, low=0.0)

    def make(self, model: DynamicsModel, window: int) -> MixtureRule:
        """The rule for a model, whatever the window."""
        return MixtureRule(model, self)


class MixtureBelief(NamedTuple):
    """The bank.

    Attributes:
        moved: phi_i in the rule's order of names, each (B, C, P, 1, d).
        counts: n_i, transitions that each component has explained; 0 for a free slot, (B, C).
        evidence: l_i, and last l_new, (B, C + 1).
        responsibility: r_i for the newest transition, (B, C).
    """

    moved: tuple[Tensor, ...]
    counts: Tensor
    evidence: Tensor
    responsibility: Tensor


class MixtureRule(RecursiveRule[MixtureBelief]):
    """Expectation maximisation over a bank of modulations, one transition at a time.

    Args:
        model: gives the names and sizes of the modulation.
        config: the bank.
    """

    def __init__(self, model: DynamicsModel, config: MixtureConfig) -> None:
        super().__init__()
        parameters = model.net.parameters_by_name()
        self.names = [name for name in MODULATION if parameters[name].numel() > 0]
        self.config = config
        self.log_concentration = math.log(config.concentration) if config.concentration > 0 else -math.inf
        start = math.log(config.learning_rate)
        self.log_step_sizes = nn.ParameterDict({name: nn.Parameter(torch.tensor(start)) for name in self.names})

    def prior(self, batch_size: int, base: NetworkPredictor) -> MixtureBelief:
        values = [base.parameters[name] for name in self.names]
        empty = values[0].new_zeros(batch_size, self.config.max_components)
        moved = tuple(value.new_zeros(*empty.shape, *value.shape) for value in values)
        return MixtureBelief(moved, empty, empty.new_zeros(batch_size, self.config.max_components + 1), empty.clone())

    def advance(self, belief: MixtureBelief, newest: Transitions, base: NetworkPredictor) -> MixtureBelief:
        opened = self._explained(belief, newest, base)
        gradient = self._gradient(opened.moved, newest, base)
        before = opened.counts - opened.responsibility
        share = (opened.responsibility / (1 + self.config.step_decay * before))[..., None, None, None]
        steps = [self.log_step_sizes[name].exp() * share * g for name, g in zip(self.names, gradient, strict=True)]
        moved = tuple(value - step for value, step in zip(opened.moved, steps, strict=True))
        newer: MixtureBelief = select(newest.valid[:, 0], opened._replace(moved=moved), belief)
        return newer

    def condition(self, base: NetworkPredictor, belief: MixtureBelief, noise: Tensor | None = None) -> NetworkPredictor:
        likeliest = belief.responsibility.argmax(1)
        robots = torch.arange(len(likeliest), device=likeliest.device)
        # a free slot has not moved: without a component this is the prior
        return self._moved(base, tuple(value[robots, likeliest][:, None] for value in belief.moved))

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(list(self.parameters()), learning_rate=self.config.step_size_learning_rate)]

    @torch.no_grad()
    def _log_likelihood(self, moved: tuple[Tensor, ...], newest: Transitions, base: NetworkPredictor) -> Tensor:
        """log p of the newest transition under each of N displacements, mean over members, (B, N)."""
        tasks, num = moved[0].shape[:2]
        predicted = self._moved(base, moved).target(*newest.repeated(num)[:2]).mean
        target = base.model.normalizer.target(newest.obs, newest.next_obs)
        missed = (predicted.float().reshape(-1, tasks, num, target.shape[-1]) - target) / self.config.noise_std
        return -pseudo_huber(missed).sum(-1).mean(0)

    def _explained(self, belief: MixtureBelief, newest: Transitions, base: NetworkPredictor) -> MixtureBelief:
        """The E step: the bank, with a new component where that is more probable, and who is responsible."""
        with_prior = tuple(torch.cat([value, torch.zeros_like(value[:, :1])], dim=1) for value in belief.moved)
        evidence = self.config.forgetting * belief.evidence + self._log_likelihood(with_prior, newest, base)
        # the first transition opens a component in any case
        is_empty = belief.counts.sum(1, keepdim=True) == 0
        log_prior = torch.cat([belief.counts.log(), torch.where(is_empty, 0.0, self.log_concentration)], dim=1)
        log_weight = log_prior + evidence
        slots = torch.arange(self.config.max_components, device=evidence.device)
        opens = log_weight.argmax(1, keepdim=True) == self.config.max_components
        is_new = opens & (slots == belief.counts.argmin(1, keepdim=True))
        responsibility = torch.softmax(torch.where(is_new, log_weight[:, -1:], log_weight[:, :-1]), dim=1)
        return MixtureBelief(
            tuple(torch.where(is_new[..., None, None, None], 0.0, value) for value in belief.moved),
            torch.where(is_new, 0.0, belief.counts) + responsibility,
            torch.cat([torch.where(is_new, evidence[:, -1:], evidence[:, :-1]), evidence[:, -1:]], dim=1),
            responsibility,
        )

    def _gradient(self, moved: tuple[Tensor, ...], newest: Transitions, base: NetworkPredictor) -> tuple[Tensor, ...]:
        """Of the squared error of the newest transition under each component, without a derivative of its own; as `moved`."""
        fixed, repeated = base.detached(), newest.repeated(moved[0].shape[1])

        def total_loss(values: tuple[Tensor, ...]) -> Tensor:
            return one_step_loss(self._moved(fixed, values), repeated).sum()

        gradient = inner_gradient(total_loss, moved)
        # (B, C, P): each member is a model of its own
        return clipped(gradient, self.config.clip, axes=3)

    def _moved(self, base: NetworkPredictor, moved: tuple[Tensor, ...]) -> NetworkPredictor:
        """The dynamics of B N tasks, from displacements (B, N, P, 1, d)."""
        tasks = {name: value.flatten(0, 1).transpose(0, 1) for name, value in zip(self.names, moved, strict=True)}
        return base.with_parameters({name: base.parameters[name][:, None] + value for name, value in tasks.items()})
