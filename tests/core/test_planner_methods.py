"""What planners do about goals and doubt, and what single methods promise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.predictor import Trajectories
from tests.core.cart import (
    CART,
    LARGER_IS_BETTER,
    METHODS,
    ONE,
    QUADRATIC,
    SMALL,
    STARTS,
    linear_rollout,
    no_goal,
    plan_step,
    small,
)

WARM = tuple(method for method in METHODS if method != "random_shooting")
FOLLOW = Objective(ONE, (Term("quadratic", 1.0, ("x",), goal=("wanted",)),), ("wanted",))
PRECISE = {
    "horizon": 4,
    "num_samples": 256,
    "num_iterations": 6,
    "num_elites": 12,
    "noise_beta": 0.0,
    "temperature": 0.05,
    "sigma": 0.5,
}


def echo(actions: Tensor) -> Tensor:
    """next_obs = action."""
    return actions[None]


@pytest.mark.parametrize("method", METHODS)
def test_the_uncertainty_penalty_avoids_what_the_particles_disagree_about(method: str):
    """Positive actions promise 1.0 per unit on average, but the particles differ by 4 per unit; negative ones cost nothing."""

    def rollout(actions: Tensor) -> Tensor:
        gamble = actions.clamp(min=0)
        return torch.stack([3.0 * gamble, -1.0 * gamble])

    chosen = {}
    for penalty in (0.0, 2.0):
        planner = make_planner(ONE, small(method, horizon=1, uncertainty_penalty=penalty, num_samples=128, num_elites=10))
        state = planner.init(1)
        for _ in range(3):
            state, plan = plan_step(planner, state, rollout, LARGER_IS_BETTER, torch.zeros(1, 1))
        chosen[penalty] = plan.actions.item()

    assert chosen[0.0] > 0.7
    assert chosen[2.0] < 0.05


@pytest.mark.parametrize("method", WARM)
def test_a_moving_goal_is_followed_step_by_step(method: str):
    """next_obs = action, so the best plan *is* the goal's course, different for each robot."""
    course = torch.tensor([[0.5, -0.5, 0.25, 0.75], [-0.25, 0.0, 0.5, -0.75]])[..., None]
    planner = make_planner(ONE, small(method, **PRECISE))

    _, plan = plan_step(planner, planner.init(2), echo, FOLLOW, torch.zeros(2, 1), course)

    torch.testing.assert_close(plan.actions, course, atol=0.1, rtol=0)


@pytest.mark.parametrize("method", WARM)
def test_a_constant_goal_holds_over_the_whole_horizon(method: str):
    goal = torch.tensor([[0.5], [-0.4]])
    planner = make_planner(ONE, small(method, **PRECISE))

    _, plan = plan_step(planner, planner.init(2), echo, FOLLOW, torch.zeros(2, 1), goal)

    torch.testing.assert_close(plan.actions, goal[:, None].expand(2, 4, 1), atol=0.1, rtol=0)


def test_icem_carries_its_best_candidates_from_one_iteration_to_the_next():
    """So that the best return cannot fall within a control step."""
    planner, kept = make_planner(CART, small("icem", num_iterations=5, sigma=1.0)), SMALL["num_elites_kept"]
    tried: list[Tensor] = []
    returns: list[Tensor] = []

    def rollout(actions: Tensor) -> Tensor:
        obs = linear_rollout(STARTS)(actions)
        tried.append(actions)
        returns.append(Score(QUADRATIC).particle_returns(Trajectories(obs), actions, STARTS, no_goal(4))[0])
        return obs

    plan_step(planner, planner.init(4), rollout, QUADRATIC, STARTS)

    for i in range(4):
        for robot in range(4):
            best = returns[i][robot].topk(kept).indices
            assert torch.equal(tried[i + 1][robot, 1 : 1 + kept], tried[i][robot, best])
        assert (returns[i + 1].amax(1) >= returns[i].amax(1)).all()


def test_the_gradient_planner_never_plans_worse_than_it_began():
    """Steps of two half ranges jump over the optimum at every iteration; the plan is then the start that was scored best."""
    planner = make_planner(ONE, small("gradient", horizon=2, num_samples=4, step_size=2.0))
    goal = torch.full((1, 1), 0.05)
    scored: list[Tensor] = []

    def rollout(actions: Tensor) -> Tensor:
        scored.append(-(actions.detach() - 0.05).square().sum((2, 3)))
        return actions[None]

    _, plan = plan_step(planner, planner.init(1), rollout, FOLLOW, torch.zeros(1, 1), goal)

    starts, *_, last = scored
    assert last.max() < starts.max()
    assert plan.predicted_return.item() == pytest.approx(starts.max().item(), abs=1e-6)
    assert -(plan.actions - 0.05).square().sum().item() == pytest.approx(starts.max().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"num_elites": 33}, "num_elites"),
        ({"num_elites_kept": 7}, "num_elites_kept"),
        ({"num_samples": 6, "num_elites": 6, "num_elites_kept": 5}, "num_samples"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict, word: str):
    with pytest.raises(ConfigError, match=word):
        small("icem", **changes)
