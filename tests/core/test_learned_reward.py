"""A learned reward and a learned termination: what they are fitted to, what a planner makes of them, where they are stored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.adaptation.reversal import as_wired
from adaptive_mbrl.checkpoint import (
    FORMAT_VERSION,
    REWARD_FILE,
    TERMINATION_FILE,
    Checkpoint,
    Description,
    load_checkpoint,
    save_checkpoint,
)
from adaptive_mbrl.control.dump import StepDump, restored
from adaptive_mbrl.control.inputs import InputChecker, StepOptions
from adaptive_mbrl.control.step import ControlSettings, StepNoise, control_step, initial_state
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dump import read_dump
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import CheckpointError, ConfigError, DivergenceError
from adaptive_mbrl.meta.fine_tune import fine_tuned
from adaptive_mbrl.meta.reward_fit import fit_reward, require_rewards
from adaptive_mbrl.meta.termination_fit import fit_termination
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.meta.value_fit import fit_value
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.planning.learned_reward import LearnedReward, LearnedRewardConfig
from adaptive_mbrl.planning.learned_termination import LearnedTermination, LearnedTerminationConfig
from adaptive_mbrl.planning.score import ending
from adaptive_mbrl.planning.value import ValueConfig, ValueFunction
from adaptive_mbrl.predictor import Trajectories
from adaptive_mbrl.training.config import config_for_recordings
from adaptive_mbrl.training.from_episodes import train_from_episodes
from tests.core.analytic import NO_GOAL, POINT, POINT_MODEL, POINT_WINDOW, TINY_PLANNER, point_episodes, push
from tests.core.compiling import TRACED_PLANNER, one_graph_compiler
from tests.core.point_recordings import SMALL

PAID = Objective(POINT, (Term("tolerance", 2.0, ("position",), scale=2.0), Term("action_quadratic", 0.5)))
REWARD = LearnedRewardConfig(hidden=(32, 32), updates=400)
TERMINATION = LearnedTerminationConfig(hidden=(16,), updates=600, learning_rate=3e-2)
WALL = 3.0


def paid(episodes: list[Episode]) -> list[Episode]:
    """The episodes with the rewards of `PAID`; each ends with the first step after which it is beyond the wall."""
    found = []
    for e in episodes:
        beyond = np.flatnonzero(e.obs[1:, 0] > WALL)
        length = int(beyond[0]) + 1 if len(beyond) else len(e)
        obs, action = e.obs[: length + 1], e.action[:length]
        reward = PAID(*(torch.tensor(x) for x in (obs[:-1], action, obs[1:])), NO_GOAL).numpy()
        found.append(Episode(obs, action, reward, e.tags, ended=bool(len(beyond))))
    return found


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    found = paid(point_episodes(60, seed=1))
    assert 5 < sum(e.ended for e in found) < 55
    return found


@pytest.fixture(scope="module")
def reward(episodes: list[Episode]) -> LearnedReward:
    learned = LearnedReward(POINT, REWARD)
    figures = fit_reward(learned, episodes[:50], episodes[50:])
    assert figures["reward/explained_variance"] > 0.98
    return learned


@pytest.fixture(scope="module")
def termination(episodes: list[Episode]) -> LearnedTermination:
    learned = LearnedTermination(POINT, TERMINATION)
    figures = fit_termination(learned, episodes)
    assert figures["termination/found"] > 0.8
    assert figures["termination/false_alarms"] < 0.01
    return learned


def transitions(position: float, action: float = 0.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One transition from rest."""
    obs, sent = np.array([[position, 0.0]], np.float32), np.array([[action]], np.float32)
    return torch.tensor(obs), torch.tensor(sent), torch.tensor(push(obs, sent, 1.0))


# --- what they are fitted to --------------------------------------------------------------------------------------------------


def test_the_reward_of_a_transition_is_what_was_paid_for_it(reward: LearnedReward):
    for position, action in ((0.0, 0.0), (0.0, 0.9), (1.5, -0.5), (-2.0, 0.3)):
        step = transitions(position, action)
        assert float(reward(*step, NO_GOAL)) == pytest.approx(float(PAID(*step, NO_GOAL)), abs=0.15)


