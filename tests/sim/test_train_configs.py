"""The shipped training configs: they load, they draw changed dynamics, and comparisons are fair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.distribution import ScenarioDistribution
from sim.paths import config_root
from sim.scenario import load_scenario
from sim.train_config import TrainConfig, load_train_config

NAMES = sorted(p.stem for p in (config_root() / "train").glob("*.yaml"))
MULTITASK = [n for n in NAMES if n.endswith("_multitask")]


def total_updates(config: TrainConfig) -> int:
    return config.updates_initial + config.data.iterations * config.updates_per_iteration + config.updates_final


@pytest.mark.parametrize("name", NAMES)
def test_training_draws_changed_dynamics_from_a_train_part(name: str) -> None:
    config = load_train_config(name)
    assert config.scenarios.endswith(":train")
    distribution = load_scenario(config.scenarios)
    assert isinstance(distribution, ScenarioDistribution)
    rng = np.random.default_rng(0)
    drawn = {str(distribution.sample(rng, config.data.steps).dynamics_at(config.data.steps - 1)) for _ in range(20)}
    assert len(drawn) > 2


@pytest.mark.parametrize("name", MULTITASK)
def test_the_multitask_comparison_has_the_same_network_data_and_updates(name: str) -> None:
    multitask, meta = load_train_config(name), load_train_config(name.removesuffix("_multitask"))
    assert multitask.data.episodes_from == Path("runs/train") / name.removesuffix("_multitask")
    assert multitask.scenarios == meta.scenarios
    assert multitask.model == meta.model
    assert multitask.planner == meta.planner
    assert multitask.adaptation.window == meta.adaptation.window
    assert replace(multitask.outer, outer="meta") == meta.outer
    assert total_updates(multitask) == total_updates(meta)
