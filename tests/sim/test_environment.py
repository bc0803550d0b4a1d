"""Scenarios as Gymnasium environments: the API, and the same episodes as everywhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from adaptive_mbrl.errors import ConfigError
from sim.environment import ids, register
from sim.environment.scenario_env import ScenarioEnv
from sim.episodes.run import run_scenarios
from sim.paths import known_configs
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario

ROOT = Path(__file__).resolve().parents[2]
ABSURD = "{external_force: {ffoot: [1.0e+5, 0.0, 1.0e+5]}, body_mass: 0.01, damping: 0.0}"


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A split of 12 steps whose changes come in the middle."""
    path = tmp_path / "short.yaml"
    part = "{{change: {{at: {}, alternatives: [{{actuator_gain: {{uniform: {}}}}}, {{body_mass: {{uniform: [2, 3]}}}}]}}}}"
    train, test = part.format("{uniform: [3, 8]}", "[0.5, 2.0]"), part.format(6, "[0.1, 0.2]")
    path.write_text(f"robot: cartpole\nsteps: 12\nseed: 40\ntrain: {train}\ntest: {test}\n", encoding="utf-8")
    return path


class Replayed:
    """A policy that sends given actions, (T, B, action_dim)."""

    preview = 0

    def __init__(self, actions: np.ndarray) -> None:
        self._actions, self._step = actions, 0

    def reset(self, simulation: object) -> None:
        self._step = 0

    def act(self, obs: np.ndarray, goal: np.ndarray, sent: np.ndarray | None) -> tuple[np.ndarray, None]:
        self._step += 1
        return self._actions[self._step - 1], None


def episode(env: ScenarioEnv, actions: np.ndarray, **reset: object) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    obs, info = env.reset(**reset)
    observations, rewards, infos = [obs], [], [info]
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        observations.append(obs), rewards.append(reward), infos.append(info)
        if terminated or truncated:
            break
    return np.stack(observations), np.array(rewards), infos


def test_every_shipped_scenario_has_an_id_from_its_name() -> None:
    assert ids()["adaptive_mbrl/HalfCheetahCadmCripple-v0"] == "half_cheetah/cadm_cripple"
    assert sorted(ids().values()) == sorted(known_configs("scenarios"))
    register()
    assert set(ids()) <= set(gymnasium.registry)


@pytest.mark.filterwarnings("ignore:.*A Box observation space (minimum|maximum) value is -?infinity")
@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")
@pytest.mark.parametrize("name", ["CartpoleMassGain", "HalfCheetahCadmCripple", "ArmMixed", "QuadrotorWind", "AntCadmMass"])
def test_gymnasiums_checker_finds_nothing(name: str) -> None:
    for part in ("train", "test") if name == "CartpoleMassGain" else ("train",):
        env = gymnasium.make(f"adaptive_mbrl/{name}-v0", part=part)
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize(("scenario", "episodes"), [("cartpole/mass_gain", 2), ("arm/mixed", 2)])
def test_the_test_part_is_that_of_an_evaluation(scenario: str, episodes: int) -> None:
    """Same scenarios, same observations and goals, same rewards."""
    scenarios = load_scenario(f"{scenario}:test").episodes(episodes, seed=7)
    robot = load_robot(scenarios[0].robot)
    steps, shape = scenarios[0].steps, (scenarios[0].steps, episodes, robot.spec.action_dim)
    actions = np.random.default_rng(0).uniform(-1.2, 1.2, shape).astype(np.float32)
    recorded = run_scenarios(robot, scenarios, Replayed(actions), source="test").episodes
    env = ScenarioEnv(scenario, part="test")

    for i, expected in enumerate(recorded):
        obs, rewards, infos = episode(env, actions[:, i], **({"seed": 7} if i == 0 else {}))

        assert infos[0]["scenario"] == scenarios[i].to_mapping()
        np.testing.assert_array_equal(obs[:, : robot.spec.obs_dim], expected.obs)
        np.testing.assert_allclose(rewards, expected.reward, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(obs[:steps, robot.spec.obs_dim :], robot.goals(scenarios[i].seed, steps))
        assert [info["change"] for info in infos] == [
            scenarios[i].change_in_force(min(t, steps - 1)).to_changes() for t in range(steps + 1)
        ]
        assert len(rewards) == steps

    again, _, _ = episode(env, actions[:, -1], seed=7, options={"episode": episodes - 1})
    np.testing.assert_array_equal(again, obs)


def test_seeds_reproduce_and_differ(short: Path) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 1))
    env = ScenarioEnv(short)

    def three(seed: int) -> list[np.ndarray]:
        return [episode(env, actions, **({"seed": seed} if i == 0 else {}))[0] for i in range(3)]

    first, other, again = three(3), three(4), three(3)
    np.testing.assert_array_equal(first, again)
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert not np.array_equal(first[0], first[1])


