"""The vector environment does what single environments do, whenever their episodes begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

import sim.environment
from adaptive_mbrl.errors import ConfigError
from sim.environment.scenario_env import ScenarioEnv
from sim.environment.vector_env import ScenarioVectorEnv

STEPS, ROBOTS = 40, 3
assert sim.environment.ids()


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """A split of 15 steps with sensor noise, delays and changes in mid-episode."""
    path = tmp_path / "noisy.yaml"
    path.write_text(
        "robot: cartpole\nsteps: 15\n"
        "train:\n  initial: [{obs_noise: {pole_angle: 0.1}}]\n"
        "  change: {at: {uniform: [2, 9]}, alternatives: [{actuator_gain: {uniform: [-1, 1]}, "
        "action_delay: 2, obs_noise: 0.05}]}\n"
        "test:\n  change: {at: 5, alternatives: [{gravity: {uniform: [0.2, 0.4]}}, {actuator_gain: -1.0}]}\n",
        encoding="utf-8",
    )
    return path


def end_early(monkeypatch: pytest.MonkeyPatch, env: ScenarioVectorEnv | ScenarioEnv, ends: dict[int, list[int]]) -> None:
    """Make the physics of some robots count as unstable in given steps, so that episodes end at different times."""
    physics, calls = env._episodes.simulation.physics, [0]

    def unstable() -> np.ndarray:
        calls[0] += 1
        return np.array([calls[0] - 1 in ends.get(i, []) for i in range(physics.num_sims)])

    monkeypatch.setattr(physics, "unstable", unstable)


@pytest.mark.parametrize("part", ["train", "test"])
def test_next_step_equals_single_environments(noisy: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {1: [6, 20], 2: [21]}
    vector = ScenarioVectorEnv(ROBOTS, noisy, part)
    singles = [ScenarioEnv(noisy, part) for _ in range(ROBOTS)]
    end_early(monkeypatch, vector, ends)
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, ROBOTS, 1))
    obs, info = vector.reset(seed=11)
    index = list(range(ROBOTS))
    ordered = [{"options": {"episode": i}} if part == "test" else {} for i in index]
    first = [env.reset(seed=11 if part == "test" else 11 + i, **ordered[i]) for i, env in enumerate(singles)]
    np.testing.assert_array_equal(obs, np.stack([o for o, _ in first]))
    assert list(info["scenario"]) == [i["scenario"] for _, i in first]
    over = [False] * ROBOTS
    for t in range(STEPS):
        obs, reward, terminated, truncated, info = vector.step(actions[t])
        for i, env in enumerate(singles):
            if over[i]:
                index[i] += ROBOTS
                options = {"options": {"episode": index[i]}} if part == "test" else {}
                expected, about = env.reset(**options)
                found = (0.0, False, False)
                assert info["scenario"][i] == about["scenario"]
                over[i] = False
            else:
                monkeypatch.setattr(
                    env._episodes.simulation.physics, "unstable", lambda t=t, i=i: np.array([t in ends.get(i, [])])
                )
                expected, *rest, about = env.step(actions[t, i])
                found = tuple(rest)
                over[i] = rest[1] or rest[2]
                assert ("unstable" in about) == (t in ends.get(i, []))
            np.testing.assert_array_equal(obs[i], expected)
            np.testing.assert_allclose(reward[i], found[0], rtol=1e-5, atol=1e-6)
            assert (terminated[i], truncated[i]) == found[1:]
            assert info["change"][i] == about["change"]
    assert [i // ROBOTS for i in index] == [2, 3, 3], "episodes should begin at different times"


def test_same_step_begins_at_once_and_keeps_the_last_observation(noisy: Path) -> None:
    same, later = (ScenarioVectorEnv(ROBOTS, noisy, autoreset_mode=mode) for mode in ("SameStep", AutoresetMode.NEXT_STEP))
    np.testing.assert_array_equal(same.reset(seed=0)[0], later.reset(seed=0)[0])
    zeros = np.zeros((ROBOTS, 1))
    for _ in range(15):
        obs, _, _, truncated, info = same.step(zeros)
        last, _, _, truncated_too, about = later.step(zeros)
        np.testing.assert_array_equal(truncated, truncated_too)
    assert truncated.all()
    np.testing.assert_array_equal(np.stack(info["final_obs"]), last)
    assert list(info["final_info"]["change"]) == list(about["change"])
    begun, *_, about = later.step(zeros)
    np.testing.assert_array_equal(obs, begun)
    assert list(info["scenario"]) == list(about["scenario"])
    assert same.step(zeros)[3].tolist() == [False] * ROBOTS


def test_disabled_leaves_the_reset_to_the_user(noisy: Path) -> None:
    env = ScenarioVectorEnv(ROBOTS, noisy, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    for _ in range(15):
        before, _, _, truncated, _ = env.step(np.zeros((ROBOTS, 1)))
    assert truncated.all()
    obs, _ = env.reset(options={"reset_mask": np.array([True, False, False])})
    np.testing.assert_array_equal(obs[1:], before[1:])
    assert not np.array_equal(obs[0], before[0])
    with pytest.raises(ResetNeeded, match=r"\[1, 2\]"):
        env.step(np.zeros((ROBOTS, 1)))


def test_a_list_of_seeds_gives_each_robot_its_own(noisy: Path) -> None:
    vector, single = ScenarioVectorEnv(2, noisy, "test"), ScenarioEnv(noisy, "test")
    obs, _ = vector.reset(seed=[4, 30])
    np.testing.assert_array_equal(obs[1], single.reset(seed=30)[0])
    again, _ = vector.reset()
    np.testing.assert_array_equal(again[1], single.reset()[0])
    with pytest.raises(ConfigError, match="got 1 of them; allowed: one number, or one for each of 2 robots"):
        vector.reset(seed=[4])


def test_a_list_with_none_leaves_the_series_of_that_robot_alone(noisy: Path) -> None:
    env, untouched = (ScenarioVectorEnv(2, noisy, "test") for _ in range(2))
    for each in (env, untouched):
        each.reset(seed=11)
    env.reset(seed=[None, 3])
    untouched.reset()
    for _ in range(2):
        _, info = env.reset()
        assert info["scenario"][0] == untouched.reset()[1]["scenario"][0]
    single = ScenarioEnv(noisy, "test")
    scenarios = [single.reset(seed=3)[1]["scenario"], single.reset()[1]["scenario"], single.reset()[1]["scenario"]]
    assert info["scenario"][1] == scenarios[2]


@pytest.mark.parametrize(
    ("part", "arguments"),
    [
        ("train", {"seed": [5, 6, 7]}),
        ("test", {"options": {"episode": 4}}),
        pytest.param("train", {"seed": 5}, marks=pytest.mark.slow),
        pytest.param("test", {"seed": 5}, marks=pytest.mark.slow),
        pytest.param("test", {"seed": [5, 6, 7]}, marks=pytest.mark.slow),
    ],
)
def test_a_partial_reset_leaves_the_series_of_the_other_robots_alone(noisy: Path, part: str, arguments: dict[str, Any]) -> None:
    env, untouched = (ScenarioVectorEnv(ROBOTS, noisy, part) for _ in range(2))
    for each in (env, untouched):
        each.reset(seed=11)
    mask = np.array([False, True, False])

    masked = arguments | {"options": arguments.get("options", {}) | {"reset_mask": mask}}
    begun = env.reset(**masked)[1]["scenario"]

    whole = ScenarioVectorEnv(ROBOTS, noisy, part)
    whole.reset(seed=11)
    assert begun[1] == whole.reset(**arguments)[1]["scenario"][1]
    for _ in range(2):
        found, expected = (each.reset()[1]["scenario"] for each in (env, untouched))
        assert found[[0, 2]].tolist() == expected[[0, 2]].tolist()


def test_make_vec_takes_the_batched_simulation() -> None:
    env = gymnasium.make_vec("adaptive_mbrl/ArmMixed-v0", num_envs=4, part="test")
    assert isinstance(env.unwrapped, ScenarioVectorEnv)
    assert env.spec is not None
    obs, info = env.reset(seed=0)
    assert obs.shape == env.observation_space.shape == (4, 20)
    assert obs.dtype == np.float32
    assert [s["seed"] for s in info["scenario"]] == [0, 1, 2, 3]
    wrapped = gymnasium.wrappers.vector.RescaleAction(env, -1.0, 1.0)
    wrapped.step(np.zeros((4, 7), dtype=np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"autoreset_mode": "sometimes"}, "got 'sometimes'; allowed: NextStep, SameStep, Disabled"),
        ({"render_mode": "human"}, "got 'human'; allowed: rgb_array"),
        ({"num_envs": 0}, "num_robots: 0 is out of range"),
    ],
)
def test_mistakes_are_one_line(noisy: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ScenarioVectorEnv(**{"num_envs": 2, "scenario": noisy} | arguments)
    with pytest.raises(ConfigError, match="allowed: 2 values of bool, at least one of them true"):
        ScenarioVectorEnv(2, noisy).reset(options={"reset_mask": np.zeros(2, dtype=bool)})


@pytest.mark.usefixtures("renderer")
def test_one_picture_for_each_robot(noisy: Path) -> None:
    env = ScenarioVectorEnv(2, noisy, render_mode="rgb_array", width=64, height=48)
    env.reset(seed=0)
    pictures = env.render()
    assert [p.shape for p in pictures] == [(48, 64, 3)] * 2
    assert not np.array_equal(*pictures)
    env.close()
