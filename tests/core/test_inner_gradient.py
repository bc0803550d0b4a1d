"""The gradient of an inner loss: the same either way, and differentiable where that was asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.inner_gradient import inner_gradient
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from tests.core.analytic import mixed_model

X, Y = torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])


def loss(values: tuple[Tensor, ...]) -> Tensor:
    """x^3 + x y, whose gradient is (3 x^2 + y, sum of x)."""
    x, y = values
    return (x**3).sum() + (x * y).sum()


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_the_gradient_is_taken_with_respect_to_every_value(differentiable: bool, enabled: bool):
    with torch.set_grad_enabled(enabled):
        of_x, of_y = inner_gradient(loss, (X, Y), differentiable=differentiable)

    assert of_x.tolist() == [6.0, 15.0]
    assert of_y.tolist() == [[3.0]]
    assert not X.requires_grad


def test_it_has_a_derivative_only_where_that_was_asked_for():
    x, factor = X.clone().requires_grad_(), torch.tensor(2.0, requires_grad=True)

    def scaled(values: tuple[Tensor, ...]) -> Tensor:
        return factor * loss((*values, Y))

    (constant,) = inner_gradient(scaled, (x,))
    (gradient,) = inner_gradient(scaled, (x,), differentiable=True)
    gradient.sum().backward()

    assert not constant.requires_grad
    assert x.grad is not None
    assert x.grad.tolist() == [12.0, 24.0]
    assert factor.grad is not None
    assert factor.grad.item() == 21.0


def test_a_parameter_has_an_axis_for_the_robots_whether_they_share_it_or_not():
    base = NetworkPredictor(mixed_model())
    gain = base.parameters["action_gain"]
    own = gain[:, None] * torch.ones(5, 1, 1)

    assert torch.equal(base.per_robot("action_gain"), gain[:, None])
    assert base.with_parameters({"action_gain": own}).per_robot("action_gain") is own
    assert all(not value.requires_grad for value in base.detached().parameters.values())
