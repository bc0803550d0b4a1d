"""Episodes that end by themselves: in the simulation, in what is recorded, in the oracle, in branches and in the figures."""

from __future__ import annotations

import dataclasses
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.console import WIDTH
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.planning import ICEMConfig, Score, make_planner
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from sim.episodes.branches import branch_episodes
from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy
from sim.episodes.rank_correlation import rank_correlation
from sim.episodes.recorded import Recorded
from sim.episodes.run import run_scenarios
from sim.evaluation.evaluate import evaluate
from sim.evaluation.performance import performance
from sim.evaluation.plots import recovery_figure
from sim.evaluation.report import make_report
from sim.evaluation.setup import prepare
from sim.evaluation.terminal import print_report
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor
from sim.training.train import train
from tests.sim.conftest import MakeCheckpoint

ROBOT = load_robot("cartpole_balance")
IMMORTAL = dataclasses.replace(ROBOT, spec=dataclasses.replace(ROBOT.spec, terminate_when_unhealthy=False))
STEPS = 60
PLANNER = ICEMConfig(horizon=12, num_samples=16, num_iterations=2, num_elites=4)


class Pushes:
    """Robot 0 balances its pole by feedback; the others are pushed, each with a force of its own, so that they fall."""

    preview = 0

    def reset(self, simulation: BatchSimulation) -> None:
        self._force = np.linspace(0.0, 1.0, simulation.num_robots)[:, None].astype(np.float32)

    def act(self, obs: np.ndarray, goal: np.ndarray, sent: np.ndarray | None) -> tuple[np.ndarray, None]:
        self._force[0] = np.clip(3 * obs[0, 1] + obs[0, 3], -1, 1)
        return self._force.copy(), None


def run(policy: Policy, robot=ROBOT) -> Recorded:
    scenarios = Scenario("cartpole_balance", STEPS).episodes(3, 0)
    return run_scenarios(robot, scenarios, policy, source="policy", snapshot_steps=(4, 12, 40))


@pytest.fixture(scope="module")
def pushed() -> Recorded:
    return run(Pushes())


def test_an_episode_ends_with_the_step_that_leaves_the_ranges(pushed: Recorded):
    lengths = [len(e) for e in pushed.episodes]

    assert lengths[2] < lengths[1] < lengths[0] == STEPS
    assert [e.ended for e in pushed.episodes] == [False, True, True]
    assert pushed.instabilities == (None,) * 3
    for episode in pushed.episodes[1:]:
        outside = ROBOT.has_ended(episode.obs)
        assert outside.tolist() == [False] * len(episode) + [True]
        # a step alive earns 1, the one in which the pole falls nothing
        assert episode.reward.tolist() == [1.0] * (len(episode) - 1) + [0.0]


def test_until_then_it_is_the_episode_of_a_robot_that_never_ends(pushed: Recorded):
    for episode, other in zip(pushed.episodes, run(Pushes(), IMMORTAL).episodes, strict=True):
        assert len(other) == STEPS
        assert not other.ended
        np.testing.assert_array_equal(episode.obs, other.obs[: len(episode) + 1])
        np.testing.assert_array_equal(episode.action, other.action[: len(episode)])


def test_a_robot_that_fell_stands_still_and_a_reset_revives_it():
    simulation = BatchSimulation(ROBOT, 2)
    simulation.reset([0, 1])
    force = np.array([[1.0], [0.0]])
    while not simulation.ended[0]:
        simulation.step(force)
    fallen, at = simulation.obs[0].copy(), simulation.step_index

    for _ in range(3):
        after = simulation.step(force)

    assert simulation.lengths == (at, None)
    np.testing.assert_array_equal(after[0], fallen)
    snapshot = simulation.state()
    simulation.reset([0, 1])
    assert simulation.lengths == (None, None)
    simulation.restore(snapshot)
    assert simulation.lengths == (at, None)
    assert snapshot.select([1]).fallen == (None,)


def test_the_oracle_sees_the_end_that_comes():
    simulation = BatchSimulation(ROBOT, 1)
    oracle = OraclePredictor(simulation, 2)
    actions = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1).expand(-1, -1, 30, -1)

    futures = oracle.roll_out(torch.from_numpy(simulation.obs), actions)

    assert futures.alive is not None
    ends = ROBOT.has_ended(futures.next_obs[0, 0, 1].numpy())
    first = int(np.argmax(ends))
    assert futures.alive[0, 0, 0].all()
    assert futures.alive[0, 0, 1].tolist() == [True] * first + [False] * (30 - first)
    assert oracle.valid_steps.tolist() == [[30, first + 1]]
    plain = OraclePredictor(BatchSimulation(IMMORTAL, 1), 2).roll_out(torch.from_numpy(simulation.obs), actions)
    assert plain.alive is None
    assert torch.equal(plain.next_obs, futures.next_obs)


def test_the_oracle_keeps_the_pole_up_and_a_random_policy_does_not():
    steps = 100
    scenarios = Scenario("cartpole_balance", steps).episodes(2)
    returns = {
        name: [e.reward.sum() for e in run_scenarios(ROBOT, scenarios, policy, source=name).episodes]
        for name, policy in {
            "oracle": OraclePolicy(ROBOT.spec, PLANNER, 0),
            "random": RandomPolicy(ROBOT.spec, 0, steps),
        }.items()
    }

    assert returns["oracle"] == [steps] * 2
    assert max(returns["random"]) < 0.8 * steps


