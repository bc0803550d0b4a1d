"""The batch: each robot as if it were alone, deterministic, and restorable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError, ObservationError
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import MAX_ACTION_DELAY, Change
from sim.simulation.batch import BatchSimulation
from sim.simulation.instability import Instability, SimulationError

VARIED = [
    Change(),
    Change(actuator_gain={"bshin": 0.0}, action_delay=2),
    Change(body_mass=1.4, obs_noise=0.05),
    Change(slope_deg=5.0, friction=0.5, external_force={"torso": (10.0, 0.0, 0.0)}),
]


@pytest.fixture(scope="module")
def cheetah() -> Robot:
    return load_robot("half_cheetah")


def roll(simulation: BatchSimulation, actions: np.ndarray) -> np.ndarray:
    return np.stack([simulation.step(action) for action in actions])


def test_batched_equals_one_by_one(cheetah: Robot) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 4, 6))
    together = BatchSimulation(cheetah, 4)
    first = together.reset([10, 11, 12, 13], VARIED)
    batched = roll(together, actions)
    for i, change in enumerate(VARIED):
        alone = BatchSimulation(cheetah, 1)
        np.testing.assert_array_equal(alone.reset([10 + i], [change])[0], first[i])
        np.testing.assert_array_equal(roll(alone, actions[:, i : i + 1])[:, 0], batched[:, i])


def test_results_do_not_depend_on_threads_or_on_earlier_episodes(cheetah: Robot) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 4, 6))
    fresh = BatchSimulation(cheetah, 4, num_threads=1)
    fresh.reset([0, 1, 2, 3])
    used = BatchSimulation(cheetah, 4, num_threads=2)
    used.reset([7, 8, 9, 10], VARIED)
    roll(used, actions)
    used.reset([0, 1, 2, 3])
    assert used.changes == (Change(),) * 4
    np.testing.assert_array_equal(roll(fresh, actions), roll(used, actions))


def test_restore_continues_exactly(cheetah: Robot) -> None:
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (40, 4, 6))
    simulation = BatchSimulation(cheetah, 4)
    simulation.reset([0, 1, 2, 3], VARIED)
    roll(simulation, actions[:20])
    snapshot, without_noise = simulation.state(), simulation.true_obs.copy()
    expected = roll(simulation, actions[20:])
    simulation.reset([5, 6, 7, 8])
    roll(simulation, actions[:3])
    simulation.restore(snapshot)
    np.testing.assert_array_equal(simulation.obs, snapshot.obs)
    np.testing.assert_array_equal(simulation.true_obs, without_noise)
    assert simulation.step_index == 20
    np.testing.assert_array_equal(roll(simulation, actions[20:]), expected)


@pytest.mark.parametrize("delay", [1, 3, MAX_ACTION_DELAY])
def test_a_delayed_action_takes_effect_exactly_so_many_steps_later(cheetah: Robot, delay: int) -> None:
    steps = delay + 5
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 1, 6))
    delayed, direct = BatchSimulation(cheetah, 1), BatchSimulation(cheetah, 1)
    delayed.reset([0], [Change(action_delay=delay)])
    direct.reset([0])
    shifted = np.concatenate([np.zeros((delay, 1, 6)), actions[: steps - delay]])
    np.testing.assert_array_equal(roll(delayed, actions), roll(direct, shifted))


def test_noise_is_seeded_has_the_asked_size_and_leaves_the_physics_alone(cheetah: Robot) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (300, 3, 6))
    noise = Change(obs_noise={"pitch": 0.3})
    noisy, clean = BatchSimulation(cheetah, 3), BatchSimulation(cheetah, 3)
    first = noisy.reset([4, 5, 4], [noise] * 3) - clean.reset([4, 5, 4])
    actions[:, 2] = actions[:, 0]
    error = np.concatenate([first[None], roll(noisy, actions) - roll(clean, actions)])
    pitch = cheetah.spec.obs_index("pitch")
    np.testing.assert_array_equal(np.delete(error, pitch, axis=2), 0.0)
    np.testing.assert_array_equal(error[:, 0], error[:, 2])
    assert not np.array_equal(error[:, 0], error[:, 1])
    assert np.all(error[:, :, pitch] != 0)
    assert 0.27 < error[:, :2, pitch].std() < 0.33


def test_actions_are_clipped_and_the_clipped_one_is_told(cheetah: Robot) -> None:
    beyond, at_limit = BatchSimulation(cheetah, 1), BatchSimulation(cheetah, 1)
    for simulation in (beyond, at_limit):
        simulation.reset([0])
    action = np.full((1, 6), 3.0)
    np.testing.assert_array_equal(beyond.clip(action), np.ones((1, 6), dtype=np.float32))
    np.testing.assert_array_equal(beyond.step(action), at_limit.step(np.ones((1, 6))))


def test_steps_are_counted(cheetah: Robot) -> None:
    simulation = BatchSimulation(cheetah, 3)
    roll(simulation, np.zeros((4, 3, 6)))
    assert simulation.step_index == 4
    simulation.reset([0, 1, 2])
    assert simulation.step_index == 0


@pytest.mark.parametrize("action", [np.zeros((2, 5)), np.zeros(6), np.full((2, 6), np.nan)])
def test_bad_actions_are_refused(cheetah: Robot, action: np.ndarray) -> None:
    with pytest.raises(ObservationError, match=r"expected finite numbers of shape \(2, 6\)"):
        BatchSimulation(cheetah, 2).step(action)


def test_wrong_counts_are_refused(cheetah: Robot) -> None:
    with pytest.raises(ConfigError, match="expected 2 seeds, got 3"):
        BatchSimulation(cheetah, 2).reset([0, 1, 2])
    with pytest.raises(ConfigError, match="num_robots: 0 is out of range"):
        BatchSimulation(cheetah, 0)


def test_unstable_physics_is_an_error_not_a_silent_restart(
    cheetah: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    simulation = BatchSimulation(cheetah, 2)
    simulation.physics.arrays["qvel"][1] = 1e12
    with pytest.raises(SimulationError, match=r"robot 1 of 2 \('half_cheetah'\).*unstable at control step 0"):
        simulation.step(np.zeros((2, 6)))


ABSURD = Change(external_force={"ffoot": (1e5, 0.0, 1e5)}, body_mass=0.01, damping=0.0)


def test_an_unstable_robot_ends_alone(cheetah: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' numbers are those of a batch in which nothing happened, to the bit."""
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 4, 6))
    broken, sound = (BatchSimulation(cheetah, 4, on_unstable="end") for _ in range(2))
    for simulation in (broken, sound):
        simulation.reset([0, 1, 2, 3], VARIED)
    roll(broken, actions[:10]), roll(sound, actions[:10])
    broken.set_change(2, ABSURD)
    before = broken.obs[2].copy()

    after, expected = roll(broken, actions[10:]), roll(sound, actions[10:])

    (ended,) = np.flatnonzero(broken.ended)
    assert ended == 2
    instability = broken.instabilities[2]
    assert instability is not None
    assert instability.change == ABSURD
    np.testing.assert_array_equal(np.delete(after, 2, axis=1), np.delete(expected, 2, axis=1))
    others = [0, 1, 3]
    np.testing.assert_array_equal(broken.physics.state[others], sound.physics.state[others])
    first = instability.step - 10
    held = after[first - 1, 2] if first else before
    np.testing.assert_array_equal(after[first:, 2], np.tile(held, (20 - first, 1)))
    assert np.isfinite(after).all()
    assert np.isfinite(broken.physics.state).all()


