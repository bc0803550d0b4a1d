"""Shaping terms: planners maximise them, nobody is scored on them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from adaptive_mbrl.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.config import read_mapping
from adaptive_mbrl.objective import Objective
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.evaluation.setup import prepare
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario
from sim.training.config import load_train_config
from sim.training.train import open_training
from tests.sim.conftest import MakeCheckpoint

SCENARIO = "half_cheetah/cadm_cripple:test"


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


@pytest.mark.parametrize("shaping", [True, False])
def test_each_arm_plans_for_what_its_checkpoint_was_trained_for(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, shaping: bool
) -> None:
    robot = load_robot("half_cheetah")
    with_shaping = load_checkpoint(make_checkpoint(tmp_path / "with", "half_cheetah", "none"))
    description = dataclasses.replace(with_shaping.description, shaping=shaping)
    save_checkpoint(tmp_path / "other", dataclasses.replace(with_shaping, description=description))
    setup = prepare(tmp_path / "other", SCENARIO, episodes=1, multitask=tmp_path / "with")
    wanted = robot.planning_objective if shaping else robot.objective
    for arm, objective in {"adaptive": wanted, "frozen": wanted, "multitask": robot.planning_objective}.items():
        reward = setup.controllers[arm].settings.score.reward
        assert isinstance(reward, Objective)
        assert reward.terms == objective.terms, arm


def test_a_checkpoint_that_does_not_say_so_plans_with_shaping(tmp_path: Path) -> None:
    """As checkpoints of before do."""
    older = shutil.copytree(find_checkpoint("half_cheetah"), tmp_path / "older")
    content = dict(read_mapping(older / "checkpoint.yaml"))
    del content["shaping"]
    (older / "checkpoint.yaml").write_text(yaml.safe_dump(content))

    assert load_checkpoint(older).description.shaping


def test_a_training_without_shaping_plans_and_saves_the_bare_objective(tmp_path: Path) -> None:
    robot = load_robot("half_cheetah")
    config = dataclasses.replace(load_train_config("half_cheetah"), shaping=False)
    with open_training(config, tmp_path / "run", torch.device("cpu")) as training:
        reward = training.controller(0).settings.score.reward
        about = training.description()
    assert isinstance(reward, Objective)
    assert reward.terms == about.terms == robot.objective.terms
    assert not about.shaping
