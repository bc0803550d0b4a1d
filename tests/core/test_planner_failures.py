"""Predictions that are not finite: a plan never leads there, and a plan is finite whatever happens."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.planning import make_planner
from adaptive_mbrl.planning.score import FAILED_RETURN
from tests.core.cart import LARGER_IS_BETTER, METHODS, ONE, plan_step, small

SAMPLING = tuple(method for method in METHODS if method != "gradient")


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_a_rollout_that_is_not_finite_is_never_chosen(method: str, penalty: float, broken: float):
    """Larger actions look better, but above 0.2 one of the two particles breaks."""
    config = small(method, horizon=1, uncertainty_penalty=penalty, num_samples=128, num_elites=10, noise_beta=0.0)

    def rollout(actions: Tensor) -> Tensor:
        fine = actions[None]
        return torch.cat([fine, torch.where(actions[None].amax(-2, keepdim=True) > 0.2, broken, fine)])

    planner = make_planner(ONE, config)
    state = planner.init(3)
    for _ in range(3):
        state, plan = plan_step(planner, state, rollout, LARGER_IS_BETTER, torch.zeros(3, 1))

    assert (plan.actions <= 0.2 + 1e-5).all()
    assert (plan.actions >= -0.1).all()
    assert torch.isfinite(plan.predicted_return).all()


@pytest.mark.parametrize("method", SAMPLING)
def test_fewer_finite_rollouts_than_elites_are_enough(method: str):
    """Only a few actions above 0.8 give a finite rollout; the broken ones must not fill the elites' places."""
    settings = {"horizon": 1, "num_samples": 128, "num_elites": 30, "num_elites_kept": 0, "num_iterations": 1, "momentum": 0.0}
    finite = 0

    def rollout(actions: Tensor) -> Tensor:
        nonlocal finite
        finite = int((actions > 0.8).sum())
        return torch.where(actions > 0.8, -actions, math.nan)[None]

    planner = make_planner(ONE, small(method, **settings))
    _, plan = plan_step(planner, planner.init(1), rollout, LARGER_IS_BETTER, torch.zeros(1, 1))

    assert 0 < finite < 30
    assert plan.actions.item() > 0.8


@pytest.mark.parametrize("broken_particles", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_when_every_rollout_breaks_the_plan_is_still_finite(method: str, broken_particles: int):
    planner = make_planner(ONE, small(method, uncertainty_penalty=5.0))

    def rollout(actions: Tensor) -> Tensor:
        particles = torch.stack([actions, actions])
        particles[:broken_particles] = math.nan
        return particles

    state, plan = plan_step(planner, planner.init(2), rollout, LARGER_IS_BETTER, torch.zeros(2, 1))

    assert torch.isfinite(plan.actions).all()
    assert (plan.predicted_return >= FAILED_RETURN).all()
    assert torch.isfinite(state.mean).all()


def test_a_gradient_that_is_not_finite_moves_nothing():
    """The return is finite everywhere, but the slope of the square root at zero, where the nominal plan is, is not."""
    planner = make_planner(ONE, small("gradient", horizon=1, num_samples=1))

    def rollout(actions: Tensor) -> Tensor:
        return (0 * actions.sqrt() + actions)[None]

    _, plan = plan_step(planner, planner.init(1), rollout, LARGER_IS_BETTER, torch.zeros(1, 1))

    assert plan.actions.item() == 0.0
    assert plan.predicted_return.item() == 0.0