def test_a_reset_revives_an_ended_robot(cheetah: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 3, 6))
    used, fresh = (BatchSimulation(cheetah, 3, on_unstable="end") for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(used.physics, "unstable", lambda: np.array([False, True, False]))
        used.step(actions[0])
    assert used.instabilities == (None, Instability(0, Change(), np.zeros(0), np.zeros(0)), None)

    first = used.reset([5, 6, 7], VARIED[:3])

    assert used.instabilities == (None,) * 3
    np.testing.assert_array_equal(first, fresh.reset([5, 6, 7], VARIED[:3]))
    np.testing.assert_array_equal(roll(used, actions), roll(fresh, actions))


def test_a_snapshot_remembers_who_has_ended_and_some_of_it_continues_alone(
    cheetah: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 3, 6))
    simulation = BatchSimulation(cheetah, 3, on_unstable="end")
    simulation.reset([0, 1, 2], VARIED[:3])
    roll(simulation, actions[:4])
    early = simulation.state()
    with monkeypatch.context() as patch:
        patch.setattr(simulation.physics, "unstable", lambda: np.array([False, True, False]))
        simulation.step(actions[4])
    late = simulation.state()
    expected = roll(simulation, actions[5:])

    simulation.restore(early)
    assert not simulation.ended.any()
    simulation.restore(late)
    assert simulation.ended.tolist() == [False, True, False]
    np.testing.assert_array_equal(roll(simulation, actions[5:]), expected)
    two = BatchSimulation(cheetah, 2)
    two.restore(late.select([0, 2]))
    np.testing.assert_array_equal(roll(two, actions[5:, [0, 2]]), expected[:, [0, 2]])