def test_a_second_fit_goes_on_from_the_first_one(reward: LearnedReward, episodes: list[Episode]):
    """New units of the rewards do not change the rewards that it begins with."""
    other = LearnedReward(POINT, dataclasses.replace(REWARD, updates=1, learning_rate=0.0))
    other.load_state_dict(reward.state_dict())
    better = [dataclasses.replace(e, reward=3 * e.reward + 5) for e in episodes[:50]]

    fit_reward(other, better)

    assert float(other.reward_std) == pytest.approx(3 * float(reward.reward_std), rel=1e-4)
    step = transitions(1.0, 0.4)
    torch.testing.assert_close(other(*step, NO_GOAL), reward(*step, NO_GOAL), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(2.5, "all rewards of the episodes are 2.5; allowed: .*'objective'"), (np.nan, "some rewards .* are not finite numbers")],
)
def test_episodes_without_rewards_are_refused(wrong: float, said: str):
    with pytest.raises(ConfigError, match=f"key 'learned_reward': {said}"):
        require_rewards([dataclasses.replace(e, reward=np.full(len(e), wrong, np.float32)) for e in point_episodes(2, 0)])


@pytest.mark.parametrize("length", [1, 20])
def test_held_out_rewards_that_are_all_the_same_have_no_explained_variance(episodes: list[Episode], length: int):
    held_out = dataclasses.replace(
        episodes[0],
        obs=episodes[0].obs[: length + 1],
        action=episodes[0].action[:length],
        reward=np.full(length, 0.3, np.float32),
    )

    assert fit_reward(LearnedReward(POINT, dataclasses.replace(REWARD, updates=1)), episodes[:20], [held_out]) == {}


def test_a_fit_that_is_not_finite_is_one_line(episodes: list[Episode]):
    wild = dataclasses.replace(REWARD, updates=3, learning_rate=1e30)
    with pytest.raises(DivergenceError, match=r"key 'learned_reward': .* a lower learned_reward\.learning_rate"):
        fit_reward(LearnedReward(POINT, wild), episodes)
    ends = dataclasses.replace(TERMINATION, updates=3, learning_rate=1e30)
    with pytest.raises(DivergenceError, match=r"key 'learned_termination': .* a lower learned_termination\.learning_rate"):
        fit_termination(LearnedTermination(POINT, ends), episodes)


def test_an_end_is_seen_beyond_the_wall_and_nowhere_else(termination: LearnedTermination):
    assert bool(termination(*transitions(WALL + 0.6)))
    assert not any(bool(termination(*transitions(position))) for position in (-3.0, 0.0, 2.0))


def test_as_long_as_no_episode_has_ended_none_ever_does(episodes: list[Episode]):
    learned = LearnedTermination(POINT, TERMINATION)

    assert fit_termination(learned, [e for e in episodes if not e.ended]) == {}

    assert not learned.knows_ends
    assert not bool(learned(*transitions(100.0)))


# --- what a planner makes of them ---------------------------------------------------------------------------------------------


def futures(position: float, actions: torch.Tensor) -> Trajectories:
    state, steps = np.full((*actions.shape[:2], 2), [position, 0.0], np.float32), []
    for action in actions.unbind(2):
        state = push(state, action.numpy(), 1.0)
        steps.append(torch.from_numpy(state))
    return Trajectories(torch.stack(steps, 2)[None])


def first_action(position: float, score: Score) -> float:
    """The first action of a plan with the true dynamics, from rest."""
    planner, obs = make_planner(POINT, TINY_PLANNER), torch.tensor([[position, 0.0]])
    _, plan = planner.improve(
        planner.init(1), lambda actions: score(futures(position, actions), actions, obs, torch.zeros(1, 0)), planner.draw_noise()
    )
    return float(plan.actions[0, 0, 0])


def test_plans_under_the_learned_reward_are_those_under_the_true_one(reward: LearnedReward):
    for position in (-1.5, 1.5):
        assert first_action(position, Score(reward)) == pytest.approx(first_action(position, Score(PAID)), abs=0.25)
    assert first_action(-1.5, Score(reward)) > 0.1 > -0.1 > first_action(1.5, Score(reward))