def test_the_training_part_draws_changes_in_mid_episode(short: Path) -> None:
    env = ScenarioEnv(short)
    actions = np.zeros((12, 1))
    begins = set()
    for seed in range(8):
        _, rewards, infos = episode(env, actions, seed=seed)
        assert len(rewards) == 12
        assert infos[0]["change"] == {}
        begins.add(next(t for t, info in enumerate(infos) if info["change"]))
    assert begins <= set(range(3, 9))
    assert len(begins) > 2


def test_actions_beyond_the_limits_are_clipped(short: Path) -> None:
    env = ScenarioEnv(short, part="test")
    far, limit = (episode(env, np.full((12, 1), value), seed=0) for value in (5.0, 1.0))
    np.testing.assert_array_equal(far[0], limit[0])
    np.testing.assert_array_equal(far[1], limit[1])


def test_unstable_physics_terminates_without_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    path = tmp_path / "absurd.yaml"
    path.write_text(f"robot: half_cheetah\nsteps: 60\nchanges: [{{at: 2, {ABSURD[1:-1]}}}]\n", encoding="utf-8")
    env = ScenarioEnv(path)
    env.reset(seed=0)
    terminated = truncated = False
    rewards = []
    while not (terminated or truncated):
        obs, reward, terminated, truncated, info = env.step(np.full(6, 0.5))
        rewards.append(reward)
    assert terminated
    assert not truncated
    assert rewards[-1] == 0.0
    assert rewards[0] != 0.0
    assert np.isfinite(obs).all()
    assert "unstable at control step" in info["unstable"]
    assert env.reset()[1]["change"] == {}


def test_a_single_scenario_of_ones_own(cartpole_scenario: Path) -> None:
    env = ScenarioEnv(cartpole_scenario)
    _, rewards, infos = episode(env, np.zeros((30, 1)))
    assert len(rewards) == 30
    assert infos[0]["scenario"]["seed"] == 5
    assert [bool(info["change"]) for info in infos] == [False] * 12 + [True] * 19
    assert env.reset()[1]["scenario"]["seed"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": "half_cheetah/cadm_criple"}, "did you mean 'half_cheetah/cadm_cripple'?"),
        ({"scenario": "cartpole/mass_gain", "part": "tets"}, "test; got ':tets', for example cartpole/mass_gain:test"),
        ({"scenario": "cartpole/mass_gain:test", "part": "train"}, "names the part 'test', but part='train' was given"),
        ({"scenario": "nowhere.yaml"}, "nowhere.yaml: no such file"),
        ({"scenario": "cartpole/mass_gain", "render_mode": "ascii"}, "got 'ascii'; allowed: human, rgb_array"),
    ],
)
def test_mistakes_are_one_line(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        ScenarioEnv(**arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_window_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigError, match="'human' needs a display"):
        gymnasium.make("adaptive_mbrl/CartpoleMassGain-v0", render_mode="human")


def test_a_wrong_id_names_the_right_one() -> None:
    with pytest.raises(
        gymnasium.error.NameNotFound, match=r"HalfCheetahCadmCriple.*Did you mean: `HalfCheetahCadmCripple`"
    ) as error:
        gymnasium.make("adaptive_mbrl/HalfCheetahCadmCriple-v0")
    assert "\n" not in str(error.value)


def test_wrong_options_are_refused(short: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'episodes'; allowed keys: episode"):
        ScenarioEnv(short, part="test").reset(options={"episodes": 1})
    with pytest.raises(ConfigError, match="'episode' is for parts with an order"):
        ScenarioEnv(short).reset(options={"episode": 1})
    with pytest.raises(ConfigError, match="got -1; allowed: a whole number"):
        ScenarioEnv(short, part="test").reset(options={"episode": -1})


def test_gymnasium_imports_the_ids_by_itself() -> None:
    """Nothing heavy is loaded before an environment is made."""
    program = (
        "import gymnasium, sys\n"
        "import sim.environment\n"
        "print('torch' in sys.modules, 'mujoco' in sys.modules)\n"
        "env = gymnasium.make('sim.environment:adaptive_mbrl/CartpoleMassGain-v0', part='test')\n"
        "print(env.reset(seed=0)[0].shape)\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True)
    assert result.stdout == "False False\n(4,)\n"


@pytest.mark.usefixtures("renderer")
def test_pictures_follow_the_robot() -> None:
    """Two environments of one process draw their own robots."""
    arm, cart = (
        gymnasium.make(f"adaptive_mbrl/{n}-v0", part="test", render_mode="rgb_array") for n in ("ArmMixed", "CartpoleMassGain")
    )
    arm.reset(seed=0), cart.reset(seed=0)
    before, other = arm.render(), cart.render()
    assert before.shape == other.shape == (352, 480, 3)
    assert before.std() > 5
    assert other.std() > 5
    np.testing.assert_allclose(arm.render().astype(float), before, atol=2)
    for _ in range(10):
        arm.step(arm.action_space.high)
    assert np.abs(arm.render().astype(float) - before).max() > 50
    arm.close(), cart.close()
