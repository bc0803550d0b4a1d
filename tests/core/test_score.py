"""How good predicted futures are: which steps are rewarded, when they stop to count, and what comes after the horizon."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Score
from adaptive_mbrl.planning.score import FAILED_RETURN, step_rewards
from adaptive_mbrl.predictor import Trajectories
from tests.core.cart import LARGER_IS_BETTER, ONE, no_goal

X = torch.tensor([1.0, 2.0, 4.0, 8.0])
"""The next observations of one future, which are its rewards."""


def futures(*paths: Tensor, alive: list[list[bool]] | None = None) -> Trajectories:
    """One robot with one candidate; a path (H,) for each particle."""
    next_obs = torch.stack(paths)[:, None, None, :, None]
    return Trajectories(next_obs, None if alive is None else torch.tensor(alive)[:, None, None])


def scored(score: Score, trajectories: Trajectories, goal: Tensor | None = None) -> float:
    actions = torch.zeros(1, 1, trajectories.next_obs.shape[-2], 1)
    returns = score(trajectories, actions, torch.zeros(1, 1), no_goal(1) if goal is None else goal)
    assert returns.shape == (1, 1)
    return returns.item()


def test_the_score_is_mean_minus_std_over_particles():
    """Two candidates of one robot, one step: the particles' returns are (1, 5) and (3, -5)."""
    trajectories = Trajectories(torch.tensor([[[1.0, 5.0]], [[3.0, -5.0]]])[..., None, None])

    def returns(penalty: float, of: Trajectories = trajectories) -> list:
        return Score(LARGER_IS_BETTER, penalty)(of, torch.zeros(1, 2, 1, 1), torch.zeros(1, 1), no_goal(1)).tolist()

    assert returns(0.0) == [[2.0, 0.0]]
    assert returns(0.5) == [[1.5, -2.5]]
    assert returns(0.5, Trajectories(trajectories.next_obs[:1])) == [[1.0, 5.0]]


def test_a_step_is_rewarded_for_where_it_leads_and_knows_where_it_came_from():
    """The reward function sees (s_h, a_h, s_{h+1}, g_h) of every particle, robot, candidate and step."""
    obs_rollout = torch.arange(2 * 2 * 3 * 4, dtype=torch.float32).reshape(2, 2, 3, 4, 1)
    actions = torch.rand(2, 3, 4, 1)
    goal = torch.rand(2, 4, 1)
    start = torch.tensor([[100.0], [200.0]])

    class Difference:
        goal_dim = 1

        def __call__(self, obs: Tensor, action: Tensor, next_obs: Tensor, goal: Tensor) -> Tensor:
            return (next_obs - 1000 * obs + 1e6 * action + 1e9 * goal)[..., 0].double()

    rewards = step_rewards(Difference(), obs_rollout.double(), actions.double(), start.double(), goal.double())

    for particle, robot, candidate, step in np.ndindex(2, 2, 3, 4):
        path = obs_rollout[particle, robot, candidate, :, 0]
        before = start[robot, 0] if step == 0 else path[step - 1]
        expected = (
            path[step] - 1000 * before + 1e6 * actions[robot, candidate, step, 0].double() + 1e9 * goal[robot, step, 0].double()
        )
        assert rewards[particle, robot, candidate, step].item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 5.0])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_future_that_is_not_finite_fails_and_stays_finite(broken: float, penalty: float):
    path = X.clone()
    path[2] = broken

    assert scored(Score(LARGER_IS_BETTER, penalty), futures(path)) == pytest.approx(FAILED_RETURN)
    both = scored(Score(LARGER_IS_BETTER, penalty), futures(X, path))
    assert torch.tensor(FAILED_RETURN).item() <= both < FAILED_RETURN / 100


def test_the_step_in_which_an_episode_ends_still_counts_and_later_ones_do_not():
    """Also where a predicted robot seems to come back to life."""
    score = Score(LARGER_IS_BETTER)

    assert scored(score, futures(X, alive=[[True, True, True, True]])) == 15.0
    assert scored(score, futures(X, alive=[[True, False, True, True]])) == 3.0
    assert scored(score, futures(X, alive=[[False, True, True, False]])) == 1.0
    assert scored(score, futures(X, alive=[[True, True, True, False]])) == 15.0


def test_what_happens_after_the_end_may_be_nonsense():
    path = X.clone()
    path[2:] = math.nan

    assert scored(Score(LARGER_IS_BETTER), futures(path, alive=[[True, False, False, False]])) == 3.0


def test_the_terminal_value_is_of_the_last_observation_and_the_newest_goal():
    objective = Objective(ONE, (Term("linear", 1.0, ("x",)),), ("wanted",))

    def value(obs: Tensor, goal: Tensor) -> Tensor:
        return 100 * obs[..., 0] + goal[..., 0]

    score = Score(objective, terminal_value=value)

    assert scored(score, futures(X), torch.tensor([[7.0]])) == 15 + 800 + 7
    assert scored(score, futures(X), torch.tensor([[[1.0], [2.0], [3.0], [4.0]]])) == 15 + 800 + 4
    assert scored(score, futures(X, 2 * X), torch.tensor([[7.0]])) == 1.5 * (15 + 800) + 7


def test_nothing_comes_after_the_horizon_of_an_episode_that_has_ended():
    """Particle by particle: one of the two is still alive."""
    score = Score(LARGER_IS_BETTER, terminal_value=lambda obs, goal: 100 * obs[..., 0])

    alive = [[True, True, True, True], [True, True, True, False]]

    assert scored(score, futures(X, X, alive=alive)) == 15 + 800 / 2