def test_nothing_counts_after_the_step_in_which_a_predicted_episode_ends():
    """The position is paid; the third step goes beyond the wall and still counts."""
    score = Score(
        Objective(POINT, (Term("linear", 1.0, ("position",)),)),
        terminal_value=lambda obs, goal: torch.full(obs.shape[:-1], 100.0),
        termination=lambda obs, action, next_obs: (next_obs[..., 0] > WALL) & (obs[..., 0] < WALL),
    )
    next_obs = torch.tensor([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0], [8.0, 0.0]])[None, None, None]
    actions, obs, goal = torch.zeros(1, 1, 4, 1), torch.zeros(1, 2), torch.zeros(1, 0)

    assert float(score(Trajectories(next_obs), actions, obs, goal)) == 7.0
    assert float(score(Trajectories(next_obs / 4), actions, obs, goal)) == 3.75 + 100.0
    known = torch.tensor([[[[True, False, True, True]]]])
    assert float(score(Trajectories(next_obs, known), actions, obs, goal)) == 3.0


def test_a_termination_is_asked_about_the_step_that_ends(termination: LearnedTermination):
    actions = torch.ones(1, 1, 5, 1)
    found = ending(termination, futures(2.9, actions), actions, torch.tensor([[2.9, 0.0]]))

    assert found.alive is not None
    beyond = found.next_obs[0, 0, 0, :, 0] > WALL
    assert (~found.alive[0, 0, 0]).tolist()[-1]
    assert (~found.alive[0, 0, 0] <= beyond).all()


def test_a_control_step_with_both_is_one_graph(reward: LearnedReward, termination: LearnedTermination):
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), (NoneConfig(),), POINT_WINDOW).eval()
    settings = ControlSettings(adapter, make_planner(POINT, TRACED_PLANNER), Score(reward, termination=termination))
    state = initial_state(settings, 1, POINT_WINDOW, POINT.obs_dim)
    checker = InputChecker(POINT, 0, TRACED_PLANNER.horizon, torch.device("cpu"))
    inputs = checker.inputs(np.array([1.0, 0.0], np.float32), None, StepOptions(), None)
    noise = StepNoise(settings.planner.draw_noise())
    with one_graph_compiler() as compiler:
        compiled = compiler(lambda state, inputs, noise: control_step(state, inputs, noise, settings))
        _, plan, _ = compiled(state, inputs, noise)
    assert compiler.graphs == 1
    torch.testing.assert_close(plan.actions, control_step(state, inputs, noise, settings)[1].actions)


def test_a_terminal_value_can_stand_on_a_learned_reward(reward: LearnedReward, episodes: list[Episode]):
    config = ValueConfig(discount=0.9, sweeps=2, updates=20)
    values = []
    for paid_by in (reward, PAID):
        value = ValueFunction(POINT, config)
        fit_value(value, episodes, paid_by)
        values.append(value.value(torch.tensor([[0.0, 0.0], [2.5, 0.0]])))
    torch.testing.assert_close(values[0], values[1], atol=1.0, rtol=0.1)


# --- in a checkpoint ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(reward: LearnedReward, termination: LearnedTermination, tmp_path: Path) -> Path:
    rules = (NoneConfig(),)
    about = Description(
        FORMAT_VERSION,
        POINT,
        (),
        (),
        POINT_MODEL,
        rules,
        TINY_PLANNER,
        POINT_WINDOW,
        learned_reward=reward.config,
        learned_termination=termination.config,
    )
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), rules, POINT_WINDOW)
    save_checkpoint(tmp_path / "saved", Checkpoint(about, adapter, learned_reward=reward, learned_termination=termination))
    return tmp_path / "saved"


