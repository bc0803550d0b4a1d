"""The rank correlation tells a model that orders plans rightly from one that does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.planning import ICEMConfig, Score, make_planner
from adaptive_mbrl.predictor import Trajectories
from sim.episodes.policies import RandomPolicy
from sim.episodes.rank_correlation import rank_correlation
from sim.episodes.recorded import Recorded
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor

ROBOT = load_robot("cartpole")
PLANNER = ICEMConfig(horizon=8, num_samples=8, num_elites=4)
REVERSED = Change(actuator_gain=-1.0)
HORIZONS, CANDIDATES = (1, 4, 8), 24


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    """Three robots whose motors turn the other way round from step 6 on; snapshots after that."""
    scenarios = [Scenario("cartpole", 24, seed, (ScheduledChange(6, REVERSED),)) for seed in range(3)]
    policy = RandomPolicy(ROBOT.spec, seed=0, steps=24)
    return run_scenarios(ROBOT, scenarios, policy, source="random", snapshot_steps=(10, 16))


class SimulatorAsModel(NetworkAdapter):
    """Predicts with the simulator, from the snapshot that the observation belongs to."""

    def __init__(self, recorded: Recorded, change: Callable[[Change], Change]) -> None:
        super().__init__(DynamicsModel(ROBOT.spec, ModelConfig(hidden=(4,), members=1)), [])
        self.recorded, self.change = recorded, change

    def condition(self, belief: object, noise: object = None) -> SimulatorAsModel:
        return self

    def roll_out(self, obs: Tensor, actions: Tensor) -> Trajectories:
        (snapshot,) = (s for s in self.recorded.snapshots.values() if np.array_equal(s.obs, obs.numpy()))
        changes = tuple(self.change(c) for c in snapshot.changes)
        simulation = BatchSimulation(ROBOT, len(obs))
        simulation.restore(dataclasses.replace(snapshot, changes=changes))
        return OraclePredictor(simulation, actions.shape[1]).roll_out(obs, actions)


def correlation(recorded: Recorded, adapter: NetworkAdapter) -> dict[int, float]:
    settings = ControlSettings(adapter, make_planner(ROBOT.spec, PLANNER), Score(ROBOT.objective))
    return rank_correlation(ROBOT, AdaptiveController(ROBOT.spec, settings, window=4), recorded, HORIZONS, CANDIDATES)


def test_the_simulator_itself_orders_every_plan_rightly(recorded: Recorded):
    found = correlation(recorded, SimulatorAsModel(recorded, lambda change: change))

    assert found == {h: pytest.approx(1.0) for h in HORIZONS}


def test_a_simulator_that_missed_the_change_orders_them_wrongly(recorded: Recorded):
    """It still believes in the nominal motor."""
    found = correlation(recorded, SimulatorAsModel(recorded, lambda change: Change()))

    assert found[8] < 0.3


def test_untrained_models_order_them_much_worse(recorded: Recorded):
    obs = torch.from_numpy(np.concatenate([e.obs for e in recorded.episodes]))
    found = []
    for seed in range(4):
        model = DynamicsModel(ROBOT.spec, ModelConfig(hidden=(16, 16), members=1), seed)
        model.normalizer.fit(transition_statistics(ROBOT.spec, [(obs[:-1], obs[1:])]))
        found.append(correlation(recorded, NetworkAdapter(model, []))[8])

    # not zero: the cost of the actions themselves needs no model
    assert np.mean(found) < 0.6, found


def test_the_same_question_gets_the_same_answer(recorded: Recorded):
    """The simulation it rolls out in is its own: nothing of one call is left for the next."""
    adapter = NetworkAdapter(DynamicsModel(ROBOT.spec, ModelConfig(hidden=(8,), members=2)), [])

    assert correlation(recorded, adapter) == correlation(recorded, adapter)


def test_without_snapshots_there_is_nothing_to_say(recorded: Recorded):
    nothing = dataclasses.replace(recorded, snapshots={})

    assert correlation(nothing, NetworkAdapter(DynamicsModel(ROBOT.spec, ModelConfig(hidden=(4,), members=1)), [])) == {}