def test_a_restarted_robot_is_like_new_and_the_others_notice_nothing(cheetah: Robot) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (200, 4, 6))
    mixed, whole = (BatchSimulation(cheetah, 4) for _ in range(2))
    for simulation in (mixed, whole):
        simulation.reset([0, 1, 2, 3], VARIED)
    roll(mixed, actions[:37]), roll(whole, actions[:37])

    first = mixed.restart([3, 1], [20, 21], [VARIED[2], VARIED[1]])
    then = roll(mixed, actions[37:])

    np.testing.assert_array_equal(mixed.episode_steps, [200, 163, 200, 163])
    np.testing.assert_array_equal(then[:, [0, 2]], roll(whole, actions[37:])[:, [0, 2]])
    for index, seed, change in ((3, 20, VARIED[2]), (1, 21, VARIED[1])):
        alone = BatchSimulation(cheetah, 1)
        np.testing.assert_array_equal(alone.reset([seed], [change])[0], first[index])
        np.testing.assert_array_equal(roll(alone, actions[37:, index : index + 1])[:, 0], then[:, index])


def test_a_snapshot_knows_when_each_episode_began(cheetah: Robot) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 4, 6))
    simulation = BatchSimulation(cheetah, 4)
    simulation.reset([0, 1, 2, 3], VARIED)
    roll(simulation, actions[:10])
    simulation.restart([2], [9], [VARIED[2]])
    state = simulation.state()
    expected = roll(simulation, actions[10:])
    simulation.reset([4, 5, 6, 7])

    simulation.restore(state)

    np.testing.assert_array_equal(simulation.episode_steps, [10, 10, 0, 10])
    np.testing.assert_array_equal(roll(simulation, actions[10:]), expected)
    np.testing.assert_array_equal(state.select([2, 0]).begun, [10, 0])


def test_a_restart_revives_an_ended_robot(cheetah: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    used, fresh = (BatchSimulation(cheetah, n, on_unstable="end") for n in (3, 1))
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 3, 6))
    with monkeypatch.context() as patch:
        patch.setattr(used.physics, "unstable", lambda: np.array([False, True, False]))
        used.step(actions[0])
    assert used.ended.tolist() == [False, True, False]

    used.restart([1], [5], [Change()])

    fresh.reset([5])
    assert not used.ended.any()
    np.testing.assert_array_equal(roll(used, actions)[:, 1], roll(fresh, actions[:, 1:2])[:, 0])
