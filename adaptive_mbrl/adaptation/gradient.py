"""Gradient-based adaptation: GrBAL (Nagabandi et al. 2018, arXiv 1803.11347) on top of MAML (Finn et al. 2017).

    phi_0 = prior,   phi_{i+1} = phi_i - alpha * grad_phi L(D; phi_i),   b = phi_I

L is the one-step loss over the K recent transitions. phi is either every network parameter (GrBAL) or the input modulation
only (CAVIA, arXiv 1810.03642); alpha is fixed or meta-learned, per tensor (as in MAML++) or per parameter (Meta-SGD,
arXiv 1707.09835). First order (FOMAML) drops the derivative of the inner gradient from the outer one. All tasks are updated
at once: their losses are independent, so that the gradient of the sum holds each task's own gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import Adapter, one_step_loss
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel, Parameters
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class GradientConfig:
    """The inner update.

    Attributes:
        parameters: what is adapted: the input `modulation`, or `all` network parameters.
        steps: number of inner gradient steps.
        learning_rate: alpha, or where meta-learning of alpha starts.
        step_sizes: `fixed`, learned `per_tensor`, or learned `per_parameter`.
        second_order: differentiate through the inner gradient.
        clip: largest norm of one task's inner gradient; 0 does not clip.
    """

    parameters: Literal["modulation", "all"] = "modulation"
    steps: int = bounded(2, low=1, high=50)
    learning_rate: float = bounded(0.1, low=0.0)
    step_sizes: Literal["fixed", "per_tensor", "per_parameter"] = "per_tensor"
    second_order: bool = True
    clip: float = bounded(0.0, low=0.0)


class GradientBelief(NamedTuple):
    """Adapted parameters by name, each (E, B, ...)."""

    adapted: dict[str, Tensor]


class GradientAdapter(Adapter[GradientBelief]):
    """A few gradient steps on the recent transitions, from the prior.

    Args:
        model: the dynamics model.
        config: the inner update.
    """

    def __init__(self, model: DynamicsModel, config: GradientConfig) -> None:
        super().__init__(model)
        self.config = config
        shared = model.shared_parameters()
        self.names = [name for name in model.parameter_names(config.parameters) if shared[name].numel() > 0]
        learned = config.step_sizes != "fixed"
        self.log_step_sizes = nn.ParameterDict()
        for name in self.names:
            shape = shared[name].shape if config.step_sizes == "per_parameter" else (1,) * shared[name].dim()
            start = torch.full(shape, config.learning_rate).log() if config.learning_rate > 0 else torch.full(shape, -torch.inf)
            self.log_step_sizes[name] = nn.Parameter(start, requires_grad=learned)

    def prior(self, batch_size: int) -> GradientBelief:
        shared = self.model.shared_parameters()
        return GradientBelief({n: shared[n][:, None].expand(-1, batch_size, *shared[n].shape[1:]) for n in self.names})

    def parameters_of(self, belief: GradientBelief) -> Parameters:
        return {**self.model.shared_parameters(), **belief.adapted}

    def update(self, belief: GradientBelief, recent: Transitions) -> GradientBelief:
        """Gradient steps from `belief`; a robot without valid transitions keeps it."""
        adapted = belief.adapted
        for _ in range(self.config.steps):
            gradient = self._clipped(self._inner_gradient(adapted, recent))
            adapted = {n: value - self.log_step_sizes[n].exp()[:, None] * gradient[n] for n, value in adapted.items()}
        return GradientBelief(adapted)

    def select(self, use_first: Tensor, first: GradientBelief, second: GradientBelief) -> GradientBelief:
        chosen = {}
        for name, value in first.adapted.items():
            mask = use_first.reshape(1, -1, *(1,) * (value.dim() - 2))
            chosen[name] = torch.where(mask, value, second.adapted[name])
        return GradientBelief(chosen)

    def _inner_gradient(self, adapted: dict[str, Tensor], recent: Transitions) -> dict[str, Tensor]:
        def total_loss(values: dict[str, Tensor], shared: dict[str, Tensor]) -> Tensor:
            return one_step_loss(self.model, {**shared, **values}, recent).sum()

        shared = self.model.shared_parameters()
        # only torch.func can be followed by a compiler, and differentiated again
        if torch.compiler.is_compiling() or (self.config.second_order and torch.is_grad_enabled()):
            gradient: dict[str, Tensor] = torch.func.grad(total_loss)(adapted, shared)
            return gradient
        # a constant for the first-order rule and for the control step: without a second derivative it takes half the time
        values = {name: value.detach().requires_grad_() for name, value in adapted.items()}
        constant = {name: value.detach() for name, value in shared.items()}
        with torch.enable_grad():
            gradients = torch.autograd.grad(total_loss(values, constant), list(values.values()))
        return dict(zip(values, gradients, strict=True))

    def _clipped(self, gradient: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.config.clip == 0:
            return gradient
        squared = torch.stack([g.square().flatten(2).sum(-1) for g in gradient.values()]).sum(0)
        scale = (self.config.clip / (squared + 1e-12).sqrt()).clamp(max=1)
        return {name: g * scale.reshape(*scale.shape, *(1,) * (g.dim() - 2)) for name, g in gradient.items()}
