"""Nothing looks wrong about the shipped robots."""

from __future__ import annotations

import pytest

from adaptive_mbrl.stores.channels import ChannelFigures, velocity_pairs
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario

PAIRS = {"ant": 8, "arm": 7, "cartpole": 2, "half_cheetah": 6, "quadrotor": 0}
"""Of each robot the number of positions and velocities that belong together."""


@pytest.mark.parametrize("name", PAIRS)
def test_recordings_of_a_shipped_robot_are_not_suspicious(name: str):
    robot = load_robot(name)
    figures, policy = ChannelFigures(robot.spec), RandomPolicy(robot.spec, seed=0, steps=100)
    for episode in run_scenarios(robot, Scenario(name, 100).episodes(4), policy, source="random").episodes:
        figures.add(episode)

    assert len(velocity_pairs(robot.spec)) == PAIRS[name]
    assert list(figures.warnings()) == []
