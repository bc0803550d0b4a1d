"""Gradient-based adaptation: GrBAL (Nagabandi et al. 2018, arXiv 1803.11347) on top of MAML (Finn et al. 2017).

    phi_0 = prior,   phi_{i+1} = phi_i - alpha * grad_phi L(D; phi_i),   b = phi_I - phi_0

L is the one-step loss over the K recent transitions. phi is every network parameter (GrBAL), the input modulation (CAVIA, arXiv
1810.03642), the last layer, or low-rank factors of the hidden layers' weights (LoRA, see `low_rank.py`); alpha is fixed or
meta-learned, per tensor (as in MAML++) or per parameter (Meta-SGD, arXiv 1707.09835). First order (FOMAML) drops the derivative
of the inner gradient from the outer one; Reptile moves phi without an outer gradient (see `reptile.py`). All tasks are updated at
once: their losses are independent, so that the gradient of the sum holds each task's own gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.adaptation.inner_gradient import clipped, inner_gradient
from adaptive_mbrl.adaptation.low_rank import LowRankFactors
from adaptive_mbrl.adaptation.reptile import pull, without_start
from adaptive_mbrl.adaptation.rule import AdaptationRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network import MODULATION, Parameters
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions

InnerLoss = Callable[[NetworkPredictor], Tensor]
"""Maps the dynamics of T tasks to the inner loss of each, (P, T)."""


@dataclass(frozen=True)
class GradientConfig:
    """The inner update. The defaults are those of the shipped checkpoints that have this rule.

    Attributes:
        parameters: what is adapted: the input `modulation`, the `last_layer`, `low_rank` updates of the hidden layers' weights,
            or `all` network parameters.
        steps: number of inner gradient steps.
        learning_rate: alpha, or where meta-learning of alpha starts. The default is for the modulation; 1e-3 to 1e-2 are
            usual for weights.
        step_sizes: `fixed`, learned `per_tensor`, or learned `per_parameter`.
        second_order: differentiate through the inner gradient.
        clip: largest norm of one task's inner gradient; 0 does not clip.
        step_size_learning_rate: the outer loop's rate for learned step sizes, which live on a log scale.
        rank: of the `low_rank` updates.
        seed: fixes the initial factors of the `low_rank` updates.
        reptile: the prior moves towards where inner steps on a window and its query lead, instead of down the gradient of the
            query loss. It needs `fixed` step sizes, which get no gradient.
    """

    TAG: ClassVar[str] = "gradient"

    parameters: Literal["modulation", "last_layer", "low_rank", "all"] = "modulation"
    steps: int = bounded(2, low=1, high=50)
    learning_rate: float = bounded(1.0, low=0.0)
    step_sizes: Literal["fixed", "per_tensor", "per_parameter"] = "per_tensor"
    second_order: bool = False
    clip: float = bounded(0.0, low=0.0)
    step_size_learning_rate: float = bounded(1e-2, low=0.0)
    rank: int = bounded(4, low=1, high=256)
    seed: int = bounded(0, low=0, high=2**31 - 1)
    reptile: bool = False

    def __post_init__(self) -> None:
        if not self.reptile:
            return
        if self.step_sizes != "fixed":
            raise ConfigError(f"reptile gives step sizes no gradient, got step_sizes: {self.step_sizes}; allowed: fixed")
        if self.second_order:
            raise ConfigError("reptile is first order, got second_order: true, too; allowed: one of them")
        if self.learning_rate == 0:
            raise ConfigError("reptile moves the prior as inner steps do, got learning_rate: 0; allowed: above 0")

    def make(self, model: DynamicsModel, window: int) -> GradientRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return GradientRule(model, self)


class GradientBelief(NamedTuple):
    """How far the adapted parameters have moved from where they started, in the rule's order of names, each (B, P, ...)."""

    moved: tuple[Tensor, ...]


class ReptileBelief(GradientBelief):
    """The belief of a training by Reptile: the query loss under it has no gradient with respect to the start."""


