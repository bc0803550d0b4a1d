"""Branches are what other plans would have done from the states they branch off."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.data.situations import number_situations
from adaptive_mbrl.planning import ICEMConfig, make_planner
from sim.episodes.branches import branch_episodes
from sim.episodes.policies import RandomPolicy
from sim.episodes.recorded import Recorded
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.batch import BatchSimulation

ROBOT = load_robot("half_cheetah")
WINDOW, BRANCHES, STEPS, SNAPSHOTS = 4, 3, 20, (2, 10)
PLANNER = ICEMConfig(horizon=6, num_samples=8, num_elites=3, num_elites_kept=1)


@pytest.fixture(scope="module")
def trunk() -> Recorded:
    heavy = ScheduledChange(5, Change(body_mass={"torso": 3.0}))
    scenarios = [Scenario("half_cheetah", STEPS, 1), Scenario("half_cheetah", STEPS, 2, (heavy,))]
    policy = RandomPolicy(ROBOT.spec, 0, STEPS)
    return run_scenarios(ROBOT, scenarios, policy, source="policy", snapshot_steps=SNAPSHOTS)


def branches_of(recorded: Recorded) -> list:
    return branch_episodes(ROBOT, make_planner(ROBOT.spec, PLANNER, 0), recorded, WINDOW, BRANCHES)


def test_a_branch_begins_with_the_history_and_goes_on_as_the_robot_would(trunk: Recorded):
    branches = branches_of(trunk)

    assert len(branches) == len(SNAPSHOTS) * 2 * BRANCHES
    simulation = BatchSimulation(ROBOT, 2)
    for number, branch in enumerate(branches):
        step = SNAPSHOTS[number // (2 * BRANCHES)]
        robot = number // BRANCHES % 2
        history = min(step, WINDOW)
        assert (branch.history, len(branch)) == (history, history + PLANNER.horizon)
        before = trunk.episodes[robot]
        np.testing.assert_array_equal(branch.obs[: history + 1], before.obs[step - history : step + 1])
        np.testing.assert_array_equal(branch.action[:history], before.action[step - history : step])
        simulation.restore(trunk.snapshots[step])
        for t in range(history, len(branch)):
            obs = simulation.step(np.tile(branch.action[t], (2, 1)))
            np.testing.assert_array_equal(branch.obs[t + 1], obs[robot])


def test_a_branch_ends_before_its_physics_does(trunk: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What MuJoCo gives after its reset of an unstable simulation is no transition."""
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    absurd = Change(external_force={"ffoot": (3e3, 0.0, 0.0)}, body_mass=0.1, damping=0.0, armature=0.03)
    snapshots = {t: dataclasses.replace(s, changes=(absurd, s.changes[1])) for t, s in trunk.snapshots.items()}

    branches = branches_of(dataclasses.replace(trunk, snapshots=snapshots))

    assert not any(branch.ended for branch in branches), "a simulator that fails is not a robot that falls"
    lengths = {seed: [len(b) - b.history for b in branches if b.tags["scenario"]["seed"] == seed] for seed in (1, 2)}
    assert lengths[2] == [PLANNER.horizon] * len(SNAPSHOTS) * BRANCHES
    assert all(0 < length < PLANNER.horizon for length in lengths[1])
    simulation = BatchSimulation(ROBOT, 2)
    for branch in (b for b in branches if b.tags["scenario"]["seed"] == 1):
        step = next(t for t in SNAPSHOTS if np.array_equal(trunk.episodes[0].obs[t], branch.obs[branch.history]))
        simulation.restore(snapshots[step])
        for t in range(branch.history, len(branch)):
            obs = simulation.step(np.tile(branch.action[t], (2, 1)))
            np.testing.assert_array_equal(branch.obs[t + 1], obs[0])


def test_a_branch_says_the_situation_that_was_in_force_where_it_began(trunk: Recorded):
    """Windows of it count as the same situation as those of its trunk, in this store and in one of before that tag."""
    branches = branches_of(trunk)
    heavy = {"body_mass": {"torso": 3.0}}
    # the second robot changes at step 5, so that its first branches are of the nominal robot
    assert [b.tags["situation"] for b in branches] == [{}] * 3 * BRANCHES + [heavy] * BRANCHES

    older = [dataclasses.replace(b, tags={k: v for k, v in b.tags.items() if k != "situation"}) for b in branches]
    for some in (branches, older):
        episodes = [*trunk.episodes, *some]
        spans, known = number_situations(episodes, [(e.history, len(e)) for e in episodes])
        assert known == [{}, heavy]
        assert [span[1:] for span in spans if span.episode == 1] == [(0, 5, 0), (5, STEPS, 1)]
        assert [span.task for span in spans if span.episode > 1] == [0] * 3 * BRANCHES + [1] * BRANCHES
