"""A cart whose optimal control is known in closed form, and what the planners' tests share.

x' = A x + B a with reward -(x'ᵀ Q x' + R a²); the optimum never reaches the limits of the action.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from adaptive_mbrl.objective import Objective, RewardFunction, Term
from adaptive_mbrl.planning import (
    CEMConfig,
    GradientPlannerConfig,
    ICEMConfig,
    MPPIConfig,
    Plan,
    Planner,
    PlannerConfig,
    PlanState,
    RandomShootingConfig,
    Score,
)
from adaptive_mbrl.predictor import Trajectories
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec

Rollout = Callable[[Tensor], Tensor]
"""Candidates (B, N, H, action_dim) -> next observations of every particle, (P, B, N, H, obs_dim)."""

DT = 0.1
A = torch.tensor([[1.0, DT], [0.0, 1.0]])
B = torch.tensor([[0.5 * DT * DT], [DT]])
Q, R = torch.diag(torch.tensor([1.0, 0.1])), torch.tensor([[0.05]])
CART = RobotSpec("cart", DT, (Channel("x", "m"), Channel("v", "m/s", "velocity")), (ActionChannel("force", "N", -5.0, 5.0),))
QUADRATIC = Objective(
    CART, (Term("quadratic", 1.0, ("x",)), Term("quadratic", 0.1, ("v",)), Term("action_quadratic", weight=0.05))
)
STARTS = torch.tensor([[1.0, 0.0], [-0.8, 1.0], [0.9, -1.0], [0.0, 1.5]])

ONE = RobotSpec("one", 0.1, (Channel("x", "m"),), (ActionChannel("a", "1", -1.0, 1.0),))
"""A robot whose next observation is what the test says; here usually the action itself."""
LARGER_IS_BETTER = Objective(ONE, (Term("linear", 1.0, ("x",)),))

CONFIGS: dict[str, type[PlannerConfig]] = {
    config.TAG: config for config in (ICEMConfig, CEMConfig, MPPIConfig, RandomShootingConfig, GradientPlannerConfig)
}
METHODS = tuple(CONFIGS)
SMALL = {"horizon": 6, "num_samples": 32, "num_iterations": 3, "num_elites": 6, "num_elites_kept": 2, "noise_beta": 1.0}


def small(method: str, **changes: object) -> PlannerConfig:
    """A planner for tests; settings that the method does not have are left out."""
    config = CONFIGS[method]
    names = {field.name for field in dataclasses.fields(config)}
    return config(**{name: value for name, value in {**SMALL, **changes}.items() if name in names})  # type: ignore[arg-type]


def linear_rollout(start: Tensor) -> Rollout:
    """The cart's true future from each robot's start, (B, 2)."""

    def rollout(actions: Tensor) -> Tensor:
        x = start[:, None].expand(-1, actions.shape[1], -1)
        trajectory = []
        for h in range(actions.shape[2]):
            x = x @ A.T + actions[:, :, h] @ B.T
            trajectory.append(x)
        return torch.stack(trajectory, dim=2)[None]

    return rollout


def no_goal(batch: int) -> Tensor:
    return torch.zeros(batch, 0)


def plan_step(
    planner: Planner, state: PlanState, rollout: Rollout, reward: RewardFunction, obs: Tensor, goal: Tensor | None = None
) -> tuple[PlanState, Plan]:
    """One control step with the planner's own noise; `obs` is (B, obs_dim)."""
    score = Score(reward, planner.uncertainty_penalty, risk=planner.risk)
    wanted = no_goal(len(obs)) if goal is None else goal

    def returns(actions: Tensor) -> Tensor:
        return score(Trajectories(rollout(actions)), actions, obs, wanted)

    return planner.improve(state, returns, planner.draw_noise())


def plan_cart(planner: Planner, state: PlanState, obs: Tensor) -> tuple[PlanState, Plan]:
    """One control step of the cart."""
    return plan_step(planner, state, linear_rollout(obs), QUADRATIC, obs)
