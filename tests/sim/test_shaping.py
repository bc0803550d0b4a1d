"""Shaping terms: planners maximise them, nobody is scored on them."""

from __future__ import annotations

import numpy as np
import torch

from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario


def test_the_reward_of_an_episode_leaves_shaping_out_and_the_planning_objective_holds_it() -> None:
    robot = load_robot("half_cheetah")
    assert len(robot.planning_objective.terms) == len(robot.objective.terms) + 1
    recorded = run_scenarios(robot, [Scenario("half_cheetah", 20)], RandomPolicy(robot.spec, 0, 20), source="random")
    (episode,) = recorded.episodes
    obs, action, next_obs = (torch.from_numpy(x) for x in (episode.obs[:-1], episode.action, episode.obs[1:]))
    goal = torch.zeros(20, 0)
    np.testing.assert_allclose(episode.reward, robot.objective(obs, action, next_obs, goal), rtol=1e-5)
    posture = robot.planning_objective(obs, action, next_obs, goal) - robot.objective(obs, action, next_obs, goal)
    np.testing.assert_allclose(posture, 2.0 * np.cos(episode.obs[1:, robot.spec.obs_index("pitch")]), rtol=1e-4, atol=1e-4)
