"""Adapting can hurt, and old transitions can mislead: a controller notices it, robot by robot."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.belief import Belief, map_belief, tensors_of
from adaptive_mbrl.control.delay import DelayState
from adaptive_mbrl.control.gate import PRIOR, WHOLE, GateConfig, GateState, grown, initial_gate, weighed
from adaptive_mbrl.control.step import ControllerState, StepInputs, _prequential_deviations
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning.base import PlanState
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT, POINT_WINDOW, mixed_transitions, point_episodes, push
from tests.core.driving import CHANGE_AT, PLANNER, START, STEPS, control_settings, controller, goal_at, run
from tests.core.rules import RULES, WINDOW, point_adapter, stirred_adapter


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
    ran = run(controller(trained, adapter=harmful(trained, 3.0), gate=None), 0.8, 0.25, steps=20)

    assert not ran.fell_back.any()
    assert ran.adapted_error[10:].mean() > 2 * ran.prior_error[10:].mean()


def with_noise(trained: MetaTrainer, noise: np.ndarray) -> np.ndarray:
    """Which of B robots with a window of two transitions fall back, where their sensors have noise of the stds (T, B)."""
    robots = noise.shape[1]
    driven = AdaptiveController(POINT, control_settings(trained.adapter), window=2)
    rng, obs, fell_back = np.random.default_rng(0), np.tile(START, (robots, 1)), []
    for t, std in enumerate(noise):
        seen = obs + (std[:, None] * rng.standard_normal(obs.shape)).astype(np.float32)
        command = driven.step(seen, np.tile(goal_at(t), (robots, 1)))
        fell_back.append(command.info.fell_back)
        obs = push(obs, command.action, 0.3)
    return np.stack(fell_back)


def test_it_returns_to_the_belief_when_that_becomes_useful_again(trained: MetaTrainer):
    """For a while there is more noise than two transitions can be adapted to; then all is well."""
    noise = np.zeros((120, 8))
    noise[10:80] = 1.0

    fell_back = with_noise(trained, noise)

    assert fell_back[50:80].mean() > 0.5
    assert fell_back[100:].mean() < 0.05


def test_one_robots_harm_is_not_anothers(trained: MetaTrainer):
    """Only the second of two robots has noise."""
    fell_back = with_noise(trained, np.tile([0.0, 1.0], (80, 1)))

    assert not fell_back[10:, 0].any()
    assert fell_back[40:, 1].any()


def test_after_a_change_the_transitions_before_it_are_left_out(trained: MetaTrainer):
    gated, ungated = (run(controller(trained, gate=gate), 0.8, 1.6) for gate in (GateConfig(), None))

    assert all(gated.run_length[t, 0] <= t - CHANGE_AT for t in range(CHANGE_AT + 3, STEPS))
    assert all(ungated.run_length[t, 0] == t + 1 for t in range(STEPS))
    soon = range(CHANGE_AT + 4, CHANGE_AT + 8)
    assert gated.adapted_error[soon, 0].mean() < 0.9 * ungated.adapted_error[soon, 0].mean()


@pytest.mark.parametrize(
    ("noise", "adapting_helps"), [(0.0, True), pytest.param(0.1, True, marks=pytest.mark.slow), (1.0, False)]
)
def test_what_is_planned_under_is_hardly_worse_than_the_better_of_adapting_and_not_adapting(
    trained: MetaTrainer, noise: float, adapting_helps: bool
):
    """A window of two transitions: without noise adapting helps much, with strong noise it only does harm."""
    gated, ungated, frozen = (planned_error(trained, noise, **settings) for settings in ({}, {"gate": None}, {"adapt": False}))

    assert gated < 1.02 * min(ungated, frozen)
    assert (ungated < frozen) == adapting_helps


def planned_error(trained: MetaTrainer, noise: float, **settings: object) -> float:
    """Mean prediction error of what 32 robots of different gains plan under, after it has settled."""
    planner = dataclasses.replace(PLANNER, horizon=3, num_iterations=1)
    driven = AdaptiveController(POINT, control_settings(trained.adapter, planner=planner, **settings), window=2)
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
    length, choice = torch.ones(1, 1 + config.runs, dtype=torch.int64), torch.tensor([WHOLE])
    start = torch.tensor([[config.share, 1 - config.share, *[0.0] * config.runs]])
    gate = GateState((), length, start.log(), choice)
    for step in errors:
        gate = weighed(gate, torch.tensor([step]), torch.tensor([told]), config)
        gate = gate._replace(length=gate.length + 1)
    return gate


def likelihood(error: float, config: GateConfig) -> float:
    return (error**2 + config.error_floor**2) ** (-config.dimensions / 2)


def test_the_weights_are_bayes_rule_with_a_new_run_and_lasting_shares():
    config = GateConfig(runs=1, hazard=0.1, share=0.05, dimensions=2.0, error_floor=0.1, hysteresis=0.0)

    gate = weights(config, [[0.3, 0.5, 1.0]])

    joint = np.array([0.9 * 0.05 * likelihood(0.3, config), 0.9 * 0.95 * likelihood(0.5, config), 0.1 * likelihood(0.3, config)])
    prior, whole, run = 0.9 * joint / joint.sum()
    np.testing.assert_allclose(gate.log_weight.exp()[0], [0.05 + prior, 0.05 + whole, run], rtol=1e-5)
    assert gate.length.tolist() == [[2, 1]]
    assert gate.choice.tolist() == [WHOLE]


def test_the_weights_always_sum_to_one():
    rng = np.random.default_rng(0)

    gate = weights(GateConfig(), rng.lognormal(0.0, 2.0, (50, 5)).tolist())

    assert float(gate.log_weight.exp().sum()) == pytest.approx(1, rel=1e-4)


def test_the_least_probable_run_gives_way_to_a_new_one_and_the_whole_window_never_does():
    config = GateConfig(runs=3, hysteresis=0.0)

    gate = weights(config, [[0.1, 9.0, 9.0, 9.0, 9.0], [0.1, 9.0, 9.0, 9.0, 9.0], [0.1, 9.0, 9.0, 0.2, 0.1]])

    # runs that have not begun give way first; each of the three began at a step of its own
    assert gate.length.tolist() == [[4, 3, 2, 1]]
    later = weights(config, [[0.1, 9.0, 9.0, 9.0, 9.0]] * 2 + [[0.1, 9.0, 9.0, 0.2, 0.1], [0.1, 9.0, 9.0, 0.2, 0.1]])
    assert later.length.tolist() == [[5, 1, 3, 2]]


@pytest.mark.parametrize("better", [PRIOR, WHOLE])
def test_a_lasting_candidate_wins_soon_however_long_it_was_worse(better: int):
    was_worse = [[0.5 if c == better else 0.1 for c in range(3)]] * 500
    gate = weights(GateConfig(runs=1), was_worse + [[0.1 if c == better else 0.5 for c in range(3)]] * 4)

    assert gate.choice.tolist() == [better]


def test_another_candidate_must_be_better_by_the_hysteresis():
    errors = [[0.4, 0.5, 9.0]] * 2
    eager, steady = (weights(GateConfig(runs=1, share=0.3, hysteresis=h), errors) for h in (0.0, 3.0))

    assert (eager.choice.item(), steady.choice.item()) == (PRIOR, WHOLE)
    torch.testing.assert_close(eager.log_weight, steady.log_weight)


def test_without_an_observation_nothing_is_learned():
    config = GateConfig(runs=1)

    gate = weights(config, [[0.1, 5.0, 5.0]], told=False)

    torch.testing.assert_close(gate.log_weight.exp(), torch.tensor([[config.share, 1 - config.share, 0.0]]))
    assert gate.choice.tolist() == [WHOLE]


@pytest.mark.parametrize("error", [math.nan, math.inf, 1e30])
def test_a_prediction_that_is_no_number_is_as_wrong_as_can_be(error: float):
    gate = weights(GateConfig(runs=1), [[0.5, error, error]] * 3)

    assert gate.choice.item() != WHOLE
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
    gate = gate._replace(length=torch.tensor([[2, 0, 3, 40], [2, 1, 0, 2]]))

    after, _ = grown(gate, adapter, recent, torch.tensor([False, False]), adapter.prior(2))

    assert after.length.tolist() == [[3, 1, 4, 41], [3, 2, 1, 3]]
    # the first belief looks at the whole window, however long it has been learning
    depths = [[POINT_WINDOW, 1, 4, 41], [POINT_WINDOW, 2, 1, 3]]
    for robot in range(2):
        for position, depth in enumerate(depths[robot]):
            known = recent.valid[robot] & (torch.arange(POINT_WINDOW) >= POINT_WINDOW - depth)
            alone = Transitions(*(x[robot : robot + 1] for x in recent[:3]), known[None])
            found = [tensor[robot * 4 + position] for tensor in tensors_of(after.belief)]
            expected = [tensor[0] for tensor in tensors_of(adapter.infer(alone))]
            torch.testing.assert_close(found, expected)


def test_a_belief_that_is_carried_through_life_is_never_lost():
    """Also where the gate has planned under other beliefs meanwhile."""
    settings = [control_settings(point_adapter("recurrent"), gate=gate) for gate in (GateConfig(), None)]
    gated, ungated = (AdaptiveController(POINT, s, POINT_WINDOW) for s in settings)
    obs, action = START, np.zeros(1, np.float32)
    for t in range(60):
        ungated.step(obs, goal_at(t), StepOptions(sent=action))
        action = gated.step(obs, goal_at(t)).action
        obs = push(obs, action, 0.3 if t // 10 % 2 else 1.4)

    assert gated._state is not None
    assert ungated._state is not None
    carried, expected = (tensors_of(c._state.gate.belief) for c in (gated, ungated))
    assert gated._state.gate.length[0, 1:].max() < 60
    for ours, theirs in zip(carried, expected, strict=True):
        torch.testing.assert_close(ours[:1], theirs[:1])


@torch.no_grad()
@pytest.mark.parametrize("name", RULES)
def test_prior_and_beliefs_predict_in_one_call_as_they_do_alone(name: str):
    """Those under each delay, too: the second robot's actions are believed to act two control steps late."""
    adapter, robots, runs, delays = stirred_adapter(RULES[name]), 2, 3, 3
    recent = mixed_transitions(robots * runs, WINDOW)
    prior, belief = adapter.prior(robots), adapter.infer(recent)
    gate = initial_gate(adapter, robots, GateConfig(runs=runs - 1), torch.device("cpu"))._replace(belief=belief)
    before, sent, after = (x[:robots, 0] for x in recent[:3])
    told = torch.ones(robots, dtype=torch.bool)
    inputs = StepInputs(after, after, after[:, :0], sent, told, sent[:, None], told[:, None].float(), ~told)
    under_delays = adapter.infer(mixed_transitions(robots * delays, WINDOW, seed=1))
    follows = torch.ones(robots, WINDOW, dtype=torch.bool)
    delay = DelayState(torch.zeros(robots, delays), torch.tensor([0, 2]), under_delays, follows, told)
    earlier = recent.rows(slice(robots))
    state = ControllerState(earlier, before, sent, told, gate, PlanState(sent, sent, sent), delay)

    found, of_delays = _prequential_deviations(adapter, prior, state, inputs)

    def expected(one: Belief, b: int, late: int) -> Tensor:
        predictor = adapter.condition(one)
        action = sent[b] if late == 0 else earlier.action[b, -late]
        mean = predictor.predict(before[b : b + 1, None], action[None, None]).mean[:, 0]
        return predictor.error(mean, after[b : b + 1])[0]

    for b in range(robots):
        ours = [alone(prior, b), *(alone(belief, b * runs + r) for r in range(runs))]
        for position, one in enumerate(ours):
            torch.testing.assert_close(found[b, position], expected(one, b, int(delay.choice[b])), rtol=1e-4, atol=1e-5)
        for late in range(delays):
            one = alone(under_delays, b * delays + late)
            torch.testing.assert_close(of_delays[b, late], expected(one, b, late), rtol=1e-4, atol=1e-5)


def alone(belief: Belief, robot: int) -> Belief:
    """What is believed of one robot."""
    return map_belief(lambda tensor: tensor[robot : robot + 1], belief)
