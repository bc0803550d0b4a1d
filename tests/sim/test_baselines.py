"""Baselines: trained on our scenarios, stored without pickles, and run like any other policy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import sim.baselines.train as module
from adaptive_mbrl import cli
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError
from sim.baselines.config import BaselineConfig, load_baseline_config
from sim.baselines.features import Features
from sim.baselines.policy import (
    FORMAT_VERSION,
    BaselineDescription,
    BaselinePolicy,
    load_baseline,
    load_baselines,
    new_policy,
    save_baseline,
)
from sim.baselines.ppo import PPOConfig
from sim.baselines.recurrent_ppo import RecurrentPPOConfig
from sim.baselines.sac import SACConfig
from sim.baselines.train import train_baseline
from sim.baselines.vec_env import SB3VecEnv
from sim.environment.vector_env import ScenarioVectorEnv
from sim.episodes.run import run_scenarios
from sim.evaluation.evaluate import Evaluation
from sim.evaluation.report import ledger_of
from sim.evaluation.setup import prepare
from sim.paths import known_configs
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario

ALGORITHMS = {
    "ppo": PPOConfig(rollout=8, minibatch=16, epochs=2, hidden=(8,)),
    "sac": SACConfig(batch=8, random_steps=8, hidden=(8,), updates_per_step=0.5, buffer=24),
    "recurrent_ppo": RecurrentPPOConfig(rollout=8, minibatch=16, epochs=2, hidden=(8,), lstm=4),
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("split") / "short.yaml"
    path.write_text(
        "robot: arm\nsteps: 6\n"
        "train: {change: {at: {uniform: [1, 4]}, alternatives: [{body_mass: {hand: {uniform: [1, 3]}}}]}}\n"
        "test: {change: {at: 3, alternatives: [{body_mass: {hand: 4}}]}}\n",
        encoding="utf-8",
    )
    return path


def untrained(algorithm: str, robot: str = "cartpole") -> BaselinePolicy:
    about = load_robot(robot)
    objective = about.objective
    description = BaselineDescription(
        FORMAT_VERSION, about.spec, objective.terms, objective.goal_names, ALGORITHMS[algorithm], {"env_steps": 0}
    )
    dim = description.features.dim
    torch.manual_seed(0)
    policy = new_policy(description)
    for parameter in policy.parameters():
        # fresh ones hardly move the robot
        parameter.data += 0.3 * torch.randn_like(parameter)
    return BaselinePolicy(description, policy, torch.linspace(-1, 1, dim).double(), torch.full((dim,), 2.0).double())


def test_angles_become_points_on_the_circle() -> None:
    robot = load_robot("arm")
    features = Features(robot.spec, 3, last_action=True)
    rng = np.random.default_rng(0)
    obs, goal, last = (rng.normal(size=(4, n)).astype(np.float32) for n in (robot.spec.obs_dim, 3, robot.spec.action_dim))
    turned = obs.copy()
    turned[:, :7] += 2 * np.pi
    seen = features(obs, goal, last)
    assert seen.shape == (4, features.dim) == (4, 17 + 7 + 3 + 7)
    np.testing.assert_allclose(features(turned, goal, last), seen, atol=1e-6)
    assert Features(robot.spec, 3, last_action=False).dim == 17 + 7 + 3


def test_unit_actions_reach_exactly_the_limits() -> None:
    robot = load_robot("quadrotor")
    features = Features(robot.spec, 0, last_action=False)
    ends = np.stack([robot.action_low, robot.action_high])
    np.testing.assert_allclose(features.from_unit(np.array([[-1.0] * 4, [1.0] * 4])), ends, rtol=1e-6)
    actions = np.random.default_rng(0).uniform(robot.action_low, robot.action_high, (5, 4))
    np.testing.assert_allclose(features.from_unit(features.to_unit(actions)), actions, atol=1e-5)


def test_the_environment_is_ours_as_the_library_wants_it(short: Path) -> None:
    ours = ScenarioVectorEnv(3, f"{short}:train", autoreset_mode="SameStep")
    theirs = SB3VecEnv(3, f"{short}:train", last_action=True)
    features = theirs.features
    theirs.seed(5)
    obs, _ = ours.reset(seed=5)
    zeros = np.zeros((3, 7), dtype=np.float32)
    np.testing.assert_array_equal(theirs.reset(), features(obs[:, :17], obs[:, 17:], zeros))
    actions = np.random.default_rng(0).uniform(-1.3, 1.3, (8, 3, 7)).astype(np.float32)
    for t, action in enumerate(actions):
        obs, reward, _, truncated, info = ours.step(features.from_unit(action))
        found, rewards, done, infos = theirs.step(action)
        begun = t == 5
        sent = np.clip(action, -1, 1)
        np.testing.assert_array_equal(found, features(obs[:, :17], obs[:, 17:], zeros if begun else sent))
        np.testing.assert_allclose(rewards, reward, rtol=1e-6)
        assert done.tolist() == truncated.tolist() == [begun] * 3
        for i in range(3 if begun else 0):
            last = info["final_obs"][i][None]
            np.testing.assert_array_equal(
                infos[i]["terminal_observation"], features(last[:, :17], last[:, 17:], sent[i : i + 1])[0]
            )
            assert infos[i]["TimeLimit.truncated"]


def interrupted_after_one_round(config: BaselineConfig, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn = module._learn

    def stop(learner: object, config: BaselineConfig, index: int, before: object) -> object:
        if index == 1:
            raise KeyboardInterrupt
        return learn(learner, config, index, before)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_learn", stop)
        with pytest.raises(KeyboardInterrupt):
            train_baseline(config, run)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "ppo" else pytest.mark.slow) for n in ALGORITHMS])
def test_an_interrupted_training_ends_like_any_other(
    name: str, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = BaselineConfig(f"{short}:train", ALGORITHMS[name], env_steps=64, num_envs=2, rounds=2)
    whole = train_baseline(config, tmp_path / "whole")
    interrupted_after_one_round(config, tmp_path / "parts", monkeypatch)
    assert not (tmp_path / "parts" / "policy").exists()

    parts = train_baseline(config, tmp_path / "parts")

    expected, found = (load_file(folder / "weights.safetensors") for folder in (whole, parts))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert load_baseline(parts).description.provenance["env_steps"] == 64
    initial = new_policy(load_baseline(parts).description).state_dict()
    assert all(k in {key.removeprefix("policy.") for key in found} for k in initial)
    suffixes = {p.suffix for p in (tmp_path / "parts").rglob("*") if p.is_file() and "tfevents" not in p.name}
    assert suffixes == {".yaml", ".txt", ".safetensors", ""}
    assert [p.name for p in (tmp_path / "parts" / "rounds").iterdir()] == ["001"]


def test_a_finished_run_and_one_without_its_policy_end_the_same(short: Path, tmp_path: Path) -> None:
    config = BaselineConfig(f"{short}:train", ALGORITHMS["ppo"], env_steps=32, num_envs=2, rounds=1)
    policy = train_baseline(config, tmp_path)
    before = load_file(policy / "weights.safetensors")
    (policy / "weights.safetensors").unlink(), (policy / "baseline.yaml").unlink(), policy.rmdir()
    assert train_baseline(config, tmp_path) == policy == train_baseline(config, tmp_path)
    after = load_file(policy / "weights.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_another_configuration_does_not_go_on_with_a_run(short: Path, tmp_path: Path) -> None:
    config = BaselineConfig(f"{short}:train", ALGORITHMS["ppo"], env_steps=32, num_envs=2, rounds=1)
    train_baseline(config, tmp_path)
    with pytest.raises(ConfigError, match="started with another configuration"):
        train_baseline(dataclasses.replace(config, seed=1), tmp_path)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_stored_policy_acts_like_the_one_that_was_trained(name: str, tmp_path: Path) -> None:
    baseline = untrained(name)
    save_baseline(tmp_path / "policy", baseline)
    scenarios = load_scenario("cartpole/mass_gain:test").episodes(3)
    robot = load_robot("cartpole")
    state = torch.get_rng_state()
    loaded = load_baseline(tmp_path, robot)
    assert torch.equal(torch.get_rng_state(), state)
    short = [dataclasses.replace(s, steps=30, changes=s.changes[:1]) for s in scenarios]

    first, again, alone = (
        run_scenarios(robot, courses, policy, source="policy").episodes
        for courses, policy in ((short, baseline), (short, loaded), (short[2:], loaded))
    )

    for expected, found in zip(first, again, strict=True):
        np.testing.assert_array_equal(expected.action, found.action)
    np.testing.assert_allclose(alone[0].action, again[2].action, atol=1e-4)
    assert np.ptp(again[0].action) > 1e-3


def test_a_recurrent_policy_remembers_within_an_episode_only() -> None:
    baseline = untrained("recurrent_ppo")
    rng = np.random.default_rng(0)
    obs, goal = rng.normal(size=(5, 2, 4)).astype(np.float32), np.zeros((2, 1, 0), np.float32)

    def acts(order: list[int]) -> np.ndarray:
        baseline.reset(None)  # type: ignore[arg-type]
        sent = None
        for index in order:
            sent, _ = baseline.act(obs[index], goal, sent)
        return sent

    np.testing.assert_array_equal(acts([0, 1, 2]), acts([0, 1, 2]))
    assert np.abs(acts([0, 1, 2]) - acts([3, 4, 2])).max() > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    "algorithm",
    [
        PPOConfig(rollout=64, minibatch=64, learning_rate=1e-3, gamma=0.9),
        SACConfig(learning_rate=1e-3, gamma=0.9, random_steps=500, hidden=(64, 64)),
        RecurrentPPOConfig(rollout=64, minibatch=256, learning_rate=2e-3, gamma=0.9, lstm=32, hidden=(32,)),
    ],
    ids=lambda algorithm: algorithm.TAG,
)
def test_a_baseline_learns_to_pull_a_mass_to_its_goal(
    algorithm: PPOConfig | SACConfig | RecurrentPPOConfig, tmp_path: Path
) -> None:
    (tmp_path / "mass.xml").write_text(
        "<mujoco><worldbody><body><joint name='x' type='slide' axis='1 0 0' damping='2'/><geom size='.1' mass='1'/></body>"
        "</worldbody><actuator><motor name='push' joint='x' ctrlrange='-1 1' gear='2'/></actuator></mujoco>",
        encoding="utf-8",
    )
    (tmp_path / "mass.yaml").write_text(
        "mjcf: mass.xml\ndt: 0.1\nsim_dt: 0.01\nobs:\n  - {name: x, unit: m, source: {qpos: x}}\n"
        "  - {name: v, unit: m/s, kind: velocity, source: {qvel: x}}\n"
        "objective: [{kind: distance, channels: [x], goal: [target]}]\n"
        "goal: {names: [target], kind: uniform, low: [-1.0], high: [1.0]}\nreset: {qpos_noise: 0.5}\n",
        encoding="utf-8",
    )
    split = tmp_path / "split.yaml"
    split.write_text(
        "robot: mass.yaml\nsteps: 40\ntrain: {initial: [{actuator_gain: {uniform: [0.8, 1.2]}}]}\n", encoding="utf-8"
    )
    config = BaselineConfig(
        f"{split}:train",
        algorithm,
        env_steps=algorithm.rollout * 8 * (48 if algorithm.rollout > 1 else 600),
        num_envs=8,
        rounds=2,
    )
    robot = load_robot(tmp_path / "mass.yaml")
    scenarios = load_scenario(f"{split}:train").episodes(16)

    learned = load_baseline(train_baseline(config, tmp_path / "run"), robot)

    fresh = BaselinePolicy(learned.description, new_policy(learned.description), learned.mean, learned.var)
    before, after = (
        np.mean([e.reward.sum() for e in run_scenarios(robot, scenarios, policy, source="policy").episodes])
        for policy in (fresh, learned)
    )
    assert after > 0.6 * before, "both are negative: the distance to the goal should shrink"
    assert after > -16


def test_a_baseline_is_an_arm_of_an_evaluation(
    make_checkpoint: Callable[..., Path], cartpole_scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    for name in ("ppo", "recurrent_ppo"):
        save_baseline(tmp_path / name / "policy", untrained(name))
    out = tmp_path / "report.json"
    command = [
        "evaluate",
        "--checkpoint",
        str(checkpoint),
        "--scenario",
        str(cartpole_scenario),
        "--episodes",
        "2",
        "--no-oracle",
    ]
    baselines = ["--baselines", *(str(tmp_path / name) for name in ("ppo", "recurrent_ppo"))]

    assert cli.main([*command, *baselines, "--json", str(out)]) == 0

    shown = capsys.readouterr().out
    assert "adaptive - recurrent_ppo" in shown
    report = json.loads(out.read_text())
    assert list(report["config"]["baselines"]) == ["ppo", "recurrent_ppo"]
    assert len(report["arms"]["ppo"]["rewards"]) == 2
    setup = prepare(checkpoint, cartpole_scenario, episodes=1, oracle=False, baselines=[tmp_path / "ppo"])
    held_out = tuple(dataclasses.replace(s, name="cartpole/mass_gain:test") for s in setup.scenarios)
    ledger = ledger_of(Evaluation(dataclasses.replace(setup, scenarios=held_out), held_out, {}, None))
    assert [entry.checkpoint for entry in ledger] == [str(checkpoint), str(tmp_path / "ppo")]
    ours, theirs = (report["summary"][arm]["return_after_change"]["mean"] for arm in ("adaptive", "ppo"))
    assert report["summary"]["adaptive_minus_ppo"]["return_after_change"]["mean"] == pytest.approx(ours - theirs, abs=1e-4)


def test_two_of_one_algorithm_have_two_names(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_baseline(tmp_path / folder, untrained("ppo"))
    assert list(load_baselines([tmp_path / "a", tmp_path / "b"], load_robot("cartpole"))) == ["ppo", "ppo_2"]


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    save_baseline(tmp_path / "policy", untrained("sac"))
    cartpole = load_robot("cartpole")
    cases: list[tuple[type[AdaptiveMBRLError], str, Callable[[], object]]] = [
        (CheckpointError, "not a trained baseline", lambda: load_baseline(tmp_path / "nothing")),
        (CheckpointError, "trained on another robot", lambda: load_baseline(tmp_path, load_robot("half_cheetah"))),
        (
            CheckpointError,
            "trained for another objective",
            lambda: load_baseline(
                tmp_path,
                dataclasses.replace(
                    cartpole, objective=cartpole.planning_objective.__class__(cartpole.spec, cartpole.objective.terms[:1])
                ),
            ),
        ),
    ]
    for kind, message, call in cases:
        with pytest.raises(kind, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    weights = tmp_path / "policy" / "weights.safetensors"
    tensors = load_file(weights)
    for name in ("features.mean", "features.var"):
        save_file(tensors | {name: tensors[name][:-1].clone()}, weights)
        with pytest.raises(CheckpointError, match=rf"tensor '{name}' has shape \(\d+,\); needed: \(\d+,\)"):
            load_baseline(tmp_path)
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="damaged weights"):
        load_baseline(tmp_path)


def test_a_part_that_is_held_out_is_not_trained_on(short: Path, tmp_path: Path) -> None:
    config = BaselineConfig(f"{short}:test", ALGORITHMS["ppo"], env_steps=32, num_envs=4, rounds=1)
    with pytest.raises(ConfigError, match=r"short.yaml:test' is held out for testing; allowed: a part whose name does not begin"):
        train_baseline(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "algorithm: {ppo: {rollout: 10}}\nenv_steps: 330\nnum_envs: 16",
            r"330 is no whole number of rollouts .* the nearest is 320",
        ),
        ("algorithm: {pop: {}}\nenv_steps: 320", "allowed: ppo, sac, recurrent_ppo"),
        ("algorithm: {ppo: {rolout: 10}}\nenv_steps: 320", "unknown key 'algorithm.ppo.rolout' .did you mean 'rollout'"),
        ("algorithm: {ppo: {rollout: 10}}\nenv_steps: 320\nrounds: 3", "3 is out of range; allowed: 1 to 2"),
    ],
)
def test_mistakes_in_a_configuration_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(f"scenarios: cartpole/mass_gain:train\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as error:
        load_baseline_config(tmp_path / "wrong.yaml")
    assert "\n" not in str(error.value)


def test_the_command_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train-baseline", "--config", "cartpole_ppo", "--resume"]) == 2
    assert "--resume: no run to go on with in runs/baselines/cartpole_ppo" in capsys.readouterr().err
    monkeypatch.setattr("sim.baselines.library.PACKAGES", ("no_such_package",))
    assert cli.main(["train-baseline", "--config", "cartpole_ppo"]) == 2
    assert "package 'no_such_package' is not installed; pip install 'adaptive-mbrl[baselines]'" in capsys.readouterr().err


def test_the_command_trains(short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = short.parent / "tiny.yaml"
    config.write_text(
        "scenarios: short.yaml:train\nalgorithm: {ppo: {rollout: 8, minibatch: 16, hidden: [8]}}\n"
        "env_steps: 32\nnum_envs: 4\nrounds: 1\n",
        encoding="utf-8",
    )
    assert cli.main(["train-baseline", "--config", str(config), "--run", str(tmp_path), "--threads", "1"]) == 0
    assert f"Baseline: {tmp_path / 'policy'}" in capsys.readouterr().out
    assert load_baseline(tmp_path, load_robot("arm")).description.algorithm.TAG == "ppo"


@pytest.mark.parametrize("name", [n for n in known_configs("baselines") if not n.endswith("_10x")])
def test_shipped_configs_come_in_pairs_of_one_and_ten_times_the_steps(name: str) -> None:
    config, long = load_baseline_config(name), load_baseline_config(f"{name}_10x")
    robot, part = config.scenarios.split("/")[0], config.scenarios.split(":")[1]
    assert name.startswith(f"{robot}_")
    assert name.endswith(f"_{config.algorithm.TAG}")
    assert part == "train"
    assert config.scenarios == long.scenarios
    assert config.algorithm.TAG == long.algorithm.TAG
    assert long.env_steps == 10 * config.env_steps
    assert config.steps_until(config.rounds) == config.env_steps
    assert load_scenario(config.scenarios).robot == robot
