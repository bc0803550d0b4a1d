"""Adapting can hurt, and old transitions can mislead: a controller notices it, robot by robot."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.control.gate import UNGATED, GateConfig, GateState, grown, initial_gate, weighed
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT, POINT_WINDOW, point_episodes, push
from tests.core.driving import CHANGE_AT, START, STEPS, control_settings, controller, goal_at, run


def harmful(trained: MetaTrainer, log_step_size: float) -> NetworkAdapter:
    adapter = copy.deepcopy(trained.adapter)
    for parameter in adapter.rules[0].log_step_sizes.values():
        parameter.data.fill_(log_step_size)
    return adapter


@pytest.mark.parametrize("log_step_size", [3.0, 80.0, 1000.0], ids=["wild", "enormous", "not finite"])
def test_it_falls_back_to_the_prior_when_adaptation_does_harm(trained: MetaTrainer, log_step_size: float):
    """Also when the belief is so wrong that its predictions are no numbers any more."""
    ran = run(controller(trained, adapter=harmful(trained, log_step_size)), 0.8, 0.25)

    assert ran.fell_back[5:].all()
    assert np.isfinite(ran.action).all()
    frozen = run(controller(trained, adapt=False), 0.8, 0.25)
    # the first steps were taken under the harmful belief, so compare how well the later ones follow the goal
    goals = np.stack([goal_at(t) for t in range(STEPS)])
    miss, frozen_miss = (np.abs(r.obs[30:, :1] - goals[30:]).mean() for r in (ran, frozen))
    assert miss < 1.3 * frozen_miss


def test_the_fallback_can_be_switched_off(trained: MetaTrainer):
    ran = run(controller(trained, adapter=harmful(trained, 3.0), gate=UNGATED), 0.8, 0.25, steps=20)

    assert not ran.fell_back.any()
    assert ran.adapted_error[10:].mean() > 2 * ran.prior_error[10:].mean()


def test_it_returns_to_the_belief_when_that_becomes_useful_again(trained: MetaTrainer):
    """One robot's sensor jumps for a while, which no adaptation can follow; then all is well."""
    driven, obs = controller(trained), START
    fell_back = []
    for t in range(80):
        jump = np.float32([3.0 * (-1) ** t, 0.0]) if 10 <= t < 20 else 0.0
        command = driven.step(obs + jump, goal_at(t))
        fell_back.append(bool(command.info.fell_back[0]))
        obs = push(obs, command.action, 0.3)

    assert not any(fell_back[60:])


