"""What a training does without where the robot is an environment, and what it learns beside the dynamics."""

from __future__ import annotations

import dataclasses

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning.learned_reward import LearnedRewardConfig
from adaptive_mbrl.planning.learned_termination import LearnedTerminationConfig
from adaptive_mbrl.training.config import TrainConfig
from sim.robot.robot import Robot
from sim.robot.task import RobotTask


def completed(config: TrainConfig, robot: RobotTask) -> TrainConfig:
    """The configuration with what a robot without reward terms, or without a written end of its episodes, makes a training learn.

    Raises:
        ConfigError: a reward is to be learned although the robot has reward terms.
    """
    if robot.objective is not None and config.learned_reward is not None:
        raise ConfigError(f"key 'learned_reward': the robot '{robot.name}' has reward terms in its file; allowed: one of the two")
    if robot.objective is None and config.learned_reward is None:
        config = dataclasses.replace(config, learned_reward=LearnedRewardConfig())
    if robot.learns_termination and config.learned_termination is None:
        config = dataclasses.replace(config, learned_termination=LearnedTerminationConfig())
    return config


def require_on_policy(config: TrainConfig, robot: RobotTask) -> None:
    """Refuse a training that needs snapshots of a robot that has none.

    Raises:
        ConfigError: it asks for oracle episodes or for branches.
    """
    if isinstance(robot, Robot):
        return
    for key in ("oracle_episodes", "branches_per_state"):
        if getattr(config.data, key):
            raise ConfigError(
                f"key 'data.{key}': the robot '{robot.name}' is an environment, which cannot be put back into an earlier state "
                "to try other actions from there; allowed: 0"
            )
