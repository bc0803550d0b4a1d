"""Planners against the optimum: on a linear system with a quadratic reward, LQR is the best that there is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.planning import (
    CEMConfig,
    GradientPlannerConfig,
    ICEMConfig,
    MPPIConfig,
    Planner,
    PlannerConfig,
    RandomShootingConfig,
    SamplingPlanner,
    make_planner,
)
from tests.core.cart import CART, QUADRATIC, STARTS, A, B, Q, R, linear_rollout, no_goal, plan_step

STEPS = 30
SETTINGS: dict[str, PlannerConfig] = {
    "cem": CEMConfig(horizon=15, num_samples=256, num_iterations=5, num_elites=20),
    "icem": ICEMConfig(horizon=15, num_samples=200, num_iterations=5, num_elites=20, noise_beta=1.0),
    "mppi": MPPIConfig(
        horizon=15, num_samples=256, num_iterations=6, noise_beta=1.0, temperature=0.1, sigma=0.4, sigma_decay=0.5
    ),
    "random_shooting": RandomShootingConfig(horizon=15, num_samples=512, num_iterations=1),
    "gradient": GradientPlannerConfig(horizon=15, num_samples=4, num_iterations=10, step_size=0.1),
}


def lqr_return(start: Tensor) -> Tensor:
    """The optimum over STEPS steps, by the backward Riccati recursion."""
    value, gains = torch.zeros(2, 2), []
    for _ in range(STEPS):
        ahead = Q + value
        gain = torch.linalg.solve(R + B.T @ ahead @ B, B.T @ ahead @ A)
        gains.append(gain)
        value = A.T @ ahead @ (A - B @ gain)
    x, total = start, torch.zeros(len(start))
    for gain in reversed(gains):
        action = -x @ gain.T
        assert action.abs().max() < 5.0
        following = x @ A.T + action @ B.T
        total += QUADRATIC(x, action, following, no_goal(len(x)))
        x = following
    return total


def planned_return(planner: Planner, start: Tensor) -> tuple[Tensor, int]:
    """Return of the closed loop (plan, send the first action, repeat), and the candidates scored in one control step."""
    state, x, total, scored = planner.init(len(start)), start, torch.zeros(len(start)), 0
    for step in range(STEPS):
        future = linear_rollout(x)

        def counting(actions: Tensor, step: int = step, future=future) -> Tensor:
            nonlocal scored
            scored += actions.shape[1] if step == 0 else 0
            return future(actions)

        state, plan = plan_step(planner, state, counting, QUADRATIC, x)
        action = plan.actions[:, 0]
        following = x @ A.T + action @ B.T
        total += QUADRATIC(x, action, following, no_goal(len(x)))
        x = following
    return total, scored


@pytest.mark.parametrize("method", ["cem", "icem", "mppi", "gradient"])
def test_the_planner_reaches_the_lqr_return_within_five_percent(method: str):
    optimum = lqr_return(STARTS)

    reached, _ = planned_return(make_planner(CART, SETTINGS[method]), STARTS)

    assert (reached <= optimum + 1e-4).all()
    assert (reached >= 1.05 * optimum).all(), reached / optimum


def test_planning_by_gradient_does_with_few_candidates_what_sampling_needs_many_for():
    gradient, sampling = (planned_return(make_planner(CART, SETTINGS[m]), STARTS)[1] for m in ("gradient", "icem"))

    assert gradient < sampling / 20


class Idle(SamplingPlanner):
    """Sends zeros."""

    def sample(self, state, noise, iteration):
        return torch.zeros(state.mean.shape[0], 1, *state.mean.shape[1:])

    def update(self, state, actions, returns):
        return state


def test_random_shooting_is_worse_than_lqr_but_far_better_than_nothing():
    optimum, (idle, _) = lqr_return(STARTS), planned_return(Idle(CART, SETTINGS["cem"]), STARTS)

    reached, _ = planned_return(make_planner(CART, SETTINGS["random_shooting"]), STARTS)

    assert (reached < 1.05 * optimum).all()
    assert (reached > 0.5 * idle).all(), reached / idle