def test_one_robots_harm_is_not_anothers(trained: MetaTrainer):
    """Only the second of two robots sees a sensor that jumps."""
    driven, obs = controller(trained), np.stack([START, START])
    fell_back = []
    for t in range(30):
        jump = np.zeros_like(obs)
        jump[1] = [4.0 * (-1) ** t, 3.0 * (-1) ** (t // 2)]
        command = driven.step(obs + jump, np.tile(goal_at(t), (2, 1)))
        fell_back.append(command.info.fell_back)
        obs = push(obs, command.action, 0.3)

    assert not np.stack(fell_back)[10:, 0].any()


def test_after_a_change_the_transitions_before_it_are_left_out(trained: MetaTrainer):
    gated, ungated = (run(controller(trained, gate=gate), 0.8, 1.6) for gate in (GateConfig(), UNGATED))

    assert all(gated.run_length[t, 0] <= t - CHANGE_AT for t in range(CHANGE_AT + 3, STEPS))
    assert all(ungated.run_length[t, 0] == t + 1 for t in range(STEPS))
    soon = range(CHANGE_AT + 4, CHANGE_AT + 8)
    assert gated.adapted_error[soon, 0].mean() < 0.9 * ungated.adapted_error[soon, 0].mean()


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_what_is_planned_under_is_hardly_worse_than_the_better_of_adapting_and_not_adapting(trained: MetaTrainer, noise: float):
    """A window of two transitions: without noise adapting helps much, with strong noise it only does harm."""
    gated, ungated, frozen = (planned_error(trained, noise, **settings) for settings in ({}, {"gate": UNGATED}, {"adapt": False}))

    assert gated < 1.02 * min(ungated, frozen)
    assert (ungated < frozen) == (noise < 0.5)


def planned_error(trained: MetaTrainer, noise: float, **settings: object) -> float:
    """Mean prediction error of what 32 robots of different gains plan under, after it has settled."""
    driven = AdaptiveController(POINT, control_settings(trained.adapter, **settings), window=2)
    rng, gains = np.random.default_rng(0), np.linspace(0.3, 1.5, 32)
    obs, errors, fell_back = np.tile(START, (32, 1)), [], np.zeros(32, dtype=bool)
    for t in range(150):
        seen = obs + noise * rng.standard_normal(obs.shape).astype(np.float32)
        command = driven.step(seen, np.tile(goal_at(t), (32, 1)))
        errors.append(np.where(fell_back, command.info.prior_error, command.info.adapted_error))
        fell_back, obs = command.info.fell_back, push(obs, command.action, gains)
    return float(np.mean(errors[40:]))


def test_without_a_change_the_whole_window_is_used(trained: MetaTrainer):
    ran = run(controller(trained), 0.8, 0.8)

    assert (ran.run_length[10:, 0] >= 8).mean() > 0.8


def weights(config: GateConfig, errors: list[list[float]], told: bool = True) -> GateState:
    """The candidates about one robot after observations that they missed by `errors`; nothing is believed."""
    length, choice = torch.ones(1, config.runs, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
    gate = GateState((), length, initial_weights(config), choice)
    for step in errors:
        gate = weighed(gate, torch.tensor([step]), torch.tensor([told]), config)
        gate = gate._replace(length=gate.length + 1)
    return gate


def initial_weights(config: GateConfig) -> torch.Tensor:
    weight = torch.full((1, 1 + config.runs), -math.inf)
    weight[0, :2] = torch.tensor([config.prior_share, 1 - config.prior_share]).log()
    return weight


def likelihood(error: float, config: GateConfig) -> float:
    return (error**2 + config.error_floor**2) ** (-config.dimensions / 2)


def test_the_weights_are_bayes_rule_with_a_share_for_the_prior_and_a_new_run():
    config = GateConfig(runs=2, hazard=0.1, prior_share=0.05, dimensions=2.0, error_floor=0.1, hysteresis=0.0)

    gate = weights(config, [[0.3, 0.5, 1.0]])

    joint = np.array([0.05 * likelihood(0.3, config), 0.95 * likelihood(0.5, config)])
    prior, run = joint / joint.sum()
    new = 0.1 * likelihood(0.3, config) / joint.sum()
    np.testing.assert_allclose(gate.log_weight.exp()[0], [0.05 + 0.95 * prior, run, new], rtol=1e-5)
    assert gate.length.tolist() == [[2, 1]]
    assert gate.choice.tolist() == [1]


def test_the_least_probable_run_gives_way_to_a_new_one():
    config = GateConfig(runs=3, hysteresis=0.0)

    gate = weights(config, [[0.5, 0.2, 9.0, 9.0], [0.5, 0.2, 0.4, 9.0], [0.5, 0.2, 0.4, 0.1]])

    # the second run began at the first step, has been predicting worst, and begins anew
    assert gate.length.tolist() == [[4, 1, 2]]


def test_another_candidate_must_be_better_by_the_hysteresis():
    errors = [[0.5, 0.5], [0.4, 0.5]]
    eager, steady = (weights(GateConfig(runs=1, prior_share=0.4, hysteresis=h), errors) for h in (0.0, 3.0))

    assert (eager.choice.item(), steady.choice.item()) == (0, 1)
    torch.testing.assert_close(eager.log_weight, steady.log_weight)


def test_without_an_observation_nothing_is_learned():
    config = GateConfig(runs=2)

    gate = weights(config, [[0.1, 5.0, 5.0]], told=False)

    torch.testing.assert_close(gate.log_weight, initial_weights(config))
    assert gate.choice.tolist() == [1]


@pytest.mark.parametrize("error", [math.nan, math.inf, 1e30])
def test_a_prediction_that_is_no_number_is_as_wrong_as_can_be(error: float):
    gate = weights(GateConfig(runs=1), [[0.5, error]])

    assert gate.choice.tolist() == [0]
    assert not gate.log_weight.isnan().any()


def windows_of_two() -> Transitions:
    """The last transitions of two point masses, one of them not valid."""
    episodes = point_episodes(2, seed=9)
    obs, action = (torch.from_numpy(np.stack([getattr(e, name) for e in episodes])) for name in ("obs", "action"))
    valid = torch.ones(2, POINT_WINDOW, dtype=torch.bool)
    valid[1, -2] = False
    return Transitions(obs[:, :POINT_WINDOW], action[:, :POINT_WINDOW], obs[:, 1 : POINT_WINDOW + 1], valid)


def test_each_run_is_the_belief_from_its_own_transitions(trained: MetaTrainer):
    adapter, recent = trained.adapter, windows_of_two()
    gate = initial_gate(adapter, 2, GateConfig(runs=3), torch.device("cpu"))
    gate = gate._replace(length=torch.tensor([[0, 3, 40], [1, 0, 2]]))

    after = grown(gate, adapter, recent, torch.tensor([False, False]))

    assert after.length.tolist() == [[1, 4, 41], [2, 1, 3]]
    for robot in range(2):
        for run_index, length in enumerate(after.length[robot].tolist()):
            known = recent.valid[robot] & (torch.arange(POINT_WINDOW) >= POINT_WINDOW - length)
            alone = Transitions(*(x[robot : robot + 1] for x in recent[:3]), known[None])
            found = [tensor[robot * 3 + run_index] for tensor in tensors_of(after.belief)]
            expected = [tensor[0] for tensor in tensors_of(adapter.infer(alone))]
            torch.testing.assert_close(found, expected)