class GradientRule(AdaptationRule[GradientBelief]):
    """A few gradient steps on the recent transitions, from the prior.

    Args:
        model: gives the names and shapes of the parameters.
        config: the inner update.

    Raises:
        ConfigError: Reptile would leave the outputs of a learned variance untrained.
    """

    def __init__(self, model: DynamicsModel, config: GradientConfig) -> None:
        super().__init__()
        if config.reptile and model.config.learned_variance and config.parameters in ("last_layer", "all"):
            raise ConfigError(
                f"key 'model.learned_variance': with reptile and parameters: {config.parameters} nothing would train it, because "
                "the inner loss does not depend on it; allowed: false, or parameters: modulation or low_rank"
            )
        self.config = config
        self.factors = LowRankFactors(model, config.rank) if config.parameters == "low_rank" else None
        parameters = model.net.parameters_by_name() if self.factors is None else self.factors.start()
        last = model.net.num_layers - 1
        chosen = {"modulation": MODULATION, "last_layer": (f"weight_{last}", f"bias_{last}")}
        names = chosen.get(config.parameters, tuple(parameters))
        self.names = [name for name in names if parameters[name].numel() > 0]
        learned = config.step_sizes != "fixed"
        self.log_step_sizes = nn.ParameterDict()
        for name in self.names:
            shape = parameters[name].shape if config.step_sizes == "per_parameter" else (1,) * parameters[name].dim()
            start = torch.full(shape, config.learning_rate).log() if config.learning_rate > 0 else torch.full(shape, -torch.inf)
            self.log_step_sizes[name] = nn.Parameter(start, requires_grad=learned)

    def prior(self, batch_size: int, base: NetworkPredictor) -> GradientBelief:
        start = self._start(base, batch_size)
        return GradientBelief(tuple(torch.zeros_like(value).transpose(0, 1) for value in start.values()))

    def update(self, belief: GradientBelief, recent: Transitions, base: NetworkPredictor) -> GradientBelief:
        """Gradient steps from the prior, whatever the last belief was; a robot without valid transitions keeps the prior."""
        start = self._start(base, len(recent.obs))
        moved = self._moved(start, {name: torch.zeros_like(value) for name, value in start.items()}, recent, base)
        return GradientBelief(tuple(value.transpose(0, 1) for value in moved.values()))

    def infer_in_training(self, windows: Windows, base: NetworkPredictor) -> GradientBelief:
        belief = self.infer(windows.recent, base)
        if not self.config.reptile:
            return belief
        start = self._start(base, len(windows.obs)).values()
        moved = zip(belief.moved, start, strict=True)
        return ReptileBelief(tuple(without_start(value, first.transpose(0, 1)) for value, first in moved))

    def loss_terms(self, belief: GradientBelief, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """The pull of Reptile under the belief of a training."""
        if not isinstance(belief, ReptileBelief):
            return {}
        known = torch.ones(windows.action.shape[:2], dtype=torch.bool, device=windows.action.device)
        query = Transitions(windows.obs[:, :-1], windows.action, windows.obs[:, 1:], known)
        start = self._start(base, len(windows.obs))
        moved = {name: value.detach().transpose(0, 1) for name, value in zip(self.names, belief.moved, strict=True)}
        moved = self._moved({name: value.detach() for name, value in start.items()}, moved, query, base)
        scale = self.config.learning_rate * 2 * self.config.steps * base.model.net.members * base.model.spec.obs_dim
        return {"reptile": pull(start.values(), moved.values(), scale)}

    def condition(self, base: NetworkPredictor, belief: GradientBelief, noise: Tensor | None = None) -> NetworkPredictor:
        start = self._start(base, len(belief.moved[0])) if belief.moved else {}
        moved = dict(zip(self.names, belief.moved, strict=True))
        adapted = {name: value + moved[name].transpose(0, 1) for name, value in start.items()}
        return self._adapted(base, adapted)

    def inner_loss(self, recent: Transitions, base: NetworkPredictor) -> InnerLoss:
        """What the steps descend; arguments as in `update`."""
        return lambda adapted: one_step_loss(adapted, recent)

    def parameter_groups(self) -> list[ParameterGroup]:
        learned = [p for p in self.log_step_sizes.parameters() if p.requires_grad]
        groups = [ParameterGroup(learned, learning_rate=self.config.step_size_learning_rate)]
        return groups if self.factors is None else [*groups, ParameterGroup(list(self.factors.parameters()))]

    def _moved(
        self, start: dict[str, Tensor], moved: dict[str, Tensor], recent: Transitions, base: NetworkPredictor
    ) -> dict[str, Tensor]:
        """How far from their start parameters are after the inner steps, having moved before; each (P, B, ...)."""
        loss = self.inner_loss(recent, base)
        for _ in range(self.config.steps):
            gradient = self._inner_gradient({n: start[n] + moved[n] for n in start}, loss, base)
            gradient = dict(zip(gradient, clipped(tuple(gradient.values()), self.config.clip, axes=2), strict=True))
            moved = {n: value - self.log_step_sizes[n].exp()[:, None] * gradient[n] for n, value in moved.items()}
        return moved

    def _start(self, base: NetworkPredictor, batch_size: int) -> dict[str, Tensor]:
        """Where the adapted parameters start, each (P, B, ...)."""
        if self.factors is None:
            start = {name: base.per_robot(name) for name in self.names}
        else:
            start = {name: value[:, None] for name, value in self.factors.start().items()}
        return {name: value.expand(-1, batch_size, -1, -1) for name, value in start.items()}

    def _adapted(self, base: NetworkPredictor, values: Parameters) -> NetworkPredictor:
        """The dynamics with the adapted parameters, each (P, B, ...)."""
        return base.with_parameters(values if self.factors is None else self.factors.weights(base, values))

    def _inner_gradient(self, adapted: dict[str, Tensor], loss: InnerLoss, base: NetworkPredictor) -> dict[str, Tensor]:
        # a constant for the first-order rule and for the control step: without a second derivative it takes half the time
        differentiable = self.config.second_order and torch.is_grad_enabled()
        start = base if differentiable else base.detached()

        def total_loss(values: tuple[Tensor, ...]) -> Tensor:
            return loss(self._adapted(start, dict(zip(adapted, values, strict=True)))).sum()

        gradient = inner_gradient(total_loss, tuple(adapted.values()), differentiable=differentiable)
        return dict(zip(adapted, gradient, strict=True))


def one_step_loss(predictor: NetworkPredictor, recent: Transitions) -> Tensor:
    """Mean squared one-step error of each task over its valid transitions.

    A learned variance does not enter: a likelihood would scale the inner step with the model's own certainty.

    Args:
        predictor: the dynamics of T tasks.
        recent: their transitions, finite also where they are not valid.

    Returns:
        (P, T): in squared target stds, summed over channels; 0 for a task without a valid transition.
    """
    predicted = predictor.target(recent.obs, recent.action).mean
    squared = (predicted - predictor.model.normalizer.target(recent.obs, recent.next_obs)).square()
    weight = recent.valid.to(squared)
    count = weight.sum(1).clamp(min=1)
    return (torch.where(recent.valid[..., None], squared, 0.0).sum(-1)).sum(-1) / count