def test_branches_end_where_the_episode_ends(pushed: Recorded):
    window = 4
    branches = branch_episodes(ROBOT, make_planner(ROBOT.spec, PLANNER, 0), pushed, window, 3)

    assert {b.ended for b in branches} == {True, False}
    for branch in branches:
        assert ROBOT.has_ended(branch.obs[1:]).tolist() == [False] * (len(branch) - 1) + [branch.ended]
        assert branch.ended or len(branch) == branch.history + PLANNER.horizon


def untrained() -> AdaptiveController:
    adapter = NetworkAdapter(DynamicsModel(ROBOT.spec, ModelConfig(hidden=(4,), members=1), seed=0), [])
    settings = ControlSettings(adapter, make_planner(ROBOT.spec, PLANNER), Score(ROBOT.planning_objective))
    return AdaptiveController(ROBOT.spec, settings, 4)


def test_the_rank_correlation_is_about_returns_until_the_end(pushed: Recorded):
    found = rank_correlation(ROBOT, untrained(), pushed, (1, 12), 8)

    assert all(-1 <= value <= 1 for value in found.values())


def test_a_store_remembers_who_ended_and_a_dataset_takes_episodes_of_any_length(pushed: Recorded, tmp_path: Path):
    EpisodeStore.open(tmp_path, ROBOT.spec).append(pushed.episodes)

    read = EpisodeStore.open(tmp_path).episodes

    assert [(len(e), e.ended) for e in read] == [(len(e), e.ended) for e in pushed.episodes]
    longest = len(pushed.episodes[0])
    dataset = EpisodeDataset(ROBOT.spec, read[:1], read[1:], window=4, query=longest)
    assert dataset.held_out(3) is None


def test_a_training_learns_from_episodes_that_fall(tmp_path: Path):
    """Random, oracle and policy episodes and branches, on a robot whose random episodes are over after a while."""
    config = TrainConfig(
        "cartpole_balance/cadm:train",
        model=ModelConfig(hidden=(8,), members=2, context_dim=2),
        window=4,
        outer=OuterConfig(query=5, meta_batch_size=8, validation_windows=8),
        planner=PLANNER,
        data=DataConfig(
            steps=STEPS,
            random_episodes=6,
            oracle_episodes=2,
            oracle_planner=PLANNER,
            iterations=1,
            episodes_per_iteration=2,
            branches_per_state=1,
            branch_every=10,
        ),
        updates_initial=3,
        updates_per_iteration=3,
        updates_final=0,
    )

    checkpoint = load_checkpoint(train(config, tmp_path / "run"))

    episodes = EpisodeStore.open(tmp_path / "run" / "episodes").episodes
    random = [e for e in episodes if e.tags["source"] == "random"]
    assert any(e.ended and len(e) < STEPS for e in random)
    assert all(e.ended == (len(e) < STEPS) or len(e) == STEPS for e in random)
    main = [e for e in episodes if e.tags["source"] != "branch"]
    assert checkpoint.description.provenance["env_steps"] == sum(len(e) for e in main) < 10 * STEPS
    assert checkpoint.description.spec.healthy == ROBOT.spec.healthy


@pytest.fixture(scope="module")
def evaluation(make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("evaluation")
    checkpoint = make_checkpoint(folder / "checkpoint", robot="cartpole_balance")
    scenario = folder / "weak.yaml"
    scenario.write_text(f"robot: cartpole_balance\nsteps: {STEPS}\nchanges:\n  - {{at: 5, actuator_gain: 0.8}}\n")
    return evaluate(prepare(checkpoint, scenario, episodes=3))


def test_an_evaluation_counts_nothing_after_an_end_and_leaves_nobody_out(evaluation):
    report = make_report(evaluation)
    text = StringIO()
    print_report(report, Console(file=text, width=WIDTH))

    assert report["left_out"] == []
    random, episodes = report["arms"]["random"], evaluation.arms["random"].episodes
    assert random["ended_after"] == [len(e) if e.ended else None for e in episodes]
    assert any(random["ended_after"])
    for rewards, episode in zip(random["rewards"], episodes, strict=True):
        assert len(rewards) == STEPS
        assert rewards[len(episode) :] == [0.0] * (STEPS - len(episode))
    expected = np.mean([sum(r[5:]) for r in random["rewards"]])
    assert report["summary"]["random"]["return_after_change"]["mean"] == pytest.approx(expected, abs=1e-4)
    assert "Episodes that ended early, with reward 0 from then on: random" in text.getvalue()


def test_the_curves_go_on_with_nothing_after_an_end(evaluation):
    arm = evaluation.arms["random"]

    values = performance(ROBOT, arm.episodes, arm.steps)

    assert values.shape == (3, STEPS)
    for row, episode in zip(values, arm.episodes, strict=True):
        assert not row[len(episode) :].any()
    assert len(recovery_figure(evaluation).axes) == 2


def test_a_controller_of_the_robot_runs_to_the_end_of_the_last_one():
    recorded = run(ControllerPolicy(untrained()))

    assert recorded.log is not None
    assert len(recorded.log.plan_seconds) == max(len(e) for e in recorded.episodes)


def test_the_figures_of_a_log_leave_out_what_comes_after_an_end():
    recorded = run(ControllerPolicy(untrained()))
    assert recorded.log is not None
    lengths = [len(e) for e in recorded.episodes]
    assert min(lengths) < max(lengths)

    steps = np.repeat(np.arange(max(lengths))[:, None], len(lengths), axis=1)

    assert sorted(recorded.while_running(steps)) == sorted(t for length in lengths for t in range(length))
    assert recorded.select([1]).while_running(steps[:, [1]]).tolist() == list(range(lengths[1]))
