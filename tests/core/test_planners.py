"""The planners: close to LQR where LQR is the optimum, one robot's plan is its own, and nothing unsafe is ever chosen."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Planner, PlannerConfig, make_planner
from adaptive_mbrl.planning.base import (
    FAILED_RETURN,
    Rollout,
    coloured_noise_matrix,
    member_returns,
    penalised_return,
    step_rewards,
)
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from tests.core.analytic import MIXED

METHODS = ("icem", "cem", "mppi", "random_shooting")
SETTINGS = {
    "cem": PlannerConfig("cem", horizon=15, num_samples=256, num_iterations=5, num_elites=20),
    "icem": PlannerConfig("icem", horizon=15, num_samples=200, num_iterations=5, num_elites=20, noise_beta=1.0),
    "mppi": PlannerConfig(
        "mppi", horizon=15, num_samples=256, num_iterations=6, noise_beta=1.0, temperature=0.1, sigma=0.4, sigma_decay=0.5
    ),
    "random_shooting": PlannerConfig("random_shooting", horizon=15, num_samples=512, num_iterations=1),
}

# x' = A x + B a with reward -(x'ᵀ Q x' + R a²); the limits are never reached by the optimum
DT = 0.1
A = torch.tensor([[1.0, DT], [0.0, 1.0]])
B = torch.tensor([[0.5 * DT * DT], [DT]])
Q, R = torch.diag(torch.tensor([1.0, 0.1])), torch.tensor([[0.05]])
CART = RobotSpec("cart", DT, (Channel("x", "m"), Channel("v", "m/s", "velocity")), (ActionChannel("force", "N", -5.0, 5.0),))
QUADRATIC = Objective(
    CART, (Term("quadratic", 1.0, ("x",)), Term("quadratic", 0.1, ("v",)), Term("action_quadratic", weight=0.05))
)
STARTS = torch.tensor([[1.0, 0.0], [-0.8, 1.0], [0.9, -1.0], [0.0, 1.5]])
STEPS = 30


def linear_rollout(start: Tensor) -> Rollout:
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


def planned_return(planner: Planner, start: Tensor) -> Tensor:
    """Return of the closed loop: plan, send the first action, repeat."""
    state, x, total = planner.init(len(start)), start, torch.zeros(len(start))
    for _ in range(STEPS):
        state, plan = planner.plan(state, linear_rollout(x), QUADRATIC, no_goal(len(x)), x)
        action = plan.actions[:, 0]
        following = x @ A.T + action @ B.T
        total += QUADRATIC(x, action, following, no_goal(len(x)))
        x = following
    return total


@pytest.mark.parametrize("method", ["cem", "icem", "mppi"])
def test_the_planner_reaches_the_lqr_return_within_five_percent(method: str):
    optimum = lqr_return(STARTS)

    reached = planned_return(make_planner(CART, SETTINGS[method]), STARTS)

    assert (reached <= optimum + 1e-4).all()
    assert (reached >= 1.05 * optimum).all(), reached / optimum


def test_random_shooting_is_worse_than_lqr_but_far_better_than_nothing():
    optimum, idle = lqr_return(STARTS), planned_return(Idle(CART, SETTINGS["cem"]), STARTS)

    reached = planned_return(make_planner(CART, SETTINGS["random_shooting"]), STARTS)

    assert (reached < 1.05 * optimum).all()
    assert (reached > 0.5 * idle).all(), reached / idle


class Idle(Planner):
    """Sends zeros."""

    def sample(self, state, noise, iteration):
        return torch.zeros(state.mean.shape[0], 1, *state.mean.shape[1:])

    def update(self, state, actions, returns):
        return state


# --- a planner by itself ------------------------------------------------------------------------------------------------------

SMALL = PlannerConfig(horizon=6, num_samples=32, num_iterations=3, num_elites=6, num_elites_kept=2, noise_beta=1.0)
ONE = RobotSpec("one", 0.1, (Channel("x", "m"),), (ActionChannel("a", "1", -1.0, 1.0),))
"""A robot whose next observation is what the test says; here usually the action itself."""
LARGER_IS_BETTER = Objective(ONE, (Term("linear", 1.0, ("x",)),))
FOLLOW = Objective(ONE, (Term("quadratic", 1.0, ("x",), goal=("wanted",)),), ("wanted",))


def small(method: str, **changes: object) -> PlannerConfig:
    return dataclasses.replace(SMALL, method=method, **changes)


def echo(actions: Tensor) -> Tensor:
    """next_obs = action."""
    return actions[None]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_of_robots_plans_as_each_would_alone(method: str):
    """Three control steps, so that the carried state is compared too."""
    together = make_planner(CART, small(method), seed=3)
    state, x = together.init(len(STARTS)), STARTS
    alone = [make_planner(CART, small(method), seed=3) for _ in STARTS]
    states = [planner.init(1) for planner in alone]
    for _ in range(3):
        state, plan = together.plan(state, linear_rollout(x), QUADRATIC, no_goal(len(x)), x)
        for i, planner in enumerate(alone):
            one = x[i : i + 1]
            states[i], single = planner.plan(states[i], linear_rollout(one), QUADRATIC, no_goal(1), one)
            torch.testing.assert_close(plan.actions[i : i + 1], single.actions, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(plan.predicted_return[i : i + 1], single.predicted_return, atol=1e-4, rtol=1e-4)
        x = x @ A.T + plan.actions[:, 0] @ B.T


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_plans_and_another_seed_others(method: str):
    def plans(seed: int) -> list[Tensor]:
        planner = make_planner(CART, small(method), seed)
        state, found = planner.init(len(STARTS)), []
        for _ in range(2):
            state, plan = planner.plan(state, linear_rollout(STARTS), QUADRATIC, no_goal(len(STARTS)), STARTS)
            found.append(plan.actions)
        return found

    first, again, other = plans(7), plans(7), plans(8)

    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.allclose(first[0], other[0], atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_seed_restarts_the_noise(method: str):
    planner = make_planner(CART, small(method), seed=1)

    def plan() -> Tensor:
        start = STARTS[:1]
        return planner.plan(planner.init(1), linear_rollout(start), QUADRATIC, no_goal(1), start)[1].actions

    first, second = plan(), plan()
    planner.seed(1)

    assert torch.equal(plan(), first)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("method", METHODS)
def test_candidates_and_plans_stay_within_asymmetric_limits(method: str):
    """The reward pulls one action over its upper and the other below its lower limit."""
    spec = MIXED
    low, high = torch.tensor([a.low for a in spec.action]), torch.tensor([a.high for a in spec.action])
    seen: list[Tensor] = []

    def rollout(actions: Tensor) -> Tensor:
        seen.append(actions)
        return torch.cat([actions, actions], dim=-1)[None]

    objective = Objective(spec, (Term("linear", 1.0, ("height",)), Term("linear", -1.0, ("pitch",))))
    planner = make_planner(spec, small(method, sigma=2.0))
    state = planner.init(2)
    for _ in range(4):
        state, plan = planner.plan(state, rollout, objective, no_goal(2), torch.zeros(2, 4))

    for actions in (*seen, plan.actions):
        assert ((actions >= low) & (actions <= high)).all()
    if method != "random_shooting":
        # the limits were in the way: many candidates were cut at them before they were rolled out
        assert ((seen[0] == low) | (seen[0] == high)).float().mean() > 0.3
        assert (plan.actions[:, 0, 0] > 2.0).all()
        assert (plan.actions[:, 0, 1] < -0.1).all()


@pytest.mark.parametrize("method", ["icem", "cem", "mppi"])
def test_the_warm_start_is_the_last_plan_moved_by_one_step(method: str):
    planner = make_planner(CART, small(method))
    state, plan = planner.plan(planner.init(4), linear_rollout(STARTS), QUADRATIC, no_goal(4), STARTS)

    torch.testing.assert_close(state.mean[:, :-1], plan.actions[:, 1:])
    torch.testing.assert_close(state.mean[:, -1], plan.actions[:, -1])

    candidates: list[Tensor] = []

    def recording(actions: Tensor) -> Tensor:
        candidates.append(actions)
        return linear_rollout(STARTS)(actions)

    planner.plan(state, recording, QUADRATIC, no_goal(4), STARTS)
    wanted = {"icem": [state.mean, *state.elites.unbind(1)], "mppi": [state.mean], "cem": []}[method]
    for index, sequence in enumerate(wanted):
        assert torch.equal(candidates[0][:, index], sequence)
    # all candidates spread around it, with the full sigma again
    spread = candidates[0].std(1).mean()
    assert 0.3 * 5.0 < spread < 0.6 * 5.0
    torch.testing.assert_close(candidates[0].mean(1), state.mean, atol=1.5, rtol=0)


def test_icem_carries_its_best_candidates_from_one_iteration_to_the_next():
    """So that the best return cannot fall within a control step."""
    planner = make_planner(CART, small("icem", num_iterations=5, sigma=1.0))
    tried: list[Tensor] = []
    returns: list[Tensor] = []

    def rollout(actions: Tensor) -> Tensor:
        obs = linear_rollout(STARTS)(actions)
        tried.append(actions)
        returns.append(member_returns(obs, actions, QUADRATIC, no_goal(4), STARTS)[0])
        return obs

    planner.plan(planner.init(4), rollout, QUADRATIC, no_goal(4), STARTS)

    for i in range(4):
        for robot in range(4):
            best = returns[i][robot].topk(SMALL.num_elites_kept).indices
            assert torch.equal(tried[i + 1][robot, 1 : 1 + SMALL.num_elites_kept], tried[i][robot, best])
        assert (returns[i + 1].amax(1) >= returns[i].amax(1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_predicted_return_is_that_of_the_best_candidate(method: str):
    planner = make_planner(CART, small(method))
    best: list[Tensor] = []

    def rollout(actions: Tensor) -> Tensor:
        obs = linear_rollout(STARTS)(actions)
        best.append(member_returns(obs, actions, QUADRATIC, no_goal(4), STARTS)[0].amax(1))
        return obs

    _, plan = planner.plan(planner.init(4), rollout, QUADRATIC, no_goal(4), STARTS)

    torch.testing.assert_close(plan.predicted_return, torch.stack(best).amax(0))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_a_rollout_that_is_not_finite_is_never_chosen(method: str, penalty: float, broken: float):
    """Larger actions look better, but above 0.2 one of the two members breaks."""
    config = small(method, uncertainty_penalty=penalty, num_samples=128, num_elites=10, noise_beta=0.0)

    def rollout(actions: Tensor) -> Tensor:
        fine = actions[None]
        return torch.cat([fine, torch.where(actions[None].amax(-2, keepdim=True) > 0.2, broken, fine)])

    planner = make_planner(ONE, dataclasses.replace(config, horizon=1))
    state = planner.init(3)
    for _ in range(3):
        state, plan = planner.plan(state, rollout, LARGER_IS_BETTER, no_goal(3), torch.zeros(3, 1))

    assert (plan.actions <= 0.2 + 1e-5).all()
    assert (plan.actions >= -0.1).all()
    assert torch.isfinite(plan.predicted_return).all()


@pytest.mark.parametrize("method", METHODS)
def test_fewer_finite_rollouts_than_elites_are_enough(method: str):
    """Only a few actions above 0.8 give a finite rollout; the broken ones must not fill the elites' places."""
    settings = {"horizon": 1, "num_samples": 128, "num_elites": 30, "num_elites_kept": 0, "num_iterations": 1, "momentum": 0.0}
    finite = 0

    def rollout(actions: Tensor) -> Tensor:
        nonlocal finite
        finite = int((actions > 0.8).sum())
        return torch.where(actions > 0.8, -actions, math.nan)[None]

    planner = make_planner(ONE, small(method, **settings))
    _, plan = planner.plan(planner.init(1), rollout, LARGER_IS_BETTER, no_goal(1), torch.zeros(1, 1))

    assert 0 < finite < 30
    assert plan.actions.item() > 0.8


