"""The outer gradient of gradient-based adaptation: the exact one equals finite differences, first order is FOMAML."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.belief import map_belief, tensors_of
from adaptive_mbrl.adaptation.network_adapter import Beliefs
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.meta.losses import multi_step_loss
from tests.core.analytic import finite_difference, mixed_adapter, query_windows
from tests.core.plain import rule_of


def outer_loss(adapter: NetworkAdapter, windows: Windows) -> Tensor:
    return multi_step_loss(adapter.condition(adapter.infer(windows.recent)), windows).mean()


def outer_gradient(adapter: NetworkAdapter, windows: Windows) -> dict[str, Tensor]:
    named = {n: p for n, p in adapter.named_parameters() if p.requires_grad}
    return dict(zip(named, torch.autograd.grad(outer_loss(adapter, windows), list(named.values())), strict=True))


@pytest.mark.parametrize(
    "rule",
    [
        {"parameters": "modulation", "steps": 2},
        {"parameters": "all", "steps": 2, "learning_rate": 0.02},
        {"parameters": "all", "steps": 1, "learning_rate": 0.02, "step_sizes": "per_parameter"},
        {"parameters": "modulation", "steps": 2, "clip": 0.3},
    ],
    ids=str,
)
def test_the_second_order_outer_gradient_equals_finite_differences(rule: dict):
    """Of every meta-parameter: initial weights, initial modulation and step sizes."""
    adapter, windows = mixed_adapter(**rule).double(), query_windows()

    gradient = outer_gradient(adapter, windows)

    for name, parameter in adapter.named_parameters():
        for index in range(0, parameter.numel(), max(1, parameter.numel() // 4)):
            with torch.no_grad():  # values only; the inner gradient does not need the outer graph
                measured = finite_difference(lambda: outer_loss(adapter, windows), parameter, index)
            assert gradient[name].view(-1)[index].item() == pytest.approx(measured, rel=1e-5, abs=1e-8), f"{name}[{index}]"


def gradient_at(adapter: NetworkAdapter, belief: Beliefs, windows: Windows) -> Beliefs:
    """The query loss's gradient with respect to a belief that is taken as a number."""
    fixed = map_belief(lambda t: t.detach().requires_grad_(), belief)
    loss = multi_step_loss(adapter.condition(fixed), windows).mean()
    gradients = iter(torch.autograd.grad(loss, tensors_of(fixed)))
    return map_belief(lambda t: next(gradients), fixed)


def relative_gap(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("steps", [1, 2])
def test_the_first_order_gradient_is_fomaml(steps: int):
    """With every parameter adapted: the query loss's gradient *at* the adapted parameters, summed over tasks; no Hessian."""
    settings = {"parameters": "all", "steps": steps, "learning_rate": 0.05, "step_sizes": "fixed"}
    first = mixed_adapter(**settings, second_order=False).double()
    second = mixed_adapter(**settings, second_order=True).double()
    windows = query_windows()

    got, exact = outer_gradient(first, windows), outer_gradient(second, windows)

    (formula,) = gradient_at(first, first.infer(windows.recent), windows)
    for name, value in zip(rule_of(first).names, formula.moved, strict=True):
        torch.testing.assert_close(got[f"model.net.{name}"], value.sum(0), rtol=1e-9, atol=1e-12)
    assert max(relative_gap(got[n], exact[n]) for n in exact) > 0.01


def test_first_order_still_learns_the_step_sizes():
    """d phi / d log alpha = -alpha * g, with the inner gradient g taken as a number."""
    adapter, windows = mixed_adapter(parameters="modulation", steps=1, second_order=False).double(), query_windows()

    gradient = outer_gradient(adapter, windows)

    (belief,) = adapter.infer(windows.recent)
    (slopes,) = gradient_at(adapter, (belief,), windows)
    for name, slope, moved in zip(rule_of(adapter).names, slopes.moved, belief.moved, strict=True):
        # -alpha * g is how far the update moved
        expected = (slope * moved).sum().detach()
        torch.testing.assert_close(gradient[f"rules.0.log_step_sizes.{name}"].sum(), expected, rtol=1e-9, atol=1e-12)
