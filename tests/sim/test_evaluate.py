"""The arms of an evaluation, its report and its open-loop errors."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

import sim.evaluation.evaluate as module
from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.console import WIDTH
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import MPPI, ICEMConfig, MPPIConfig, Score, make_planner
from adaptive_mbrl.predictor import Trajectories
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.transitions import Transitions
from sim.evaluation.arms import Arm
from sim.evaluation.evaluate import Evaluation, evaluate
from sim.evaluation.open_loop import open_loop_errors
from sim.evaluation.plots import recovery_figure
from sim.evaluation.report import describe, make_report, write_report
from sim.evaluation.setup import Setup, prepare
from sim.evaluation.terminal import print_report
from sim.scenarios.change import Change
from sim.simulation.instability import Instability, SimulationError

MakeCheckpoint = Callable[..., Path]
ARMS = ("random", "adaptive", "frozen", "multitask", "oracle")
EPISODES, STEPS, CHANGE = 3, 30, 12


@pytest.fixture(scope="module")
def checkpoints(make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        "meta": make_checkpoint(folder / "meta"),
        "multitask": make_checkpoint(folder / "multitask", rule="none"),
        "cheetah": make_checkpoint(folder / "cheetah", robot="half_cheetah", rule="none"),
    }


def prepared(checkpoints: dict[str, Path], scenario: Path) -> Setup:
    return prepare(checkpoints["meta"], scenario, episodes=EPISODES, multitask=checkpoints["multitask"])


@pytest.fixture(scope="module")
def evaluation(checkpoints: dict[str, Path], cartpole_scenario: Path) -> Evaluation:
    return evaluate(prepared(checkpoints, cartpole_scenario))


def strict_json(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_every_arm_runs_the_same_episodes(evaluation: Evaluation):
    assert tuple(evaluation.arms) == ARMS
    for arm in evaluation.arms.values():
        assert [e.tags["scenario"]["seed"] for e in arm.episodes] == [5, 6, 7]
        assert all(len(e) == STEPS for e in arm.episodes)
        assert arm.qpos.shape == (STEPS, EPISODES, 2)
    starts = [np.stack([e.obs[0] for e in arm.episodes]) for arm in evaluation.arms.values()]
    assert all(np.array_equal(starts[0], s) for s in starts)
    assert len(np.unique(starts[0], axis=0)) == EPISODES


def test_the_same_evaluation_twice_gives_the_same_returns(
    evaluation: Evaluation, checkpoints: dict[str, Path], cartpole_scenario: Path
):
    again = evaluate(prepared(checkpoints, cartpole_scenario))

    for name in ARMS:
        assert np.array_equal(evaluation.arms[name].rewards, again.arms[name].rewards)


def test_a_setup_can_be_evaluated_again(checkpoints: dict[str, Path], cartpole_scenario: Path):
    setup = prepared(checkpoints, cartpole_scenario)

    first, second = evaluate(setup), evaluate(setup)

    for name in ARMS:
        assert np.array_equal(first.arms[name].rewards, second.arms[name].rewards)


def test_an_episode_does_not_depend_on_the_others(evaluation: Evaluation, checkpoints: dict[str, Path], cartpole_scenario: Path):
    """Each has noise of its own, from its seed: one that runs alone is the same."""
    last = prepare(checkpoints["meta"], cartpole_scenario, episodes=1, seed=7, multitask=checkpoints["multitask"])

    alone = evaluate(last)

    for name in ARMS:
        np.testing.assert_allclose(alone.arms[name].rewards[0], evaluation.arms[name].rewards[2], rtol=1e-3, atol=1e-4)
    assert "one stream per episode" in make_report(alone)["config"]["planner_noise"]


def test_another_planner_can_be_named_for_all_arms(checkpoints: dict[str, Path], cartpole_scenario: Path):
    setup = prepare(
        checkpoints["meta"], cartpole_scenario, episodes=1, multitask=checkpoints["multitask"], planner="{mppi: {num_samples: 6}}"
    )

    evaluation = evaluate(setup)

    assert setup.planner == MPPIConfig(horizon=5, num_samples=6, num_iterations=2)
    assert all(isinstance(controller.settings.planner, MPPI) for controller in setup.controllers.values())
    assert evaluation.arms["oracle"].simulated_steps == STEPS * 5 * 6 * 2
    about = make_report(evaluation)["config"]
    assert (about["planner_name"], about["planner"]["num_samples"]) == ("mppi", 6)


def test_frozen_plans_under_the_prior_and_adaptive_does_not(evaluation: Evaluation):
    frozen, adaptive = evaluation.arms["frozen"], evaluation.arms["adaptive"]

    assert np.array_equal(frozen.model_error, frozen.prior_error, equal_nan=True)
    assert not np.array_equal(adaptive.model_error, adaptive.prior_error, equal_nan=True)
    for arm in (frozen, adaptive):
        assert np.isnan(arm.model_error[0]).all()
        assert np.isfinite(arm.model_error[1:]).all()


def test_the_oracle_plans_with_the_planner_of_the_checkpoint(evaluation: Evaluation):
    planner = evaluation.setup.planner

    per_step = planner.horizon * planner.num_samples * planner.num_iterations
    assert (planner.horizon, planner.num_samples, planner.num_iterations) == (5, 8, 2)
    assert evaluation.arms["oracle"].simulated_steps == EPISODES * STEPS * per_step
    for controller in evaluation.setup.controllers.values():
        used = controller.settings.planner
        assert (used.horizon, used.num_samples, used.num_iterations) == (5, 8, 2)


def test_progress_counts_the_steps_of_every_arm(checkpoints: dict[str, Path], cartpole_scenario: Path):
    counted: dict[str, int] = {}

    def begin(name: str, steps: int) -> Callable[[], None]:
        counted[name] = -steps

        def advance() -> None:
            counted[name] += 1

        return advance

    evaluate(prepared(checkpoints, cartpole_scenario), begin)

    assert counted == dict.fromkeys(ARMS, 0)


def test_report_has_the_promised_keys_and_no_nan(evaluation: Evaluation, tmp_path: Path):
    write_report(tmp_path / "out" / "report.json", make_report(evaluation))
    report = strict_json(tmp_path / "out" / "report.json")

    assert {"scenario", "arms", "summary", "open_loop", "config"} <= set(report)
    assert [s["seed"] for s in report["scenarios"]] == [5, 6, 7]
    assert [s["last_change"] for s in report["scenarios"]] == [CHANGE] * EPISODES
    for name in ARMS:
        arm, summary = report["arms"][name], report["summary"][name]
        rewards = np.array(arm["rewards"])
        assert rewards.shape == (EPISODES, STEPS)
        assert arm["returns"] == pytest.approx(rewards.sum(1), abs=1e-4)
        assert arm["return_after_change"] == pytest.approx(rewards[:, CHANGE:].sum(1), abs=1e-4)
        assert len(arm["steps_to_oracle"]) == EPISODES
        assert set(summary["normalized_after_change"]) == {"mean", "median", "worst", "iqm", "ci95"}
        low, high = summary["return_after_change"]["ci95"]
        assert low <= summary["return_after_change"]["mean"] <= high
    for name in ("adaptive", "frozen", "multitask"):
        arm = report["arms"][name]
        assert [row[0] for row in arm["model_error"]] == [None] * EPISODES
        assert np.isfinite(np.array([row[1:] for row in arm["model_error"]], dtype=float)).all()
        for key, robots in (("adapt_ms", 1), ("plan_ms", 1), ("batch_plan_ms", EPISODES)):
            assert 0 < arm[key]["median"] <= arm[key]["p99"]
            assert arm[key]["robots"] == robots
    assert report["arms"]["oracle"]["model_error"] is None
    # the family alone: the kernel's build is nobody's business
    assert report["config"]["machine"]["platform"] == f"{platform.system()} {platform.machine()}"
    assert report["summary"]["oracle"]["normalized_after_change"]["mean"] == 1.0


def test_differences_are_paired_by_episode(evaluation: Evaluation):
    report = make_report(evaluation)

    returns = {name: np.array(report["arms"][name]["return_after_change"]) for name in ARMS}
    for other in ("frozen", "multitask"):
        difference = report["summary"][f"adaptive_minus_{other}"]["return_after_change"]
        assert difference["mean"] == pytest.approx((returns["adaptive"] - returns[other]).mean(), abs=1e-4)
        assert difference["ci95"][0] <= difference["mean"] <= difference["ci95"][1]


def test_without_oracle_and_multitask_their_figures_are_null(checkpoints: dict[str, Path], cartpole_scenario: Path):
    setup = prepare(checkpoints["meta"], cartpole_scenario, episodes=2, seed=3, oracle=False)

    report = make_report(evaluate(setup))

    assert list(report["arms"]) == ["random", "adaptive", "frozen"]
    assert set(report["summary"]["adaptive"]["normalized_after_change"].values()) == {None}
    assert report["arms"]["adaptive"]["normalized_after_change"] == [None, None]
    nothing = {"mean": None, "ci95": None}
    assert report["summary"]["adaptive_minus_multitask"] == {"return_after_change": nothing, "after_minus_before": nothing}
    assert report["summary"]["open_loop_10"]["adaptive_over_multitask"] == {"mean": None, "ci95": None}
    assert [s["seed"] for s in report["scenarios"]] == [3, 4]


def test_the_table_fits_and_names_every_arm(evaluation: Evaluation):
    text = StringIO()

    print_report(make_report(evaluation), Console(file=text, width=WIDTH))

    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines if line.split() and line.split()[0] in ARMS] == [
        "adaptive",
        "frozen",
        "multitask",
        "oracle",
        "random",
    ]
    assert "adaptive - frozen" in text.getvalue()


def test_a_checkpoint_of_another_robot_is_refused(checkpoints: dict[str, Path], cartpole_scenario: Path):
    meta, other = checkpoints["meta"], checkpoints["cheetah"]

    with pytest.raises(CheckpointError, match=r"cheetah: trained on another robot: name is half_cheetah; .*cartpole"):
        prepare(other, cartpole_scenario, episodes=1)
    with pytest.raises(CheckpointError, match="trained on another robot"):
        prepare(meta, cartpole_scenario, episodes=1, multitask=other)


def test_a_multitask_checkpoint_must_not_adapt(checkpoints: dict[str, Path], cartpole_scenario: Path):
    meta = checkpoints["meta"]

    with pytest.raises(CheckpointError, match="it adapts by 'gradient'; allowed: none"):
        prepare(meta, cartpole_scenario, episodes=1, multitask=meta)


def test_an_unknown_scenario_is_refused(checkpoints: dict[str, Path]):
    with pytest.raises(ConfigError, match="half_cheetah/cadm_cripple"):
        prepare(checkpoints["meta"], "half_cheetah/cadm_criple", episodes=1)


# --- episodes that are left out -----------------------------------------------------------------------------------------------

# one of two episodes becomes unstable, in every arm
UNSTABLE = """
robot: cartpole
steps: 30
seed: 5
test:
  initial: [{}]
  change:
    at: 12
    alternatives:
      - {actuator_gain: 0.3}
      - {external_force: {pole_1: [1e5, 0, 1e5]}, body_mass: 0.01, actuator_gain: 10}