def test_they_travel_with_their_checkpoint_into_the_controllers_score(
    saved: Path, reward: LearnedReward, termination: LearnedTermination
):
    score = AdaptiveController.load(saved).settings.score

    step = transitions(2.9, 1.0)
    assert torch.equal(score.reward(*step, NO_GOAL), reward(*step, NO_GOAL))
    assert score.termination is not None
    assert torch.equal(score.termination(*step), termination(*step))
    assert isinstance(AdaptiveController.load(saved, objective=PAID).settings.score.reward, Objective)
    never = AdaptiveController.load(saved, termination=lambda obs, action, next_obs: next_obs[..., 0] > 1e9)
    assert not bool(never.settings.score.termination(*step))  # type: ignore[misc]


@pytest.mark.parametrize("file", [REWARD_FILE, TERMINATION_FILE])
def test_a_missing_file_is_one_line(saved: Path, file: str):
    (saved / file).unlink()
    with pytest.raises(CheckpointError, match=rf"{file}: missing"):
        load_checkpoint(saved)


def test_fine_tuning_keeps_them(saved: Path, episodes: list[Episode], reward: LearnedReward):
    tuned, *_ = fine_tuned(load_checkpoint(saved), episodes[:6], episodes[6:9], OuterConfig(query=3), updates=1)

    assert tuned.learned_reward is not None
    assert tuned.learned_termination is not None
    step = transitions(1.0)
    assert torch.equal(tuned.reward(*step, NO_GOAL), reward(*step, NO_GOAL))


def test_a_dump_of_a_control_step_holds_them(saved: Path, tmp_path: Path, termination: LearnedTermination):
    controller = AdaptiveController.load(saved)
    watched = AdaptiveController(
        POINT, controller.settings, POINT_WINDOW, StepDump(tmp_path / "dumps", load_checkpoint(saved).description)
    )
    with torch.no_grad():
        as_wired(controller.settings.adapter).model.net.weight_0[0, 0, 0] = torch.nan  # type: ignore[union-attr]

    watched.step(np.array([1.0, 0.0], np.float32))

    (path,) = (tmp_path / "dumps").iterdir()
    dump = read_dump(path)
    assert dump.about["objective_is_in_the_file"]
    score, step = restored(dump)[0].score, transitions(2.9, 1.0)
    assert torch.equal(score.reward(*step, NO_GOAL), controller.settings.score.reward(*step, NO_GOAL))
    assert score.termination is not None
    assert torch.equal(score.termination(*step), termination(*step))


# --- in a training from recordings --------------------------------------------------------------------------------------------


def recordings(folder: Path, episodes: list[Episode]) -> Path:
    store = EpisodeStore.open(folder, POINT)
    store.append(episodes)
    return folder


def test_recorded_rewards_give_a_checkpoint_that_controls(tmp_path: Path, episodes: list[Episode]):
    settings = ("learned_reward.updates=300", "learned_termination.updates=100", "value.updates=5", "value.sweeps=2")
    folder = recordings(tmp_path / "logs", episodes)
    config = config_for_recordings(None, (*SMALL, *settings, f"data.episodes_from={folder}"))

    checkpoint = load_checkpoint(train_from_episodes(config, tmp_path / "run"))

    step = transitions(0.0)
    assert float(checkpoint.reward(*step, NO_GOAL)) == pytest.approx(float(PAID(*step, NO_GOAL)), abs=0.3)
    assert checkpoint.description.terms == ()
    assert checkpoint.value is not None
    assert checkpoint.learned_termination is not None
    command = AdaptiveController.load(tmp_path / "run" / "checkpoint").step(np.array([1.0, 0.0], np.float32))
    assert abs(command.action[0]) <= 1.0


def test_recordings_without_rewards_begin_no_run(tmp_path: Path):
    folder = recordings(tmp_path / "logs", point_episodes(4, seed=0))
    config = config_for_recordings(None, (*SMALL, "learned_reward={}", f"data.episodes_from={folder}"))

    with pytest.raises(ConfigError, match="key 'learned_reward': all rewards of the episodes are 0"):
        train_from_episodes(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_learned_reward_and_terms_are_one_too_many(tmp_path: Path):
    terms = "objective=[{kind: linear, channels: [position]}]"
    with pytest.raises(ConfigError, match="key 'learned_reward': there is an 'objective', too"):
        config_for_recordings(None, (*SMALL, "learned_reward={}", terms, f"data.episodes_from={tmp_path}"))
