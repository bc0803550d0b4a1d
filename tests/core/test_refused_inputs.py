"""Bad input to a control step is refused in one line and leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.controller import StepOptions
from adaptive_mbrl.errors import ObservationError
from adaptive_mbrl.meta.trainer import MetaTrainer
from tests.core.analytic import TO_ORIGIN, push
from tests.core.driving import START, controller, goal_at

BAD_OBS = {
    "too long": (np.zeros(3), r"obs: got shape \(3,\); expected \(2,\) or \(robots, 2\)"),
    "too short": (np.zeros((1, 1)), r"obs: got shape \(1, 1\)"),
    "a number": (np.float64(1.0), r"obs: got shape \(\)"),
    "too deep": (np.zeros((1, 1, 2)), r"obs: got shape \(1, 1, 2\)"),
    "no robot": (np.zeros((0, 2)), r"obs: got shape \(0, 2\)"),
    "nan": (np.array([0.0, np.nan]), "obs: channel 'speed' is not finite"),
    "infinite": (np.array([[-np.inf, 0.0]]), "obs: channel 'position' is not finite"),
    "beyond float32": (np.array([0.0, 1e300]), "obs: channel 'speed' is not finite"),
    "words": (["fast", "slow"], "obs: expected numbers"),
    "ragged": ([[1.0], [1.0, 2.0]], "obs: expected numbers"),
    "nothing": (None, "obs: "),
}
BAD_GOALS = {
    "missing": (None, "goal: missing; the objective needs 1 values"),
    "too long": (np.zeros(2), "goal: expected 1 finite values"),
    "nan": (np.array([np.nan]), "goal: expected 1 finite values"),
    "a number": (np.float64(0.0), "goal: expected 1 finite values"),
    "another robot's": (np.zeros((2, 1)), "goal: got 2 rows for 1 robots"),
    "another horizon": (np.zeros((1, 4, 1)), "goal: .*4.*horizon.*6"),
    "too deep": (np.zeros((1, 1, 6, 1)), "goal: "),
    "words": (["left"], "goal: expected numbers"),
}

BAD_SENT = {
    "too long": (np.zeros(2), r"sent: got shape \(2,\); expected \(1,\)"),
    "nan": (np.array([np.nan]), "sent: channel 'force' is not finite"),
    "of a batch": (np.zeros((1, 1)), r"sent: got shape \(1, 1\) beside obs of shape \(2,\)"),
    "words": (["hard"], "sent: expected numbers"),
}

BAD_LATEST = {
    "too long": (np.zeros(3), r"latest: got shape \(3,\)"),
    "nan": (np.array([0.0, np.nan]), "latest: channel 'speed' is not finite"),
    "of two robots": (np.zeros((2, 2)), r"latest: got shape \(2, 2\) beside 1 robots"),
}
BAD_PENDING = {
    "a row": (np.zeros(1), r"pending: expected finite values of shape \(steps, 1\), got shape \(1,\)"),
    "too wide": (np.zeros((2, 2)), r"pending: .* got shape \(2, 2\)"),
    "nan": (np.full((1, 1), np.nan), "pending: expected finite values"),
    "another robot's": (np.zeros((2, 1, 1)), "pending: "),
    "words": ([["hard"]], "pending: expected numbers"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(("bad", "message"), BAD_OBS.values(), ids=BAD_OBS.keys())
def test_a_bad_obs_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, bad, goal_at(0), message)


@pytest.mark.parametrize(("bad", "message"), BAD_GOALS.values(), ids=BAD_GOALS.keys())
def test_a_bad_goal_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, bad, message)


@pytest.mark.parametrize(("bad", "message"), BAD_SENT.values(), ids=BAD_SENT.keys())
def test_a_bad_sent_action_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, goal_at(0), message, sent=bad)


@pytest.mark.parametrize(("bad", "message"), BAD_PENDING.values(), ids=BAD_PENDING.keys())
def test_bad_pending_actions_are_refused_and_change_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, goal_at(0), message, pending=bad)


@pytest.mark.parametrize(("bad", "message"), BAD_LATEST.values(), ids=BAD_LATEST.keys())
def test_a_bad_latest_obs_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, goal_at(0), message, latest=bad)


def assert_refused_without_a_trace(trained: MetaTrainer, obs, goal, message: str, **options) -> None:
    driven, undisturbed = controller(trained), controller(trained)
    present = START
    for t in range(6):
        if t in (0, 3):
            with pytest.raises(ObservationError, match=message) as caught:
                driven.step(obs, goal, StepOptions(**options))
            assert "\n" not in str(caught.value)
        command, expected = driven.step(present, goal_at(t)), undisturbed.step(present, goal_at(t))
        np.testing.assert_array_equal(command.action, expected.action)
        np.testing.assert_array_equal(command.info.adapted_error, expected.info.adapted_error)
        present = push(present, command.action, 0.5)


def test_a_goal_that_the_objective_does_not_know_is_refused(trained: MetaTrainer):
    with pytest.raises(ObservationError, match="goal: expected 0 finite values"):
        controller(trained, objective=TO_ORIGIN).step(START, np.zeros(1))
