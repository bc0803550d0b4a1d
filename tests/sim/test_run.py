"""Running scenarios: a robot whose physics becomes unstable costs its own episode and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.planning import ICEMConfig, Score, make_planner
from sim.episodes.branches import branch_episodes, candidate_plans
from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy
from sim.episodes.rank_correlation import rank_correlation
from sim.episodes.recorded import Recorded
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange

ROBOT = load_robot("cartpole")
ABSURD = Change(external_force={"pole_1": (1e5, 0.0, 1e5)}, body_mass=0.01, actuator_gain=10.0)
WEAK = Change(actuator_gain=0.5)
STEPS, BREAK, SNAPSHOTS = 20, 6, (4, 8, 12)
PLANNER = ICEMConfig(horizon=5, num_samples=8, num_iterations=2, num_elites=3)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory


def scenarios(middle: Change) -> list[Scenario]:
    """Three robots; the one in the middle changes at step `BREAK`, and again later."""
    later = (ScheduledChange(BREAK, middle), ScheduledChange(15, WEAK))
    return [Scenario("cartpole", STEPS, seed, later if seed == 1 else (ScheduledChange(10, WEAK),)) for seed in range(3)]


def controller() -> AdaptiveController:
    adapter = NetworkAdapter(DynamicsModel(ROBOT.spec, ModelConfig(hidden=(4,), members=1), seed=0), [])
    settings = ControlSettings(adapter, make_planner(ROBOT.spec, PLANNER), Score(ROBOT.planning_objective))
    return AdaptiveController(ROBOT.spec, settings, 4)


def policies() -> dict[str, Policy]:
    return {
        "random": RandomPolicy(ROBOT.spec, 0, STEPS),
        "oracle": OraclePolicy(ROBOT.spec, PLANNER, 0),
        "controller": ControllerPolicy(controller()),
    }


def run(policy: Policy, middle: Change) -> Recorded:
    return run_scenarios(
        ROBOT, scenarios(middle), policy, source="policy", action_noise=0.1, noise_seed=3, snapshot_steps=SNAPSHOTS
    )


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("log"))
        return run(policies()["random"], ABSURD)


@pytest.mark.parametrize("name", ["random", "oracle", "controller"])
def test_the_other_robots_do_not_notice(name: str):
    broken, sound = run(policies()[name], ABSURD), run(policies()[name], WEAK)

    for i in (0, 2):
        for field in ("obs", "action", "reward"):
            np.testing.assert_array_equal(getattr(broken.episodes[i], field), getattr(sound.episodes[i], field))
        assert not broken.episodes[i].ended
        assert len(broken.episodes[i]) == STEPS
    if broken.log is not None and sound.log is not None:
        np.testing.assert_array_equal(broken.log.select([0, 2]).adapted_error, sound.log.select([0, 2]).adapted_error)


def test_the_episode_ends_before_the_step_that_could_not_be_simulated(broken: Recorded):
    instability = broken.instabilities[1]
    assert instability is not None
    episode, sound = broken.episodes[1], run(policies()["random"], WEAK).episodes[1]

    assert (instability.step, instability.change) == (BREAK, ABSURD)
    assert [broken.instabilities[i] for i in (0, 2)] == [None, None]
    assert episode.ended
    assert (len(episode.obs), len(episode.action), len(episode.reward)) == (BREAK + 1, BREAK, BREAK)
    for field, length in (("obs", BREAK + 1), ("action", BREAK), ("reward", BREAK)):
        np.testing.assert_array_equal(getattr(episode, field), getattr(sound, field)[:length])


def test_a_run_stops_when_no_robot_is_left():
    steps: list[int] = []
    course = [Scenario("cartpole", STEPS, 0, (ScheduledChange(BREAK, ABSURD),))]

    recorded = run_scenarios(
        ROBOT, course, policies()["random"], source="random", hook=lambda step, simulation: steps.append(step)
    )

    assert steps == list(range(BREAK + 1))
    assert len(recorded.episodes[0]) == BREAK


def test_an_episode_may_end_before_its_first_step():
    course = [Scenario("cartpole", STEPS, 0, (ScheduledChange(0, ABSURD),))]

    (episode,) = run_scenarios(ROBOT, course, policies()["random"], source="random").episodes

    assert (episode.obs.shape, episode.action.shape, episode.reward.shape) == ((1, 4), (0, 1), (0,))


def test_what_is_left_out_is_named(broken: Recorded):
    lines: list[str] = []

    stable = broken.without_unstable(lines.append)

    (line,) = lines
    assert line.startswith(
        f"episode 1 (seed 1): the physics became unstable at control step {BREAK} under {{'actuator_gain': 10.0"
    )
    assert [e.tags["scenario"]["seed"] for e in stable.episodes] == [0, 2]
    assert stable.instabilities == (None, None)
    assert all(snapshot.seeds == (0, 2) for snapshot in stable.snapshots.values())


def test_branches_leave_from_episodes_of_any_length(broken: Recorded):
    branches = branch_episodes(ROBOT, make_planner(ROBOT.spec, PLANNER, 0), broken, 4, 2)

    seeds = [[b.tags["scenario"]["seed"] for b in branches[begin:end]] for begin, end in ((0, 6), (6, 10), (10, 14))]
    assert seeds == [[0, 0, 1, 1, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]]
    assert not any(b.ended for b in branches)


def test_a_plan_beyond_an_episodes_end_goes_on_with_its_last_action(broken: Recorded):
    quiet = make_planner(ROBOT.spec, dataclasses.replace(PLANNER, sigma=1e-9), 0)

    plans = candidate_plans(quiet, broken.episodes, 4, 3, torch.Generator())

    sent = broken.episodes[1].action
    np.testing.assert_allclose(plans[1, 0], sent[[4, 5, 5, 5, 5]], atol=1e-6)
    np.testing.assert_allclose(plans[0, 0], broken.episodes[0].action[4:9], atol=1e-6)


def test_rank_correlation_takes_episodes_of_any_length(broken: Recorded):
    found = rank_correlation(ROBOT, controller(), broken, (1, 5), 8)

    assert set(found) == {1, 5}
    assert all(-1 <= value <= 1 for value in found.values())