"""


def sometimes_unstable(checkpoints: dict[str, Path], folder: Path, episodes: int = 4) -> Setup:
    split = folder / "unstable.yaml"
    split.write_text(UNSTABLE)
    return prepare(checkpoints["meta"], f"{split}:test", episodes=episodes, multitask=checkpoints["multitask"])


def test_an_episode_that_became_unstable_is_left_out_of_all_arms(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    setup = sometimes_unstable(checkpoints, tmp_path)
    broken = [i for i, s in enumerate(setup.scenarios) if s.change_in_force(12).body_mass == 0.01]
    sound = [i for i in range(4) if i not in broken]
    assert len(broken) == len(sound) == 2

    evaluation = evaluate(setup)
    report = make_report(evaluation)
    recovery_figure(evaluation)

    assert [s["seed"] for s in report["scenarios"]] == [5 + i for i in sound]
    assert {(entry["episode"], entry["seed"], entry["arm"]) for entry in report["left_out"]} == {
        (i, 5 + i, name) for i in broken for name in ARMS
    }
    assert all(entry["step"] >= 12 and entry["change"]["body_mass"] == 0.01 for entry in report["left_out"])
    for name in ARMS:
        assert len(report["arms"][name]["returns"]) == 2
        assert len(report["arms"][name]["normalized_after_change"]) == 2
    alone = make_report(evaluate(dataclasses.replace(setup, scenarios=tuple(setup.scenarios[i] for i in sound))))
    # the random policy draws its noise for the whole batch
    for name in ARMS[1:]:
        assert report["arms"][name]["rewards"] == alone["arms"][name]["rewards"]
        assert report["summary"][name]["return"] == alone["summary"][name]["return"]
    # a matrix product of another number of rows rounds differently in its last digit
    for name, found in alone["open_loop"].items():
        assert report["open_loop"][name] == pytest.approx(found, abs=2e-6), name


def test_an_episode_is_left_out_of_all_arms_when_one_of_them_broke_it(evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch):
    original = module.run_arm

    def one_breaks(setup: Setup, name: str, *rest: Any) -> Arm:
        arm = original(setup, name, *rest)
        instabilities = (None, Instability(20, Change(actuator_gain=0.3), np.zeros(9), np.zeros(1)), None)
        return dataclasses.replace(arm, instabilities=instabilities) if name == "frozen" else arm

    monkeypatch.setattr(module, "run_arm", one_breaks)
    result = evaluate(evaluation.setup)
    text = StringIO()
    print_report(make_report(result), Console(file=text, width=WIDTH))

    assert [[e.tags["scenario"]["seed"] for e in arm.episodes] for arm in result.arms.values()] == [[5, 7]] * len(ARMS)
    line = "Left out of all arms: episode 1 (seed 6), unstable in arm frozen at control step 20 under {'actuator_gain': 0.3}"
    assert line in text.getvalue()
    for name, arm in result.arms.items():
        for got, wanted in zip(arm.rewards, evaluation.arms[name].select([0, 2]).rewards, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_an_evaluation_without_a_stable_episode_is_one_error(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    setup = sometimes_unstable(checkpoints, tmp_path)
    broken = tuple(s for s in setup.scenarios if s.change_in_force(12).body_mass == 0.01)

    with pytest.raises(SimulationError, match=r"no episode is left.*arm random: the physics became unstable at") as caught:
        evaluate(dataclasses.replace(setup, scenarios=broken))
    assert "\n" not in str(caught.value)


def test_figures_of_episodes_of_different_lengths(evaluation: Evaluation):
    """As if the second episode of every arm had ended by itself after 20 steps, 8 steps after the change."""
    arms = {
        name: dataclasses.replace(arm, episodes=(arm.episodes[0], shortened(arm.episodes[1], 20), arm.episodes[2]))
        for name, arm in evaluation.arms.items()
    }
    cut = dataclasses.replace(evaluation, arms=arms)

    report, whole = make_report(cut), make_report(evaluation)
    figure = recovery_figure(cut)

    for name in ARMS:
        got, wanted = report["arms"][name], whole["arms"][name]
        assert [len(row) for row in got["rewards"]] == [STEPS] * 3
        assert got["rewards"][1] == wanted["rewards"][1][:20] + [0] * (STEPS - 20)
        assert got["ended_after"] == [None, 20, None]
        assert got["return_after_change"][1] == pytest.approx(sum(wanted["rewards"][1][CHANGE:20]), abs=1e-4)
        assert got["steps_to_oracle"][1] is None
        if got["model_error"] is not None:
            assert [len(row) for row in got["model_error"]] == [STEPS, 20, STEPS]
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert np.isfinite(drawn["adaptive"]).all()
    result = open_loop_errors(evaluation.setup.controllers, [arm.episodes for arm in arms.values()], [CHANGE] * 3, horizon=6)
    assert result is not None
    assert result.windows == len(ARMS) * (2 * 2 + 0)


def shortened(episode: Episode, steps: int) -> Episode:
    return dataclasses.replace(
        episode, obs=episode.obs[: steps + 1], action=episode.action[:steps], reward=episode.reward[:steps], ended=True
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(), "nominal"),
        (Change(actuator_gain={"fshin": 0.0}), "actuator gain fshin 0"),
        (Change(body_mass=1.5, slope_deg=8.0), "body mass 1.5, slope deg 8"),
        (Change(external_force={"torso": (1.0, 0.0, -2.5)}), "external force torso (1, 0, -2.5)"),
    ],
)
def test_a_change_in_words(change: Change, expected: str):
    assert describe(change) == expected


# open-loop errors, on x' = x + gain * a, where everything is known exactly

LINE = RobotSpec("line", 0.1, (Channel("x", "m"),), (ActionChannel("a", "m", -1.0, 1.0),))


class Gain(NamedTuple):
    gain: Tensor


class GainAdapter(NetworkAdapter):
    """Least squares on the window; right at once, if all of the window obeys one gain."""

    def prior(self, batch_size: int) -> Gain:
        return Gain(torch.ones(batch_size))

    def infer(self, recent: Transitions) -> Gain:
        assert recent.valid.all()
        change, action = (recent.next_obs - recent.obs)[..., 0], recent.action[..., 0]
        return Gain((change * action).sum(1) / action.square().sum(1))

    def condition(self, belief: Gain, noise: Tensor | None = None) -> GainPredictor:
        return GainPredictor(belief.gain)


class GainPredictor(NamedTuple):
    gain: Tensor

    def roll_out(self, obs: Tensor, actions: Tensor) -> Trajectories:
        return Trajectories((obs[:, None, None] + self.gain[:, None, None, None] * actions.cumsum(2))[None])


def line_controller(target_std: float, adapt: bool, window: int = 6) -> AdaptiveController:
    model = DynamicsModel(LINE, ModelConfig(hidden=(4,), members=1))
    model.normalizer.target_std.fill_(target_std)
    score = Score(Objective(LINE, (Term("linear", 1.0, ("x",)),)))
    settings = ControlSettings(GainAdapter(model, []), make_planner(LINE, ICEMConfig()), score, adapt=adapt)
    return AdaptiveController(LINE, settings, window)


def line_episode(change: int, gain: float, steps: int = 60) -> Episode:
    action = np.random.default_rng(0).uniform(-1, 1, (steps, 1)).astype(np.float32)
    gains = np.where(np.arange(steps) < change, 1.0, gain)[:, None]
    obs = np.concatenate([np.zeros((1, 1)), np.cumsum(gains * action, axis=0)]).astype(np.float32)
    return Episode(obs, action, np.zeros(steps, dtype=np.float32))


def test_open_loop_error_of_known_dynamics():
    controllers = {"adaptive": line_controller(0.5, adapt=True), "frozen": line_controller(9.0, adapt=False)}
    episode = line_episode(change=30, gain=0.25)

    result = open_loop_errors(controllers, [[episode], [episode]], [30], horizon=4, stride=3)

    assert result is not None
    starts = range(36, 57, 3)
    ahead = np.array([np.cumsum(episode.action[s : s + 4, 0]) for s in starts])
    # the prior's gain is wrong by 0.75; in the adaptive checkpoint's unit of 0.5, whatever the frozen one's is
    assert result.windows == 2 * len(starts)
    assert result.errors["frozen"] == pytest.approx(np.abs(0.75 * ahead / 0.5).mean(0)[None], rel=1e-4)
    # nil only if no window reaches back across the change
    assert result.errors["adaptive"] == pytest.approx(np.zeros((1, 4)), abs=1e-4)


def test_a_seed_without_room_after_its_change_is_left_out():
    controllers = {"adaptive": line_controller(1.0, adapt=True)}
    episodes = [line_episode(20, 0.5), line_episode(55, 0.5)]

    assert open_loop_errors(controllers, [episodes], [20, 55], horizon=4).errors["adaptive"].shape == (1, 4)
    assert open_loop_errors(controllers, [episodes[1:]], [55], horizon=4) is None
