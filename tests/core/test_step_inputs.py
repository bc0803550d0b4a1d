"""What a caller may tell a controller beside the observation: what was sent, what is on its way, gaps, moving goals."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.controller import StepOptions
from adaptive_mbrl.meta.trainer import MetaTrainer
from tests.core.analytic import POINT_WINDOW, push
from tests.core.driving import PLANNER, PLANNERS, START, STEPS, RecordingReward, controller, goal_at


def test_it_learns_from_what_was_really_sent(trained: MetaTrainer):
    """Strong noise between controller and motor: a controller that is told of it predicts well, one that is not does not."""
    error = {}
    for told in (True, False):
        rng = np.random.default_rng(0)
        driven, obs, sent, errors = controller(trained), START, None, []
        for t in range(STEPS):
            command = driven.step(obs, goal_at(t), StepOptions(sent=sent if told else None))
            errors.append(command.info.adapted_error[0])
            sent = np.clip(command.action + rng.normal(0, 0.5, 1), -1, 1)
            obs = push(obs, sent, 0.3)
        error[told] = np.mean(errors[POINT_WINDOW:])

    assert error[True] < 0.8 * error[False]


def test_what_lies_across_a_gap_is_not_learned_from(trained: MetaTrainer):
    """The robot is elsewhere after a gap; only the steps on either side of it count."""
    driven, undisturbed = controller(trained), controller(trained)
    obs, sent = START, None
    for t in range(20):
        beside = t in (10, 11)
        away = np.float32([5.0, -3.0]) if t == 10 else np.float32([0.0, 0.0])
        command = driven.step(obs + away, goal_at(t), StepOptions(sent=sent, after_gap=beside))
        expected = undisturbed.step(obs, goal_at(t))
        if beside:
            assert np.isnan(command.info.adapted_error).all()
        elif t > 11:
            assert command.info.adapted_error < expected.info.adapted_error + 0.1
        sent = expected.action
        obs = push(obs, sent, 0.3)


def test_sent_equal_to_the_command_changes_nothing(trained: MetaTrainer):
    told, untold = controller(trained), controller(trained)
    obs, sent = np.stack([START, -START]), np.full((2, 1), 7.0)  # at the first step nothing was sent yet
    for t in range(12):
        goal = np.tile(goal_at(t), (2, 1))
        command, expected = told.step(obs, goal, StepOptions(sent=sent)), untold.step(obs, goal)
        np.testing.assert_array_equal(command.action, expected.action)
        sent = command.action
        obs = push(obs, sent, 0.3)


def test_with_actions_on_their_way_the_plan_begins_after_them(trained: MetaTrainer):
    """Every action acts two steps late: planning from where the robot will be then, it comes to rest at the goal."""
    error, goal = {}, np.ones(1, np.float32)
    for told in (True, False):
        driven, obs, errors = controller(trained), START, []
        acted, queue = None, [np.zeros(1, np.float32)] * 2
        for _ in range(STEPS):
            command = driven.step(obs, goal, StepOptions(sent=acted, pending=np.stack(queue) if told else None))
            acted = queue[0]
            queue = [*queue[1:], command.action]
            obs = push(obs, acted, 0.8)
            errors.append(abs(obs[0] - goal[0]))
        error[told] = np.mean(errors[STEPS // 2 :])

    assert error[True] < 0.5 * error[False]


def test_of_a_part_of_a_period_a_part_of_the_change_is_expected(trained: MetaTrainer):
    """Planning in mid-period from a newer obs: as if from where the robot will be when the action on its way has ended."""
    latest, pending = np.array([0.8, 0.5], np.float32), np.array([[0.4]], np.float32)

    def start_of(remaining: float) -> np.ndarray:
        reward = RecordingReward()
        driven = controller(trained, objective=reward, adapt=False)
        driven.step(START, goal_at(0), StepOptions(latest=latest, pending=pending, remaining=remaining))
        return reward.starts[0][0].numpy()

    whole = start_of(1.0)
    assert np.abs(whole - latest).max() > 0.01
    np.testing.assert_allclose(start_of(0.25), latest + 0.25 * (whole - latest), atol=1e-5)


def test_the_newest_transition_holds_the_action_on_its_way(trained: MetaTrainer):
    """Not being told what was sent, the controller assumes that the pending action acted, not the planned one."""
    assumed, told = controller(trained), controller(trained)
    pending = np.array([[0.4]], np.float32)
    for t in range(8):
        obs = START + 0.01 * t
        sent = None if t == 0 else pending[0]
        first = assumed.step(obs, goal_at(t), StepOptions(pending=pending))
        second = told.step(obs, goal_at(t), StepOptions(sent=sent, pending=pending))
        np.testing.assert_array_equal(first.info.adapted_error, second.info.adapted_error)


@pytest.mark.parametrize("method", PLANNERS)
@pytest.mark.parametrize("num_samples", [1, 12, 100])
def test_a_step_can_be_made_with_fewer_samples(trained: MetaTrainer, method: str, num_samples: int):
    reward, seen = RecordingReward(), []
    driven = controller(trained, objective=reward, planner=PLANNERS[method])

    for samples in (None, num_samples, None):
        asked = len(reward.num_samples)
        assert np.isfinite(driven.step(START, goal_at(0), StepOptions(num_samples=samples)).action).all()
        seen.append(set(reward.num_samples[asked:]))

    configured, fewest = PLANNERS[method].num_samples, driven.settings.planner.least_samples
    assert fewest <= 8
    assert seen == [{configured}, {max(num_samples, fewest)}, {configured}]


def test_the_callers_arrays_may_be_reused(trained: MetaTrainer):
    """Drivers keep one buffer for the sensors and one for the motors, and write into both."""
    driven, undisturbed = controller(trained), controller(trained)
    obs, goal = START.copy(), np.zeros(1, np.float32)
    for t in range(8):
        goal[:] = goal_at(t)
        command, expected = driven.step(obs, goal), undisturbed.step(obs.copy(), goal.copy())
        np.testing.assert_array_equal(command.action, expected.action)
        np.testing.assert_array_equal(command.info.adapted_error, expected.info.adapted_error)
        obs[:] = push(obs, expected.action, 0.4)
        command.action[:] = 7.0


def test_a_moving_goal_is_seen_ahead(trained: MetaTrainer):
    """The goal stays here for one more step and is far away after that: only who looks ahead starts now."""
    still = np.full((1, PLANNER.horizon, 1), START[0], np.float32)
    moving = still.copy()
    moving[:, 1:] = 3.0

    waits, starts = (controller(trained).step(START, goal).action[0] for goal in (still, moving))

    assert starts > waits + 0.3
