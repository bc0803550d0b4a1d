"""The shipped training configs: they load, they draw changed dynamics, and comparisons are fair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.adaptation.reversal import as_wired
from adaptive_mbrl.checkpoint import find_checkpoint, load_checkpoint
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.training.config import TrainConfig
from sim.episodes.policies import ControllerPolicy
from sim.episodes.run import run_scenarios
from sim.paths import config_root
from sim.robot.robot import load_robot
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario
from sim.training.config import load_train_config

NAMES = sorted(p.stem for p in (config_root() / "train").glob("*.yaml"))
PRETRAINED = find_checkpoint("half_cheetah").parent
ON_POLICY = [n for n in NAMES if n.endswith("_on_policy")]
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
    drawn = {str(distribution.sample(rng, config.data.steps).change_in_force(config.data.steps - 1)) for _ in range(20)}
    assert len(drawn) > 2


@pytest.mark.parametrize("name", MULTITASK)
def test_the_multitask_comparison_has_the_same_network_data_and_updates(name: str) -> None:
    multitask, meta = load_train_config(name), load_train_config(name.removesuffix("_multitask"))
    assert multitask.data.episodes_from == Path("runs/train") / name.removesuffix("_multitask")
    assert multitask.scenarios == meta.scenarios
    assert multitask.model == meta.model
    assert multitask.planner == meta.planner
    assert multitask.window == meta.window
    assert multitask.adaptation == (NoneConfig(),)
    assert multitask.outer == meta.outer
    assert total_updates(multitask) == total_updates(meta)


SHIPPED = sorted(p.name for p in PRETRAINED.iterdir() if (p / "checkpoint.yaml").is_file())
MAX_BYTES = 4 * 1024**2


def test_every_training_config_has_its_shipped_checkpoint() -> None:
    """But for trainings without privileges, of which there are reports only, and those that take longer than they are used."""
    assert [n for n in NAMES if n not in ON_POLICY and not n.startswith("arm_anything")] == SHIPPED


def env_steps(config: TrainConfig) -> int:
    data = config.data
    return data.steps * (data.random_episodes + data.oracle_episodes + data.iterations * data.episodes_per_iteration)


@pytest.mark.parametrize("name", ON_POLICY)
def test_a_training_without_privileges_has_none_and_is_otherwise_as_the_shipped_one(name: str) -> None:
    config, shipped = load_train_config(name), load_train_config(name.removesuffix("_on_policy"))
    assert (config.data.oracle_episodes, config.data.branches_per_state, config.shaping) == (0, 0, False)
    assert (env_steps(config), total_updates(config)) == (env_steps(shipped), total_updates(shipped))
    for key in ("scenarios", "model", "window", "outer", "planner", "adaptation"):
        assert getattr(config, key) == getattr(shipped, key)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_checkpoint_is_what_its_config_trains(name: str) -> None:
    config, about = load_train_config(name), load_checkpoint(name).description
    robot = load_robot(load_scenario(config.scenarios).robot)
    assert (about.model, about.adaptation, about.planner) == (config.model, config.adaptation, config.planner)
    assert about.window == config.window
    assert about.spec == robot.spec
    assert about.terms == robot.planning_objective.terms
    assert about.provenance["updates"] == total_updates(config)
    assert about.provenance["outer"] == ("multitask" if config.adaptation == (NoneConfig(),) else "meta")
    assert sum(f.stat().st_size for f in (PRETRAINED / name).iterdir()) <= MAX_BYTES


def draw_weights(adapter: NetworkAdapter) -> None:
    """Forget all that was learned."""
    model = adapter.model
    model.net.load_state_dict(DynamicsModel(model.spec, model.config, seed=1).net.state_dict())


QUICK = ("arm", "cartpole")
"""One with a goal and one without; the predictions of all are in tests/quality/test_prediction.py."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in SHIPPED])
def test_a_shipped_checkpoint_controls_its_robot(name: str) -> None:
    """In its first steps on the nominal robot it earns more than the same controller with random network weights."""
    robot = load_robot(load_checkpoint(name).description.spec.name)
    # a cart-pole has to swing to and fro first
    scenarios = Scenario(robot.spec.name, 30 if robot.spec.name == "cartpole" else 15).episodes(2)
    returns = {}
    for learned in (True, False):
        controller = AdaptiveController.load(name)
        if not learned:
            draw_weights(as_wired(controller.settings.adapter))
        episodes = run_scenarios(robot, scenarios, ControllerPolicy(controller), source="policy").episodes
        returns[learned] = np.mean([e.reward.sum() for e in episodes])
    assert returns[True] > returns[False] + 0.5
