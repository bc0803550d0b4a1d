"""Actions may act late: a controller finds out by how much, learns from those that acted, and plans with those on their way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.control.delay import (
    DelayConfig,
    DelayState,
    after_sending,
    applied,
    as_applied,
    initial_delay,
    weighed_delays,
)
from adaptive_mbrl.control.step import initial_state
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT, POINT_WINDOW, push
from tests.core.driving import START, control_settings, controller
from tests.core.rules import point_adapter


def sent_window(robots: int, steps: int) -> Transitions:
    """Every action is its own number, so that it can be recognised."""
    number = torch.arange(robots * steps, dtype=torch.float32).view(robots, steps, 1)
    valid = torch.ones(robots, steps, dtype=torch.bool)
    return Transitions(number + 0.1, number, number + 0.2, valid)


def test_a_window_has_the_actions_that_acted():
    recent, delay = sent_window(3, 7), torch.tensor([0, 1, 2])

    window = as_applied(recent, torch.ones(3, 7, dtype=torch.bool), delay, longest=2)

    assert window.action[..., 0].tolist() == [[2, 3, 4, 5, 6], [8, 9, 10, 11, 12], [14, 15, 16, 17, 18]]
    assert torch.equal(window.obs, recent.obs[:, 2:])
    assert torch.equal(window.next_obs, recent.next_obs[:, 2:])
    assert window.valid.all()


def test_where_transitions_do_not_follow_one_another_it_is_not_known_what_acted():
    recent, follows = sent_window(3, 7), torch.ones(3, 7, dtype=torch.bool)
    follows[:, 3] = False

    window = as_applied(recent, follows, torch.tensor([0, 1, 2]), longest=2)

    assert window.valid.tolist() == [
        [True, True, True, True, True],
        [True, False, True, True, True],
        [True, False, False, True, True],
    ]


@pytest.mark.parametrize(("after_gap", "freeze"), [(True, False), (True, True)], ids=["a gap", "held by hand"])
def test_after_a_gap_nothing_is_learned_from_actions_of_before(trained: MetaTrainer, after_gap: bool, freeze: bool):
    """What is held by hand leaves no trace in the window, and still the actions before it do not act after it."""
    driven = controller(trained, delay=DelayConfig())
    obs, sent, reported = START, [np.zeros(1, np.float32)] * 3, []
    for t in range(24):
        interrupted = t in (15, 16, 17)
        options = StepOptions(after_gap=after_gap and interrupted, freeze=freeze and interrupted)
        command = driven.step(obs, goal_at(t), options)
        sent.append(command.action)
        reported.append(bool(np.isfinite(command.info.innovation).all()))
        obs = push(obs, sent[-3], 0.8)

    # the first step has nothing before it; when the delay was found, it is known what acted; after the gap again two steps later
    assert command.info.delay.tolist() == [2]
    assert reported[10:15] == [True] * 5
    assert reported[15:] == [False] * 5 + [True] * 4
    assert driven._state is not None
    window = driven._state.delay.acted(driven._state.recent)
    known = window.valid[0].nonzero()[:, 0].tolist()
    assert len(known) == POINT_WINDOW - 2
    for k in known:
        # the point mass says itself what acted
        acted = (window.next_obs[0, k, 1] - 0.95 * window.obs[0, k, 1]) / (push(np.zeros(2), np.ones(1), 0.8)[1])
        torch.testing.assert_close(acted, window.action[0, k, 0], atol=1e-4, rtol=0.0)


def test_beliefs_under_the_delays_are_frozen_with_the_others():
    driven = AdaptiveController(POINT, control_settings(point_adapter("recurrent"), delay=DelayConfig()), POINT_WINDOW)
    obs = START
    for t in range(6):
        obs = push(obs, driven.step(obs, goal_at(t)).action, 0.8)
    assert driven._state is not None
    before = driven._state.delay.belief

    driven.step(obs, goal_at(6), StepOptions(freeze=True, after_gap=True))

    for kept, expected in zip(tensors_of(driven._state.delay.belief), tensors_of(before), strict=True):
        assert torch.equal(kept, expected)


def test_what_a_rule_carries_begins_again_with_the_delay_that_was_found():
    """With the belief from the whole window alone, too, which never begins anew by itself."""
    settings = control_settings(point_adapter("recurrent"), delay=DelayConfig(memory=1.0, hysteresis=0.0), gate=None)
    driven = AdaptiveController(POINT, settings, POINT_WINDOW)
    obs, sent, found = START, [np.zeros(1, np.float32)] * 3, []
    for t in range(30):
        command = driven.step(obs, goal_at(t))
        found.append(int(command.info.delay[0]))
        assert driven._state is not None
        if len(found) > 1 and found[-1] != found[-2]:
            carried, expected = (tensors_of(x) for x in (driven._state.gate.belief, driven._state.delay.chosen()))
            for ours, theirs in zip(carried, expected, strict=True):
                torch.testing.assert_close(ours, theirs)
        sent.append(command.action)
        obs = push(obs, sent[-3], 0.8)
    assert len(set(found)) > 1


def test_candidates_act_after_what_was_sent_before():
    past = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]])
    actions = torch.arange(10.0, 34.0).view(3, 2, 4, 1)

    act = applied(past, actions, torch.tensor([0, 1, 2]))

    assert act[..., 0].tolist() == [
        [[10, 11, 12, 13], [14, 15, 16, 17]],
        [[4, 18, 19, 20], [4, 22, 23, 24]],
        [[5, 6, 26, 27], [5, 6, 30, 31]],
    ]
    assert after_sending(past, actions[:, 0, :1])[..., 0].tolist() == [[2, 10], [4, 18], [6, 26]]
    assert torch.equal(applied(past[:, :0], actions, torch.zeros(3, dtype=torch.int64)), actions)


def delays(log_odds: Tensor, choice: list[int]) -> DelayState:
    never = torch.zeros(len(choice), 1, dtype=torch.bool)
    return DelayState(log_odds, torch.tensor(choice), (), never, never[:, 0])


def test_the_odds_are_those_of_errors_of_unknown_scale():
    config = DelayConfig(max_delay=2, memory=0.5, dimensions=3.0, error_floor=0.1)
    before = torch.tensor([[0.0, -2.0, -4.0], [-1.0, 0.0, -1.0]])
    errors = torch.tensor([[0.4, 0.1, 0.2], [0.3, 0.3, 0.3]])

    after = weighed_delays(delays(before, [0, 1]), errors, torch.tensor([True, False]), config)

    expected = 0.5 * before[0] - 1.5 * (errors[0].square() + 0.01).log()
    torch.testing.assert_close(after.log_odds[0], expected - expected.max())
    # the second robot was not told
    torch.testing.assert_close(after.log_odds[1], before[1])
    assert after.choice.tolist() == [1, 1]


def test_a_delay_is_kept_until_another_one_is_clearly_more_probable():
    config = DelayConfig(max_delay=1, memory=1.0, dimensions=1.0, error_floor=1e-6, hysteresis=2.5)
    told = torch.tensor([True])
    # each step is worth one unit of log odds
    state, errors = delays(torch.zeros(1, 2), [0]), torch.tensor([[np.e, 1.0]])

    choices = []
    for _ in range(4):
        state = weighed_delays(state, errors, told, config)
        choices.append(int(state.choice[0]))

    assert choices == [0, 0, 1, 1]
    # and a prediction that is no number says that its delay is wrong
    broken = weighed_delays(state, torch.tensor([[0.1, torch.nan]]), told, config)
    assert broken.choice.tolist() == [0]
    assert broken.log_odds.isfinite().all()


def test_a_delay_that_was_hopeless_for_long_is_found_soon(trained: MetaTrainer):
    state = initial_delay(trained.adapter, 1, POINT_WINDOW, DelayConfig(), torch.device("cpu"))
    right, wrong = 0.02, 1.0
    for late, steps in ((0, 100), (2, 8)):
        errors = torch.tensor([[right if d == late else wrong for d in range(3)]])
        for _ in range(steps):
            state = weighed_delays(state, errors, torch.tensor([True]), DelayConfig())
        assert state.choice.tolist() == [late]


def goal_at(t: int) -> np.ndarray:
    """There, for long enough to come to rest, and back again."""
    return np.array([0.5 if t // 20 % 2 else -0.5], np.float32)


def delayed_run(driven: AdaptiveController, late: int) -> dict[str, Any]:
    """A point mass whose actions act `late` control steps late."""
    obs, sent, rows = START, [np.zeros(1, np.float32)] * 3, []
    for t in range(80):
        command = driven.step(obs, goal_at(t))
        sent.append(command.action)
        rows.append((np.abs(obs[:1] - goal_at(t)), command.info.adapted_error, command.info.delay))
        obs = push(obs, sent[-1 - late], 0.8)
    miss, error, delay = (np.stack(column) for column in zip(*rows, strict=True))
    return {"miss": miss[20:].mean(), "error": error[20:].mean(), "delay": delay[:, 0]}


@pytest.mark.parametrize(("late", "gate"), [(1, {"gate": None}), (2, {})], ids=["ungated", "gated"])
def test_a_delay_is_found_and_made_up_for(trained: MetaTrainer, late: int, gate: dict[str, Any]):
    looking = delayed_run(controller(trained, delay=DelayConfig(), **gate), late)
    immediate = delayed_run(controller(trained, **gate), late)

    assert (looking["delay"][10:] == late).all()
    assert not immediate["delay"].any()
    assert looking["error"] < 0.3 * immediate["error"]
    assert looking["miss"] < immediate["miss"]


def test_what_is_sent_from_now_on_acts_after_what_was_sent_before(trained: MetaTrainer):
    driven = controller(trained, delay=DelayConfig())
    actions = torch.arange(1.0, 7.0).view(1, 1, 6, 1)
    assert torch.equal(driven.acting(actions), actions)
    obs, sent = START, [np.zeros(1, np.float32)] * 3
    for t in range(12):
        sent.append(driven.step(obs, goal_at(t)).action)
        obs = push(obs, sent[-3], 0.8)

    # the newest command is the first of those that are sent from now on
    acting = driven.acting(actions)[0, 0, :, 0].tolist()

    assert acting == [sent[-3].item(), sent[-2].item(), 1.0, 2.0, 3.0, 4.0]


def test_where_actions_act_at_once_looking_for_a_delay_changes_nothing(trained: MetaTrainer):
    looking, immediate = (delayed_run(controller(trained, **s), 0) for s in ({"delay": DelayConfig()}, {}))

    assert not looking["delay"].any()
    assert looking["error"] == pytest.approx(immediate["error"], rel=1e-3)
    assert looking["miss"] == pytest.approx(immediate["miss"], rel=1e-3)


def test_a_known_latency_and_a_delay_that_is_found_add_up(trained: MetaTrainer):
    """As behind the bridge, where the command of the step before is pending when the next one is planned."""

    def run(driven: AdaptiveController) -> dict[str, Any]:
        obs, sent, misses, found = START, [np.zeros(1, np.float32)] * 4, [], []
        for t in range(80):
            command = driven.step(obs, goal_at(t), StepOptions(sent=sent[-2], pending=sent[-1][None]))
            misses.append(np.abs(obs[0] - goal_at(t)[0]))
            found.append(int(command.info.delay[0]))
            # the latency says that the last command acts now, but it is the one before
            obs = push(obs, sent[-2], 0.8)
            sent.append(command.action)
        return {"miss": np.mean(misses[20:]), "delay": found}

    looking, immediate = run(controller(trained, delay=DelayConfig())), run(controller(trained))

    assert set(looking["delay"][10:]) == {1}
    assert looking["miss"] < immediate["miss"]


def test_robots_of_a_batch_have_delays_of_their_own(trained: MetaTrainer):
    driven = controller(trained, delay=DelayConfig())
    obs, sent = np.stack([START] * 3), [np.zeros((3, 1), np.float32)] * 3
    for t in range(25):
        command = driven.step(obs, np.tile(goal_at(t), (3, 1)))
        sent.append(command.action)
        acting = np.stack([sent[-1 - late][late] for late in range(3)])
        obs = push(obs, acting, 0.8)

    assert command.info.delay.tolist() == [0, 1, 2]


class Estimating(NetworkAdapter):
    """As estimated physics does, it finds the delay by itself."""

    takes_pending = False


def test_what_finds_the_delay_by_itself_or_not_at_all_considers_no_delay(trained: MetaTrainer):
    looking = controller(trained).with_max_delay(2)
    assert looking.settings.delay == DelayConfig(max_delay=2)
    assert looking.with_max_delay(0).settings.delay is None
    with pytest.raises(ConfigError, match=r"max_delay: got 9; allowed: 0 to 8"):
        controller(trained).with_max_delay(9)
    with pytest.raises(ConfigError, match=r"max_delay: the adapter estimates the action delay itself; allowed: 0"):
        controller(trained, adapter=Estimating(trained.adapter.model, trained.adapter.rules)).with_max_delay(1)

    frozen = control_settings(trained.adapter, adapt=False, delay=DelayConfig())
    state = initial_state(frozen, 2, POINT_WINDOW, POINT.obs_dim)
    assert state.recent.valid.shape == (2, POINT_WINDOW)
    assert AdaptiveController.load("cartpole").settings.delay == DelayConfig()
    assert AdaptiveController.load("cartpole", max_delay=0).settings.delay is None
    assert AdaptiveController.load("cartpole_multitask").settings.delay is None
