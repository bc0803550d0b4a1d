"""The files of the tutorial docs/walker.md: they load, and fit each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.adaptation.none import NoneConfig
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import load_scenario, parts_of
from sim.training.config import load_train_config
from tests.sim.test_train_configs import total_updates

WALKER = Path(__file__).resolve().parents[2] / "examples" / "walker"


@pytest.mark.parametrize("part", parts_of(WALKER / "changes.yaml"))
def test_the_walker_moves_under_every_change(part: str) -> None:
    distribution = load_scenario(f"{WALKER / 'changes.yaml'}:{part}")
    assert isinstance(distribution, ScenarioDistribution)
    robot = load_robot(WALKER / "walker.yaml")
    scenarios = [distribution.sample(np.random.default_rng(seed), steps=110) for seed in range(6)]

    episodes = run_scenarios(robot, scenarios, RandomPolicy(robot.spec, 0, 110), source="random").episodes

    assert all(np.isfinite(episode.reward).all() for episode in episodes)
    assert len({str(scenario.changes) for scenario in scenarios}) > 1


def test_the_comparison_has_the_same_network_data_and_updates() -> None:
    multitask, meta = (load_train_config(WALKER / f"{name}.yaml") for name in ("train_multitask", "train"))

    assert multitask.adaptation == (NoneConfig(),)
    assert multitask.data.episodes_from == Path("runs/train/walker")
    for key in ("scenarios", "model", "planner", "window", "outer"):
        assert getattr(multitask, key) == getattr(meta, key)
    assert total_updates(multitask) == total_updates(meta)
