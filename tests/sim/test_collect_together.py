"""Processes that share the robots of a collection get what one process would have collected alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.planning import ICEMConfig, Score, make_planner
from adaptive_mbrl.process import Process
from adaptive_mbrl.training.data_config import DataConfig
from sim.episodes.collect import Collected, Collector
from sim.robot.robot import Robot, load_robot
from sim.scenarios.loading import load_training_part
from tests.core.together import together

PLANNER = ICEMConfig(horizon=4, num_samples=8, num_elites=3, num_elites_kept=1)
DATA = DataConfig(
    steps=12,
    random_episodes=5,
    oracle_episodes=3,
    oracle_planner=ICEMConfig(horizon=3, num_samples=6, num_elites=2, num_elites_kept=1),
    episodes_per_iteration=4,
    branches_per_state=2,
    branch_every=4,
    action_noise=0.3,
)


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("cartpole")


def collector(robot: Robot, process: Process, **data: object) -> Collector:
    distribution = load_training_part("cartpole/mass_gain:train")
    return Collector(dataclasses.replace(DATA, **data), robot, distribution, PLANNER, 4, seed=3, process=process)


def controller(robot: Robot) -> AdaptiveController:
    planner = make_planner(robot.spec, PLANNER, 5)
    adapter = make_adapter(DynamicsModel(robot.spec, ModelConfig(hidden=(8,), members=1, context_dim=2)), (NoneConfig(),), 4)
    return AdaptiveController(robot.spec, ControlSettings(adapter, planner, Score(robot.objective)), 4)


def assert_same(found: Collected, expected: Collected, tolerance: float = 0.0) -> None:
    assert [e.tags for e in found.episodes] == [e.tags for e in expected.episodes]
    assert [(e.history, e.ended) for e in found.episodes] == [(e.history, e.ended) for e in expected.episodes]
    for name in ("obs", "action", "reward"):
        for a, b in zip(arrays(found.episodes, name), arrays(expected.episodes, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    assert found.oracle_steps == expected.oracle_steps
    assert found.scalars == pytest.approx(expected.scalars, rel=1e-3, abs=1e-3, nan_ok=True)


def arrays(episodes: Sequence[Episode], name: str) -> list[np.ndarray]:
    return [getattr(e, name) for e in episodes]


@pytest.mark.parametrize("number", [2, 3])
def test_first_episodes(robot: Robot, number: int):
    """Random noise, the oracle's and the actions' noise, and branches, to the bit."""
    alone = collector(robot, Process()).initial()

    for found in together(number, lambda process: collector(robot, process).initial()):
        assert_same(found, alone)
    assert {e.tags["source"] for e in alone.episodes} == {"random", "oracle", "branch"}


def test_episodes_of_the_controller(robot: Robot):
    """Products of matrices of other sizes may differ in their last digits."""
    torch.set_num_threads(1)
    alone = collector(robot, Process()).on_policy(1, controller(robot))

    for found in together(2, lambda process: collector(robot, process).on_policy(1, controller(robot))):
        assert_same(found, alone, tolerance=1e-3)


def test_fewer_robots_than_processes_are_simulated_by_all(robot: Robot):
    few = {"random_episodes": 1, "oracle_episodes": 2}
    alone = collector(robot, Process(), **few).initial()

    for found in together(3, lambda process: collector(robot, process, **few).initial()):
        assert_same(found, alone)
