"""Low-rank updates: the factors' steps equal gradients by the chain rule, and what they add to a weight has their rank."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.low_rank import LowRankFactors
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import finite_difference, mixed_adapter, mixed_model, mixed_transitions, query_windows
from tests.core.plain import plain_loss, rule_of
from tests.core.rules import answers, questions, row, stirred_adapter

TASKS, WINDOW, MEMBERS, RANK = 2, 5, 2, 2
HIDDEN = ("weight_0", "weight_1")
VALID = torch.tensor([[True] * WINDOW, [False, True, False, True, True]])


def adapter_with(**rule: object) -> NetworkAdapter:
    """In float64."""
    return mixed_adapter(parameters="low_rank", rank=RANK, **rule).double()


def window() -> Transitions:
    recent = mixed_transitions(TASKS, WINDOW)
    return Transitions(*(x.double() for x in recent[:3]), VALID)


def factors_of(adapter: NetworkAdapter, member: int) -> dict[str, Tensor]:
    return {name: value[member].detach().clone() for name, value in rule_of(adapter).factors.start().items()}


def plain_low_rank(adapter: NetworkAdapter, recent: Transitions, member: int, task: int) -> tuple[dict, dict]:
    """The factors and weights after all steps; the gradient of A is G B^T and that of B is A^T G, with G that of the weight."""
    rule = rule_of(adapter)
    own = {name: value[member].detach() for name, value in adapter.model.net.named_parameters()}
    factors, weights = factors_of(adapter, member), {name: own[name] for name in HIDDEN}
    sizes = {}
    for key, value in rule.log_step_sizes.items():
        sizes[key] = value.detach().exp()[member if len(value) > 1 else 0]
    for _ in range(rule.config.steps):
        leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
        gradients = torch.autograd.grad(plain_loss({**own, **leaves}, recent, task, adapter), list(leaves.values()))
        for name, g in zip(leaves, gradients, strict=True):
            a, b = factors[f"{name}_a"], factors[f"{name}_b"]
            factors[f"{name}_a"] = a - sizes[f"{name}_a"] * (g @ b.T)
            factors[f"{name}_b"] = b - sizes[f"{name}_b"] * (a.T @ g)
            weights[name] = own[name] + factors[f"{name}_a"] @ factors[f"{name}_b"]
    return factors, weights


@pytest.mark.parametrize("step_sizes", ["per_tensor", "per_parameter"])
@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_inner_steps_are_those_of_the_chain_rule(steps: int, second_order: bool, step_sizes: str):
    adapter, recent = adapter_with(steps=steps, second_order=second_order, step_sizes=step_sizes), window()

    beliefs = adapter.infer(recent)

    parameters, moved = adapter.condition(beliefs).parameters, dict(zip(rule_of(adapter).names, beliefs[0].moved, strict=True))
    for member in range(MEMBERS):
        start = factors_of(adapter, member)
        for task in range(TASKS):
            factors, weights = plain_low_rank(adapter, recent, member, task)
            assert set(factors) == set(moved)
            for name, value in factors.items():
                torch.testing.assert_close(start[name] + moved[name][task, member], value, rtol=1e-9, atol=1e-12)
            for name, value in weights.items():
                torch.testing.assert_close(parameters[name][member, task], value, rtol=1e-9, atol=1e-12)
                assert (value - getattr(adapter.model.net, name)[member]).abs().max() > 1e-3


@torch.no_grad()
def test_what_is_added_to_a_weight_has_the_rank_of_the_factors():
    adapter = adapter_with(steps=3, learning_rate=0.3)
    own = dict(adapter.model.net.named_parameters())

    parameters = adapter.condition(adapter.infer(window())).parameters

    assert {name for name, value in parameters.items() if value is not own[name]} == set(HIDDEN)
    for name in HIDDEN:
        singular = torch.linalg.svdvals(parameters[name] - own[name][:, None])
        assert (singular[..., RANK - 1] > 1e-6).all()
        assert (singular[..., RANK:] < 1e-12).all()


@torch.no_grad()
@pytest.mark.parametrize("rank", [1, 8])
def test_a_first_step_is_on_average_that_of_the_whole_weight(rank: int):
    """Over many draws of A the mean of A A^T is the identity, whatever the rank."""
    torch.manual_seed(0)
    a = LowRankFactors(mixed_model(members=4000), rank).start()["weight_1_a"]

    mean = (a @ a.mT).mean(0)

    assert (mean - torch.eye(len(mean))).abs().max() < 0.15


def test_factors_are_drawn_from_the_seed():
    def drawn(seed: int) -> Tensor:
        config = GradientConfig(parameters="low_rank", seed=seed)
        return rule_of(make_adapter(mixed_model(), (config,), WINDOW)).factors.start()["weight_0_a"]

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


@pytest.mark.parametrize("steps", [1, 2])
def test_the_outer_gradient_equals_finite_differences(steps: int):
    """Of every meta-parameter, A among them."""
    adapter, windows = adapter_with(steps=steps), query_windows()

    def loss() -> Tensor:
        return multi_step_loss(adapter.condition(adapter.infer(windows.recent)), windows).mean()

    named = dict(adapter.named_parameters())
    gradient = dict(zip(named, torch.autograd.grad(loss(), list(named.values())), strict=True))

    assert any(name.endswith("factors.a.weight_0") for name in named)
    for name, parameter in named.items():
        for index in range(0, parameter.numel(), max(1, parameter.numel() // 4)):
            with torch.no_grad():
                measured = finite_difference(loss, parameter, index)
            assert gradient[name].view(-1)[index].item() == pytest.approx(measured, rel=1e-5, abs=1e-8), f"{name}[{index}]"


@torch.no_grad()
def test_it_goes_on_from_weights_that_each_robot_has_of_its_own():
    low_rank = GradientConfig(parameters="low_rank", learning_rate=0.1, rank=RANK)
    adapter = stirred_adapter((GradientConfig(parameters="all", steps=1, learning_rate=0.02), low_rank))
    recent, (obs, action) = mixed_transitions(TASKS, WINDOW), questions(TASKS)

    together = answers(adapter, adapter.infer(recent), obs, action)

    for task in range(TASKS):
        one = slice(task, task + 1)
        mean, *_ = answers(adapter, adapter.infer(row(recent, task)), obs[one], action[one])
        torch.testing.assert_close(mean, together[0][one])


def test_a_network_without_hidden_weights_is_refused():
    with pytest.raises(ConfigError, match=r"key 'model\.hidden': empty; low_rank needs at least one hidden layer") as caught:
        make_adapter(mixed_model(hidden=()), (GradientConfig(parameters="low_rank"),), WINDOW)

    assert "\n" not in str(caught.value)
