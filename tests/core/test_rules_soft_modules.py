"""Routed modules against a loop over modules and connections, and what the routing is without data."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, Rules, make_adapter
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.adaptation.soft_modules import Router, SoftModulesConfig, SoftModulesRule
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, mixed_model, mixed_transitions
from tests.core.rules import WINDOW, questions, row, stirred_adapter

MODULES, HIDDEN = 3, (12, 9, 6, 6)
CONFIG = SoftModulesConfig(modules=MODULES, hidden=16, heads=2, code_dim=4)
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, True], [False] * 5 + [True]])
TASKS = len(VALID)


def adapter_with(rules: Rules = (CONFIG,)) -> NetworkAdapter:
    return stirred_adapter(rules, mixed_model(hidden=HIDDEN)).double()


def window(valid: Tensor = VALID) -> Transitions:
    recent = mixed_transitions(TASKS, WINDOW)
    return Transitions(*(x.double() for x in recent[:3]), valid)


def rule_of(adapter: NetworkAdapter) -> SoftModulesRule:
    (rule,) = (rule for rule in adapter.rules if isinstance(rule, SoftModulesRule))
    return rule


def plain_routing(router: Router, code: Tensor) -> list[list[list[Tensor]]]:
    """Of one code: for each pair of layers the probability that module j listens to module i, as [i][j]."""
    embedded = router.embedding.weight @ code
    gated, routing = embedded, []
    for layer, head in enumerate(router.heads):
        if routing:
            factors = torch.stack([MODULES * p for row in routing[-1] for p in row])
            gate = router.gates[layer - 1]
            gated = (gate.weight @ factors + gate.bias) * embedded
        logits = head.weight @ (gated * torch.sigmoid(gated))
        strengths = [[logits[i * MODULES + j].exp() for j in range(MODULES)] for i in range(MODULES)]
        totals = [sum(strengths[i][j] for i in range(MODULES)) for j in range(MODULES)]
        routing.append([[strengths[i][j] / totals[j] for j in range(MODULES)] for i in range(MODULES)])
    return routing


def block(x: Tensor, number: int, axis: int = 0) -> Tensor:
    """One module's part of an axis."""
    size = x.shape[axis] // MODULES
    return x.narrow(axis, number * size, size)


def plain_output(parameters: dict[str, Tensor], routing: list, obs: Tensor, action: Tensor, adapter: NetworkAdapter) -> Tensor:
    """One member's output for one question, module by module."""
    statistics = adapter.normalizer
    x = (obs - statistics.obs_mean) / statistics.obs_std
    limits = torch.tensor([[a.low, a.high] for a in MIXED.action], dtype=torch.float64)
    a = 2 * (action - limits[:, 0]) / (limits[:, 1] - limits[:, 0]) - 1
    encoded = torch.stack([x[0], x[2], x[3], obs[1].sin(), obs[1].cos()])
    inputs = torch.cat([encoded, parameters["action_gain"][0] * a, parameters["context"][0]])
    weight, bias = parameters["weight_0"], parameters["bias_0"][0]
    modules = [torch.tanh(inputs @ block(weight, j, 1) + block(bias, j)) for j in range(MODULES)]
    for layer, probabilities in enumerate(routing, start=1):
        weight, bias = parameters[f"weight_{layer}"], parameters[f"bias_{layer}"][0]
        heard = []
        for j in range(MODULES):
            total = block(bias, j)
            for i in range(MODULES):
                total = total + MODULES * probabilities[i][j] * (modules[i] @ block(block(weight, i), j, 1))
            heard.append(torch.tanh(total))
        modules = heard
    last = len(HIDDEN)
    return torch.cat(modules) @ parameters[f"weight_{last}"] + parameters[f"bias_{last}"][0]


