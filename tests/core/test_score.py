"""The return of predicted futures: until the episode ends, over all particles, with what may come after the horizon."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning.score import FAILED_RETURN, Score, failed
from adaptive_mbrl.predictor import Trajectories
from adaptive_mbrl.spec import HealthyRange
from tests.core.analytic import POINT

PARTICLES, ROBOTS, CANDIDATES, HORIZON = 2, 2, 3, 4
POSITION = Objective(POINT, (Term("linear", 1.0, ("position",)),))
TO_GOAL = Objective(POINT, (Term("linear", 1.0, ("position",), goal=("where",)),), ("where",))
NO_GOAL = torch.zeros(ROBOTS, 0)
OBS = torch.full((ROBOTS, POINT.obs_dim), 7.0)
ACTIONS = torch.zeros(ROBOTS, CANDIDATES, HORIZON, 1)


def futures(alive: Tensor | None = None, seed: int = 0) -> Trajectories:
    shape = (PARTICLES, ROBOTS, CANDIDATES, HORIZON, POINT.obs_dim)
    return Trajectories(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), alive)


def ends_at(step: int) -> Tensor:
    """The episode of particle 0, robot 1, candidate 2 ends with a step; all others go on."""
    alive = torch.ones(PARTICLES, ROBOTS, CANDIDATES, HORIZON, dtype=torch.bool)
    alive[0, 1, 2, step:] = False
    return alive


def value(last_obs: Tensor, goal: Tensor) -> Tensor:
    """Of the last observation: a hundred times its position, and the goal where there is one."""
    return 100 * last_obs[..., 0] + (goal[..., 0] if goal.shape[-1] else 0)


def particle_returns(trajectories: Trajectories, terminal_value=None, reward=POSITION, goal: Tensor = NO_GOAL) -> Tensor:
    return Score(reward, terminal_value=terminal_value).particle_returns(trajectories, ACTIONS, OBS, goal)


# --- when the episode ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(HORIZON))
def test_the_step_in_which_the_episode_ends_counts_and_nothing_after_it(step: int):
    trajectories = futures(ends_at(step))

    returns = particle_returns(trajectories)

    expected = trajectories.next_obs[..., 0].sum(-1)
    expected[0, 1, 2] = trajectories.next_obs[0, 1, 2, : step + 1, 0].sum()
    torch.testing.assert_close(returns, expected)


def test_an_episode_that_has_ended_does_not_begin_again():
    """A model may say so; what comes after the first end counts for nothing."""
    alive = ends_at(1)
    alive[0, 1, 2, 2:] = True
    trajectories = futures(alive)

    assert particle_returns(trajectories)[0, 1, 2] == pytest.approx(trajectories.next_obs[0, 1, 2, :2, 0].sum().item())
    assert torch.equal(particle_returns(trajectories, value)[0, 1, 2], particle_returns(trajectories)[0, 1, 2])


def test_what_comes_after_the_end_may_be_no_number():
    alive = ends_at(1)
    trajectories = futures(alive)
    trajectories.next_obs[0, 1, 2, 2:] = torch.nan

    returns = particle_returns(trajectories, value)

    assert returns[0, 1, 2] == pytest.approx(trajectories.next_obs[0, 1, 2, :2, 0].sum().item())
    assert (returns > FAILED_RETURN).all()


def test_who_is_always_alive_scores_as_without_a_mask():
    everywhere = torch.ones(PARTICLES, ROBOTS, CANDIDATES, HORIZON, dtype=torch.bool)

    torch.testing.assert_close(particle_returns(futures(everywhere), value), particle_returns(futures(), value))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_future_that_is_no_number_fails_even_if_only_its_health_is_rewarded(bad: float):
    healthy = dataclasses.replace(POINT, healthy=(HealthyRange("position", -1e3, 1e3),))
    trajectories = futures()
    trajectories.next_obs[:, 0, 1] = bad
    alive = is_healthy(healthy, trajectories.next_obs)

    for given in (trajectories, Trajectories(trajectories.next_obs, alive)):
        returns = Score(Objective(healthy, (Term("healthy", 1.0),)))(given, ACTIONS, OBS, NO_GOAL)

        assert returns[0, 1] == FAILED_RETURN
        returns[0, 1] = HORIZON
        assert (returns == HORIZON).all()


# --- after the horizon --------------------------------------------------------------------------------------------------------


def test_the_terminal_value_is_that_of_the_last_observation():
    trajectories = futures()

    added = particle_returns(trajectories, value) - particle_returns(trajectories)

    torch.testing.assert_close(added, 100 * trajectories.next_obs[..., -1, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("step", range(HORIZON))
def test_an_episode_that_ends_within_the_horizon_has_no_terminal_value(step: int):
    """In the last step too: what ends there does not go on."""
    trajectories = futures(ends_at(step))

    added = particle_returns(trajectories, value) - particle_returns(trajectories)

    expected = 100 * trajectories.next_obs[..., -1, 0]
    expected[0, 1, 2] = 0
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)


def test_the_terminal_value_gets_the_goal():
    trajectories, goal = futures(), torch.tensor([[1.0], [-2.0]])

    added = particle_returns(trajectories, value, TO_GOAL, goal) - particle_returns(trajectories, None, TO_GOAL, goal)

    expected = 100 * trajectories.next_obs[..., -1, 0] + goal
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)


def test_of_a_moving_goal_each_step_has_its_own_and_the_terminal_value_the_last():
    trajectories, goal = futures(), torch.randn(ROBOTS, HORIZON, 1, generator=torch.Generator().manual_seed(1))

    rewards = particle_returns(trajectories, None, TO_GOAL, goal)
    added = particle_returns(trajectories, value, TO_GOAL, goal) - rewards

    torch.testing.assert_close(rewards, (trajectories.next_obs[..., 0] - goal[None, :, None, :, 0]).sum(-1))
    expected = 100 * trajectories.next_obs[..., -1, 0] + goal[:, -1]
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)


def test_a_terminal_value_that_is_no_number_fails_the_candidate():
    returns = particle_returns(futures(), lambda last_obs, goal: torch.full(last_obs.shape[:-1], torch.inf))

    assert (returns == FAILED_RETURN).all()


# --- over the particles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_the_return_is_the_particles_mean_less_their_spread(penalty: float):
    """Each particle counts until its own end."""
    trajectories = futures(ends_at(1))
    particles = particle_returns(trajectories, value)

    returns = Score(POSITION, penalty, value)(trajectories, ACTIONS, OBS, NO_GOAL)

    torch.testing.assert_close(returns, particles.mean(0) - penalty * particles.std(0, unbiased=False))


@pytest.mark.parametrize("penalty", [0.0, 100.0])
def test_a_candidate_that_fails_under_one_particle_fails_and_no_other(penalty: float):
    trajectories = futures()
    trajectories.next_obs[1, 0, 2, 3, 0] = torch.nan

    returns = Score(POSITION, penalty)(trajectories, ACTIONS, OBS, NO_GOAL)

    assert torch.isfinite(returns).all()
    assert failed(returns).nonzero().tolist() == [[0, 2]]


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_one_failed_particle_of_many_is_seen(penalty: float):
    """Averaged over hundreds of particles, one failure alone would hardly show."""
    many = torch.randn(500, ROBOTS, CANDIDATES, HORIZON, POINT.obs_dim, generator=torch.Generator().manual_seed(1))
    many[321, 1, 0, 0, 0] = torch.inf

    returns = Score(POSITION, penalty)(Trajectories(many), ACTIONS, OBS, NO_GOAL)

    assert torch.isfinite(returns).all()
    assert failed(returns).nonzero().tolist() == [[1, 0]]


def test_the_reward_sees_each_step_with_the_observation_before_it():
    seen: list[Tensor] = []

    class Witness:
        goal_dim = 0

        def __call__(self, obs: Tensor, action: Tensor, next_obs: Tensor, goal: Tensor) -> Tensor:
            seen.append(obs)
            return next_obs[..., 0]

    trajectories = futures()
    Score(Witness())(trajectories, ACTIONS, OBS, NO_GOAL)

    assert torch.equal(seen[0][..., 0, :], OBS[None, :, None].expand(PARTICLES, ROBOTS, CANDIDATES, -1))
    assert torch.equal(seen[0][..., 1:, :], trajectories.next_obs[..., :-1, :])


# --- disagreement as a bonus --------------------------------------------------------------------------------------------------


def test_a_negative_penalty_draws_the_planner_to_where_the_particles_disagree():
    """Of two candidates with the same mean return, the one that the particles disagree about is better (Plan2Explore)."""
    next_obs = torch.zeros(PARTICLES, 1, 2, HORIZON, POINT.obs_dim)
    next_obs[0, 0, 1], next_obs[1, 0, 1] = 2.0, -2.0
    score, curious = Score(POSITION), Score(POSITION, uncertainty_penalty=-0.5)
    asked = Trajectories(next_obs), ACTIONS[:1, :2], OBS[:1], NO_GOAL[:1]

    torch.testing.assert_close(score(*asked), torch.zeros(1, 2))
    torch.testing.assert_close(curious(*asked), torch.tensor([[0.0, 0.5 * 2.0 * HORIZON]]))
