"""An adapter of the ensemble: rules, one after the other, turn the network's own predictor into that of the belief."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import Adapter, KnownSituations, ParameterGroup
from adaptive_mbrl.adaptation.rule import AdaptationRule, RecursiveRule
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions

Beliefs = tuple[Any, ...]
"""One part for each rule."""


class NetworkAdapter(Adapter[Beliefs]):
    """The dynamics model and the rules that adapt it.

    Args:
        model: normalizer and network.
        rules: in the order in which they condition the predictor.
        window: K, of longer windows the part that a rule sees which is not carried from step to step; None for all of it.

    Raises:
        ConfigError: the rules cannot follow one another in this order.
    """

    def __init__(self, model: DynamicsModel, rules: Sequence[AdaptationRule[Any]], window: int | None = None) -> None:
        super().__init__()
        if any(rule.samples for rule in rules[:-1]):
            raise ConfigError("key 'adaptation': a rule with samples > 0 must be the last one; others cannot go on from samples")
        if any(isinstance(rule, RecursiveRule) for rule in rules[1:]):
            raise ConfigError(
                "key 'adaptation': a recursive rule such as recurrent must be the first one; what rules before it believe would "
                "change from step to step while it is carried along, and it is not trained on that"
            )
        self.model, self.window = model, window
        self.rules = nn.ModuleList(rules)

    @property
    def _rules(self) -> Sequence[AdaptationRule[Any]]:
        # the type as a string: a compiler cannot follow the expression
        return cast("Sequence[AdaptationRule[Any]]", self.rules)

    @property
    def normalizer(self) -> Normalizer:
        return self.model.normalizer

    @property
    def carried(self) -> int:
        return max((rule.carried for rule in self._rules), default=0)

    def prior(self, batch_size: int) -> Beliefs:
        return self._in_turn(lambda i, rule, base: rule.prior(batch_size, base))

    def update(self, belief: Beliefs, recent: Transitions) -> Beliefs:
        recent = recent.finite()
        return self._in_turn(lambda i, rule, base: rule.update(belief[i], recent, base))

    def infer(self, recent: Transitions) -> Beliefs:
        recent = recent.finite()
        return self._in_turn(lambda i, rule, base: rule.infer(self._seen(rule, recent), base))

    def infer_in_training(self, windows: Windows) -> Beliefs:
        given = windows.recent.obs.shape[1]
        if given < self.carried:
            raise ConfigError(
                f"the windows to train on have {given} transitions, and a rule is to be carried over {self.carried}; "
                "needed: a dataset whose window is Adapter.carried"
            )
        windows = windows._replace(recent=windows.recent.finite())
        return self._in_turn(lambda i, rule, base: rule.infer_in_training(self._windows_for(rule, windows), base))

    def know_situations(self, known: KnownSituations, *, refit: bool) -> None:
        for rule in self._rules:
            rule.know_situations(known, refit=refit)

    def condition(self, belief: Beliefs, noise: Tensor | None = None) -> NetworkPredictor:
        predictor = NetworkPredictor(self.model)
        for i, (rule, part) in enumerate(zip(self._rules, belief, strict=True)):
            # only the last rule may be sampled from
            predictor = rule.condition(predictor, part, noise if i + 1 == len(belief) else None)
        return predictor

    def draw_noise(self, belief: Beliefs, generator: torch.Generator) -> Tensor | None:
        return self._rules[-1].draw_noise(belief[-1], generator) if belief else None

    def loss_terms(self, belief: Beliefs, windows: Windows) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        predictor = NetworkPredictor(self.model)
        for i, (rule, part) in enumerate(zip(self._rules, belief, strict=True)):
            own = rule.loss_terms(part, self._windows_for(rule, windows), predictor)
            terms |= {f"{i}.{name}": term for name, term in own.items()}
            predictor = rule.condition(predictor, part)
        if self.model.config.learned_variance:
            terms["variance"] = variance_loss(predictor, windows)
        return terms

    def parameter_groups(self) -> list[ParameterGroup]:
        """The network's weights decay; its biases and modulation do not."""
        named = list(self.model.net.named_parameters())
        weights = [p for name, p in named if name.startswith("weight_")]
        others = [p for name, p in named if not name.startswith("weight_")]
        groups = [ParameterGroup(weights, decay=True), ParameterGroup(others)]
        return groups + [group for rule in self._rules for group in rule.parameter_groups() if group.parameters]

    def last_weights(self) -> list[nn.Parameter]:
        net = self.model.net
        return [net.get_parameter(f"weight_{net.num_layers - 1}")]

    def _seen(self, rule: AdaptationRule[Any], recent: Transitions) -> Transitions:
        """What a rule sees of windows that may be longer than K."""
        if self.window is None or isinstance(rule, RecursiveRule) or recent.obs.shape[1] <= self.window:
            return recent
        return recent.steps(slice(-self.window, None))

    def _windows_for(self, rule: AdaptationRule[Any], windows: Windows) -> Windows:
        return windows._replace(recent=self._seen(rule, windows.recent))

    def _in_turn(self, infer: Callable[[int, Any, NetworkPredictor], Any]) -> Beliefs:
        """The belief's parts, each inferred under the dynamics that the rules before it have made."""
        predictor, parts = NetworkPredictor(self.model), []
        for i, rule in enumerate(self._rules):
            parts.append(infer(i, rule, predictor))
            if i + 1 < len(self._rules):
                predictor = rule.condition(predictor, parts[-1])
        return tuple(parts)


def variance_loss(predictor: NetworkPredictor, windows: Windows) -> Tensor:
    """Gaussian negative log-likelihood of one step, (W,); its gradient does not pass through the predicted mean."""
    before, after = windows.obs[:, :-1], windows.obs[:, 1:]
    prediction = predictor.target(before, windows.action)
    squared = (prediction.mean.detach() - predictor.model.normalizer.target(before, after)).square()
    return (0.5 * squared * torch.exp(-2 * prediction.log_std) + prediction.log_std).mean((0, 2, 3))
