"""What holds for every planner: one robot's plan is its own, seeds decide, and limits are kept."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.predictor import Trajectories
from tests.core.analytic import MIXED
from tests.core.cart import CART, METHODS, QUADRATIC, STARTS, A, B, linear_rollout, no_goal, plan_cart, plan_step, small

WARM = tuple(method for method in METHODS if method != "random_shooting")


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_of_robots_plans_as_each_would_alone(method: str):
    """Three control steps, so that the carried state is compared too."""
    together = make_planner(CART, small(method), seed=3)
    state, x = together.init(len(STARTS)), STARTS
    alone = [make_planner(CART, small(method), seed=3) for _ in STARTS]
    states = [planner.init(1) for planner in alone]
    for _ in range(3):
        state, plan = plan_cart(together, state, x)
        for i, planner in enumerate(alone):
            states[i], single = plan_cart(planner, states[i], x[i : i + 1])
            torch.testing.assert_close(plan.actions[i : i + 1], single.actions, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(plan.predicted_return[i : i + 1], single.predicted_return, atol=1e-4, rtol=1e-4)
        x = x @ A.T + plan.actions[:, 0] @ B.T


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_plans_and_another_seed_others(method: str):
    def plans(seed: int) -> list[Tensor]:
        planner = make_planner(CART, small(method), seed)
        state, found = planner.init(len(STARTS)), []
        for _ in range(2):
            state, plan = plan_cart(planner, state, STARTS)
            found.append(plan.actions)
        return found

    first, again, other = plans(7), plans(7), plans(8)

    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.allclose(first[0], other[0], atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_seed_restarts_the_noise(method: str):
    planner = make_planner(CART, small(method), seed=1)

    def plan() -> Tensor:
        return plan_cart(planner, planner.init(1), STARTS[:1])[1].actions

    first, second = plan(), plan()
    planner.seed(1)

    assert torch.equal(plan(), first)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("method", METHODS)
def test_a_plan_is_a_function_of_state_and_noise_alone(method: str):
    """The planner's own generator is not touched, and the state that went in is as it was."""
    planner = make_planner(CART, small(method))
    state, _ = plan_cart(planner, planner.init(4), STARTS)
    noise, kept = planner.draw_noise(), [x.clone() for x in state]
    generator = planner.generators[0].get_state()
    score = Score(QUADRATIC)

    def returns(actions: Tensor) -> Tensor:
        return score(Trajectories(linear_rollout(STARTS)(actions)), actions, STARTS, no_goal(4))

    first, again = (planner.improve(state, returns, noise) for _ in range(2))

    assert torch.equal(first[1].actions, again[1].actions)
    assert all(torch.equal(a, b) for a, b in zip(first[0], again[0], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))
    assert torch.equal(planner.generators[0].get_state(), generator)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_can_be_made_with_fewer_candidates(method: str):
    """As many as asked for, but never fewer than the method needs."""
    planner = make_planner(CART, small(method))
    counts: list[int] = []

    def returns(actions: Tensor) -> Tensor:
        counts.append(actions.shape[1])
        return -actions.square().sum((2, 3))

    for asked in (20, 1):
        planner.improve(planner.init(1), returns, planner.draw_noise(asked))

    half = len(counts) // 2
    assert counts == [20] * half + [planner.least_samples] * half


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rounds", [1, 2, 100])
def test_a_plan_that_is_cut_short_is_made_of_what_was_scored(method: str, rounds: int):
    planner = make_planner(CART, dataclasses.replace(small(method), num_samples=150, num_iterations=2))
    scored: list[Tensor] = []
    asked = iter(range(1, 1000))

    def returns(actions: Tensor) -> Tensor:
        scored.append(actions.detach())
        return -actions.square().sum((2, 3))

    noise = planner.draw_noise()
    _, plan = planner.improve(planner.init(2), returns, noise, lambda: next(asked) >= rounds)
    number = len(scored)
    blocks = 1 if planner.needs_gradient else 3
    assert number == min(rounds, 2 * blocks + planner.needs_gradient)
    found = torch.cat([-actions.square().sum((2, 3)) for actions in scored], dim=1).amax(1)
    torch.testing.assert_close(plan.predicted_return, found)
    if rounds == 100:
        _, whole = planner.improve(planner.init(2), returns, noise)
        torch.testing.assert_close(plan, whole)


@pytest.mark.parametrize("method", METHODS)
def test_candidates_and_plans_stay_within_asymmetric_limits(method: str):
    """The reward pulls one action over its upper and the other below its lower limit."""
    spec = MIXED
    low, high = torch.tensor([a.low for a in spec.action]), torch.tensor([a.high for a in spec.action])
    seen: list[Tensor] = []

    def rollout(actions: Tensor) -> Tensor:
        seen.append(actions.detach())
        return torch.cat([actions, actions], dim=-1)[None]

    objective = Objective(spec, (Term("linear", 1.0, ("height",)), Term("linear", -1.0, ("pitch",))))
    planner = make_planner(spec, small(method, sigma=2.0))
    state = planner.init(2)
    for _ in range(4):
        state, plan = plan_step(planner, state, rollout, objective, torch.zeros(2, 4))

    for actions in (*seen, plan.actions):
        assert ((actions >= low) & (actions <= high)).all()
    if method != "random_shooting":
        # the limits were in the way: many candidates were cut at them before they were rolled out
        assert ((seen[0] == low) | (seen[0] == high)).float().mean() > 0.3
        assert (plan.actions[:, 0, 0] > 2.0).all()
        assert (plan.actions[:, 0, 1] < -0.1).all()


@pytest.mark.parametrize("method", WARM)
def test_the_warm_start_is_the_last_plan_moved_by_one_step(method: str):
    planner = make_planner(CART, small(method, sigma=0.5))
    state, plan = plan_cart(planner, planner.init(4), STARTS)

    torch.testing.assert_close(state.mean[:, :-1], plan.actions[:, 1:])
    torch.testing.assert_close(state.mean[:, -1], plan.actions[:, -1])

    candidates: list[Tensor] = []

    def recording(actions: Tensor) -> Tensor:
        candidates.append(actions.detach())
        return linear_rollout(STARTS)(actions)

    plan_step(planner, state, recording, QUADRATIC, STARTS)
    kept = {"icem": [state.mean, *state.elites.unbind(1)], "mppi": [state.mean], "cem": [], "gradient": [state.mean]}[method]
    for index, sequence in enumerate(kept):
        assert torch.equal(candidates[0][:, index], sequence)
    # all candidates spread around it, with the full sigma again
    spread = candidates[0].std(1).mean()
    assert 0.3 * 5.0 < spread < 0.6 * 5.0
    torch.testing.assert_close(candidates[0].mean(1), state.mean, atol=1.5, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_the_predicted_return_is_that_of_the_best_candidate(method: str):
    planner = make_planner(CART, small(method))
    best: list[Tensor] = []

    def rollout(actions: Tensor) -> Tensor:
        obs = linear_rollout(STARTS)(actions)
        returns = Score(QUADRATIC).particle_returns(Trajectories(obs), actions, STARTS, no_goal(4))
        best.append(returns[0].amax(1).detach())
        return obs

    _, plan = plan_step(planner, planner.init(4), rollout, QUADRATIC, STARTS)

    torch.testing.assert_close(plan.predicted_return, torch.stack(best).amax(0))