@pytest.mark.parametrize("broken_members", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_when_every_rollout_breaks_the_plan_is_still_finite(method: str, broken_members: int):
    planner = make_planner(ONE, small(method, uncertainty_penalty=5.0))

    def rollout(actions: Tensor) -> Tensor:
        members = torch.stack([actions, actions])
        members[:broken_members] = math.nan
        return members

    state, plan = planner.plan(planner.init(2), rollout, LARGER_IS_BETTER, no_goal(2), torch.zeros(2, 1))

    assert torch.isfinite(plan.actions).all()
    assert (plan.predicted_return >= FAILED_RETURN).all()
    assert torch.isfinite(state.mean).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_uncertainty_penalty_avoids_what_the_members_disagree_about(method: str):
    """Positive actions promise 1.0 per unit on average, but the members differ by 4 per unit; negative ones cost nothing."""

    def rollout(actions: Tensor) -> Tensor:
        gamble = actions.clamp(min=0)
        return torch.stack([3.0 * gamble, -1.0 * gamble])

    chosen = {}
    for penalty in (0.0, 2.0):
        config = small(method, horizon=1, uncertainty_penalty=penalty, num_samples=128, num_elites=10)
        planner = make_planner(ONE, config)
        state = planner.init(1)
        for _ in range(3):
            state, plan = planner.plan(state, rollout, LARGER_IS_BETTER, no_goal(1), torch.zeros(1, 1))
        chosen[penalty] = plan.actions.item()

    assert chosen[0.0] > 0.7
    assert chosen[2.0] < 0.05


def test_penalised_return_is_mean_minus_std():
    returns = torch.tensor([[[1.0, 5.0]], [[3.0, -5.0]]])

    assert penalised_return(returns, 0.0).tolist() == [[2.0, 0.0]]
    assert penalised_return(returns, 0.5).tolist() == [[1.5, -2.5]]
    assert penalised_return(returns[:1], 0.5).tolist() == [[1.0, 5.0]]


@pytest.mark.parametrize("method", ["icem", "cem", "mppi"])
def test_a_moving_goal_is_followed_step_by_step(method: str):
    """next_obs = action, so the best plan *is* the goal's course, different for each robot."""
    course = torch.tensor([[0.5, -0.5, 0.25, 0.75], [-0.25, 0.0, 0.5, -0.75]])[..., None]
    config = small(method, horizon=4, num_samples=256, num_iterations=6, num_elites=12, noise_beta=0.0, temperature=0.05)
    planner = make_planner(ONE, config)

    _, plan = planner.plan(planner.init(2), echo, FOLLOW, course, torch.zeros(2, 1))

    torch.testing.assert_close(plan.actions, course, atol=0.1, rtol=0)


@pytest.mark.parametrize("method", ["icem", "cem", "mppi"])
def test_a_constant_goal_holds_over_the_whole_horizon(method: str):
    goal = torch.tensor([[0.5], [-0.4]])
    config = small(method, horizon=4, num_samples=256, num_iterations=6, num_elites=12, noise_beta=0.0, temperature=0.05)
    planner = make_planner(ONE, config)

    _, plan = planner.plan(planner.init(2), echo, FOLLOW, goal, torch.zeros(2, 1))

    torch.testing.assert_close(plan.actions, goal[:, None].expand(2, 4, 1), atol=0.1, rtol=0)


def test_a_step_is_rewarded_for_where_it_leads_and_knows_where_it_came_from():
    """The reward function sees (s_h, a_h, s_{h+1}, g_h) of every member, robot, candidate and step."""
    obs_rollout = torch.arange(2 * 2 * 3 * 4, dtype=torch.float32).reshape(2, 2, 3, 4, 1)
    actions = torch.rand(2, 3, 4, 1)
    goal = torch.rand(2, 4, 1)
    start = torch.tensor([[100.0], [200.0]])

    class Difference:
        goal_dim = 1

        def __call__(self, obs: Tensor, action: Tensor, next_obs: Tensor, goal: Tensor) -> Tensor:
            return (next_obs - 1000 * obs + 1e6 * action + 1e9 * goal)[..., 0].double()

    rewards = step_rewards(obs_rollout.double(), actions.double(), Difference(), goal.double(), start.double())

    for member, robot, candidate, step in np.ndindex(2, 2, 3, 4):
        path = obs_rollout[member, robot, candidate, :, 0]
        before = start[robot, 0] if step == 0 else path[step - 1]
        expected = (
            path[step] - 1000 * before + 1e6 * actions[robot, candidate, step, 0].double() + 1e9 * goal[robot, step, 0].double()
        )
        assert rewards[member, robot, candidate, step].item() == pytest.approx(expected.item(), rel=1e-12)


# --- noise --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 2, 15, 40])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_coloured_noise_has_unit_variance_at_every_step(beta: float, horizon: int):
    colour = coloured_noise_matrix(horizon, beta).double()

    torch.testing.assert_close((colour @ colour.T).diagonal(), torch.ones(horizon).double(), atol=1e-5, rtol=0)


def test_white_noise_is_left_white():
    torch.testing.assert_close(coloured_noise_matrix(20, 0.0), torch.eye(20), atol=1e-4, rtol=0)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_the_power_falls_with_frequency_by_the_exponent(beta: float):
    """Slope of the expected periodogram in log-log axes, away from its ends, where cutting the sequence bends it."""
    length = 256
    colour = coloured_noise_matrix(length, beta).double()
    fourier = torch.fft.rfft(torch.hann_window(length, dtype=torch.float64)[:, None] * colour, dim=0)
    power = fourier.abs().square().sum(1)[4:64]
    frequency = torch.arange(4, 64, dtype=torch.float64)

    slope = np.polyfit(frequency.log(), power.log(), 1)[0]

    assert slope == pytest.approx(-beta, abs=0.1)


def test_the_planner_draws_the_noise_that_its_config_names():
    correlation = {}
    for beta in (0.0, 1.0, 2.0):
        noise = make_planner(MIXED, small("icem", horizon=20, noise_beta=beta)).noise(4000)
        assert noise.shape == (4000, 20, 2)
        torch.testing.assert_close(noise.std(0), torch.ones(20, 2), atol=0.06, rtol=0)
        # the two actions are independent
        assert (noise[..., 0] * noise[..., 1]).mean().abs() < 0.05
        correlation[beta] = (noise[:, 1:] * noise[:, :-1]).mean().item()
    assert abs(correlation[0.0]) < 0.02
    assert 0.3 < correlation[1.0] < correlation[2.0] - 0.1


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
