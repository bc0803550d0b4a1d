"""The controller on a point mass whose motor gain changes: it adapts, alone or in a batch, and begins anew after a reset."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation.belief import Belief, tensors_of
from adaptive_mbrl.controller import StepOptions
from adaptive_mbrl.errors import ObservationError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT_WINDOW, TO_ORIGIN, push
from tests.core.driving import CHANGE_AT, PLANNER, START, BeliefWitness, controller, goal_at, run


@pytest.mark.parametrize("gain_after", [0.25, 1.6])
def test_after_a_change_of_gain_the_adapted_error_falls_below_the_priors(trained: MetaTrainer, gain_after: float):
    ran = run(controller(trained), 0.8, gain_after)

    settled = slice(CHANGE_AT + POINT_WINDOW + 1, None)
    assert ran.adapted_error[settled].mean() < 0.5 * ran.prior_error[settled].mean()
    assert ran.fell_back[settled].mean() < 0.1


def test_without_adaptation_the_belief_is_the_prior(trained: MetaTrainer):
    ran = run(controller(trained, adapt=False), 0.8, 0.25, steps=12)

    np.testing.assert_array_equal(ran.adapted_error, ran.prior_error)
    assert not ran.fell_back.any()


def test_errors_are_about_predictions_made_before_the_observation_was_seen(trained: MetaTrainer):
    """RMS over channels in stds of the one-step target, of the belief in use when the action was chosen."""
    ran = run(controller(trained, gate=None), 0.5, 0.5, steps=5)
    obs, action, normalizer = torch.from_numpy(ran.obs), torch.from_numpy(ran.action), trained.adapter.normalizer

    def error(belief: Belief) -> float:
        mean = trained.adapter.condition(belief).predict(obs[None, None, 3], action[None, None, 3]).mean[0, 0]
        return normalizer.error(mean, obs[4]).square().mean().sqrt().item()

    # three transitions were known when action 3 was chosen
    known = Transitions(obs[None, :3], action[None, :3], obs[None, 1:4], torch.ones(1, 3, dtype=torch.bool))
    prior = trained.adapter.prior(1)
    assert ran.prior_error[4, 0] == pytest.approx(error(prior), rel=1e-4)
    assert ran.adapted_error[4, 0] == pytest.approx(error(trained.adapter.infer(known)), rel=1e-4)


def test_a_frozen_belief_stays_and_a_thawed_one_moves(trained: MetaTrainer):
    adapter = BeliefWitness(trained.adapter.model, trained.adapter.rules)
    driven, obs = controller(trained, adapter=adapter, gate=None), START
    beliefs = []
    for t in range(30):
        command = driven.step(obs, goal_at(t), StepOptions(freeze=10 <= t < 20))
        beliefs.append(tensors_of(adapter.belief))
        obs = push(obs, command.action, 0.3)

    def same(i: int, j: int) -> bool:
        return all(torch.equal(a, b) for a, b in zip(beliefs[i], beliefs[j], strict=True))

    assert not same(8, 9)
    assert same(9, 19)
    assert not same(19, 20)


def test_a_batch_of_robots_does_what_each_would_do_alone(trained: MetaTrainer):
    starts = np.array([[0.3, 0.0], [-0.5, 0.4], [0.0, -1.0]], np.float32)
    before, after = np.array([0.4, 0.8, 1.2]), np.array([1.2, 0.3, 0.8])

    together = run(controller(trained), before, after, starts, steps=35)

    for i in range(3):
        alone = run(controller(trained), before[i], after[i], starts[i], steps=35)
        np.testing.assert_allclose(together.obs[:, i], alone.obs, atol=2e-3)
        np.testing.assert_allclose(together.adapted_error[1:, i], alone.adapted_error[1:, 0], atol=2e-3)


def test_one_robot_in_a_batch_of_one_is_one_robot(trained: MetaTrainer):
    single, batch = run(controller(trained), 0.5, 1.0, steps=30), run(controller(trained), 0.5, 1.0, START[None], steps=30)

    assert single.action.shape == (30, 1)
    assert batch.action.shape == (30, 1, 1)
    np.testing.assert_array_equal(single.action, batch.action[:, 0])


def test_the_same_seed_gives_the_same_actions_and_another_seed_others(trained: MetaTrainer):
    first, again, other = (run(controller(trained, seed=seed), 0.5, 1.0, steps=30) for seed in (4, 4, 5))

    np.testing.assert_array_equal(first.action, again.action)
    np.testing.assert_array_equal(first.adapted_error, again.adapted_error)
    assert np.abs(first.action - other.action).max() > 1e-3


def test_after_reset_another_number_of_robots_may_begin(trained: MetaTrainer):
    driven = controller(trained, objective=TO_ORIGIN)
    driven.step(START)
    with pytest.raises(ObservationError, match="3 robots; 1 since"):
        driven.step(np.zeros((3, 2), np.float32))

    driven.reset()

    assert driven.step(np.zeros((3, 2), np.float32)).action.shape == (3, 1)


def test_the_first_step_knows_no_errors_and_later_ones_do(trained: MetaTrainer):
    driven = controller(trained, objective=TO_ORIGIN)
    obs = np.stack([START, -START])

    first, second = driven.step(obs).info, driven.step(obs).info

    assert np.isnan(first.prior_error).all()
    assert np.isnan(first.adapted_error).all()
    assert not first.fell_back.any()
    for info in (first, second):
        assert info.predicted_return.shape == (2,)
        assert np.isfinite(info.predicted_return).all()
        assert info.adapt_seconds > 0
        assert info.plan_seconds > 0
    assert np.isfinite(second.prior_error).all()
    assert np.isfinite(second.adapted_error).all()


def test_a_step_says_how_each_channel_changed_and_what_of_it_was_not_predicted(trained: MetaTrainer):
    driven, later = controller(trained, objective=TO_ORIGIN), np.float32([0.3, -0.2])

    first, second = driven.step(START).info, driven.step(later).info

    std = trained.adapter.normalizer.target_std.numpy()
    assert np.isnan([first.change, first.innovation]).all()
    np.testing.assert_allclose(second.change, [(later - START) / std], rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.mean(second.innovation**2, 1)), second.adapted_error, rtol=1e-5)


def test_the_plan_begins_with_the_action(trained: MetaTrainer):
    single, batch = controller(trained).step(START, goal_at(0)), controller(trained).step(START[None], goal_at(0))

    assert single.plan.shape == (PLANNER.horizon, 1)
    np.testing.assert_array_equal(single.plan[0], single.action)
    np.testing.assert_array_equal(batch.plan, single.plan[None])


def test_actions_are_within_limits_and_float32(trained: MetaTrainer):
    ran = run(controller(trained, planner=dataclasses.replace(PLANNER, sigma=3.0)), 0.5, 0.5, np.float32([30.0, 5.0]), steps=10)

    assert ran.action.dtype == np.float32
    assert np.abs(ran.action).max() <= 1.0


def test_it_reports_what_it_predicts_of_its_plan_if_asked_to(trained: MetaTrainer):
    asked, horizon = controller(trained).with_predicted_steps(3), controller(trained).settings.planner.horizon

    predicted = asked.step(START, np.zeros(1)).info.predicted
    assert predicted.shape[2:] == (4, len(START))
    np.testing.assert_allclose(predicted[0, :, 0], np.tile(START, (predicted.shape[1], 1)), rtol=1e-6)
    assert controller(trained).step(START, np.zeros(1)).info.predicted.size == 0
    assert controller(trained).with_predicted_steps(1000).step(START, np.zeros(1)).info.predicted.shape[2] == horizon + 1
    with pytest.raises(RuntimeError, match="with_predicted_steps: the controller has taken a step; reset it first"):
        asked.with_predicted_steps(2)