@pytest.mark.parametrize("before", [None, GradientConfig(parameters="all", steps=1, learning_rate=0.02)], ids=["alone", "after"])
@torch.no_grad()
def test_the_predictor_is_that_of_modules_which_listen_to_modules(before: GradientConfig | None):
    """Also where a rule before it has given each robot weights of its own."""
    rules: Rules = (CONFIG,) if before is None else (before, CONFIG)
    adapter, recent = adapter_with(rules), window()
    obs, action = (x.double() for x in questions(TASKS, 2))
    belief = adapter.infer(recent)
    base = NetworkPredictor(adapter.model)
    if before is not None:
        base = adapter.rules[0].condition(base, belief[0])

    said = adapter.condition(belief).target(obs, action).mean

    for task in range(TASKS):
        routing = plain_routing(rule_of(adapter).router, belief[-1].code[task])
        assert len(routing) == len(HIDDEN) - 1
        for member in range(adapter.model.net.members):
            own = {name: base.per_robot(name)[member].expand(TASKS, -1, -1)[task] for name in base.parameters}
            for n in range(obs.shape[1]):
                expected = plain_output(own, routing, obs[task, n], action[task, n], adapter)
                torch.testing.assert_close(said[member, task, n], expected, rtol=1e-10, atol=1e-12)


@torch.no_grad()
def test_each_layers_routing_depends_on_the_window_and_on_the_routing_before_it():
    adapter = adapter_with()
    router, code = rule_of(adapter).router, adapter.infer(window())[0].code
    factors = router(code)
    assert all((f[0] - f[1]).abs().max() > 1e-3 for f in factors)

    router.heads[0].weight += 0.3
    router.heads[0].weight[0] += 1.0

    assert all((f - g).abs().max() > 1e-5 for f, g in zip(factors, router(code), strict=True))


@pytest.mark.parametrize("modules", [2, 3, 41, 47, 61])
@torch.no_grad()
def test_without_data_the_network_is_unchanged_to_the_last_digit(modules: int):
    """Numbers whose reciprocal times themselves is not 1 in float32 are among them."""
    config = SoftModulesConfig(modules=modules, hidden=16, heads=2, code_dim=4)
    adapter = stirred_adapter((config,), mixed_model(hidden=(modules, 2 * modules, modules)))
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=torch.zeros_like(VALID))

    for belief in (adapter.prior(TASKS), adapter.infer(recent)):
        predictor = adapter.condition(belief)
        for name, own in adapter.model.net.parameters_by_name().items():
            assert torch.equal(predictor.per_robot(name), own[:, None].expand_as(predictor.per_robot(name)))


@torch.no_grad()
def test_a_bayesian_last_layer_goes_on_from_the_routed_features():
    """Between other rules, it is as if each robot's network had the routed weights itself."""
    adapter = stirred_adapter((NoneConfig(), CONFIG, BayesLinearConfig()), mixed_model(hidden=HIDDEN))
    recent, (obs, action) = mixed_transitions(TASKS, WINDOW)._replace(valid=VALID), questions(TASKS)
    belief = adapter.infer(recent)
    said = adapter.condition(belief).target(obs, action).mean
    routed = rule_of(adapter).condition(NetworkPredictor(adapter.model), belief[1])

    alone = make_adapter(adapter.model, (BayesLinearConfig(),), WINDOW)
    alone.rules[0].load_state_dict(adapter.rules[2].state_dict())
    for task in range(TASKS):
        for name in rule_of(adapter).routed:
            adapter.model.net.get_parameter(name).copy_(routed.parameters[name][:, task])
        own = slice(task, task + 1)
        expected = alone.condition(alone.infer(row(recent, task))).target(obs[own], action[own]).mean
        torch.testing.assert_close(said[:, own], expected, rtol=1e-4, atol=1e-5)


def test_initial_weights_are_drawn_from_the_seed():
    def drawn(seed: int) -> Tensor:
        config = SoftModulesConfig(modules=2, hidden=8, seed=seed)
        return make_adapter(mixed_model(hidden=(4, 4)), (config,), WINDOW).rules[0].router.heads[0].weight

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ((12,), r"key 'model\.hidden': \[12\]; soft_modules needs at least two hidden layers"),
        ((), r"key 'model\.hidden': \[\]; soft_modules needs at least two hidden layers"),
        (
            (24, 18),
            r"key 'adaptation\.soft_modules\.modules': 4 does not divide all widths of model\.hidden, \[24, 18\]; "
            r"allowed: 2, 3, 6$",
        ),
        ((7, 5), r"does not divide all widths of model\.hidden, \[7, 5\]; allowed: none with these widths$"),
    ],
)
def test_networks_that_have_no_such_modules_are_refused(hidden: tuple[int, ...], message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        make_adapter(mixed_model(hidden=hidden), (SoftModulesConfig(),), WINDOW)

    assert "\n" not in str(caught.value)
