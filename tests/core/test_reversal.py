"""Motors may be wired backwards: a controller finds out which, learns as if they were right, and plans with their signs."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.adaptation.reversal import ReversalAdapter, ReversalBelief, ReversalConfig, Signs, as_wired, with_reversals
from adaptive_mbrl.control.delay import DelayConfig
from adaptive_mbrl.control.gate import GateConfig
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, ReversalDiagnosis, size_of
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.predictor import Prediction
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, POINT, mixed_transitions, push
from tests.core.driving import START, controller, goal_at, run
from tests.core.rules import RULES, WINDOW, point_adapter, stirred_adapter

EFFECT = torch.tensor([[0.9, -0.2, 0.1, 0.3], [0.1, 0.5, -0.4, 0.0], [-0.3, 0.2, 0.1, 0.7]])
"""What each of three motors does to four channels."""


class LinearPredictor:
    """obs + effect of the actions, errors in SI units."""

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        mean = obs + action @ EFFECT
        return Prediction(mean, torch.ones_like(mean))

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        return predicted - observed


class LinearAdapter(Adapter[tuple[()]]):
    """Knows its robot exactly, and adapts to nothing; so what is left are the gains of the motors, in closed form."""

    @property
    def normalizer(self) -> Normalizer:
        return stirred_adapter(RULES["none"]).normalizer

    def prior(self, batch_size: int) -> tuple[()]:
        return ()

    def update(self, belief: tuple[()], recent: Transitions) -> tuple[()]:
        return ()

    def infer(self, recent: Transitions) -> tuple[()]:
        return ()

    def condition(self, belief: tuple[()], noise: Tensor | None = None) -> Any:
        return LinearPredictor()


def moved(
    gain: Tensor, steps: int, noise: float = 0.0, seed: int = 0, load: Tensor | float = 0.0, held: float = 0.0
) -> Transitions:
    """Transitions of robots whose motors have these gains, (B, 3), under a load on the channels.

    Actions are in [-1, 1], plus `held`.
    """
    generator = torch.Generator().manual_seed(seed)
    obs, spoilt = (torch.randn(len(gain), steps, 4, generator=generator) for _ in range(2))
    action = 2 * torch.rand(len(gain), steps, 3, generator=generator) - 1 + held
    next_obs = obs + (gain[:, None] * action) @ EFFECT + load + noise * spoilt
    return Transitions(obs, action, next_obs, torch.ones(len(gain), steps, dtype=torch.bool))


@pytest.mark.parametrize("load_std", [0.0, 0.8])
def test_gains_and_loads_are_those_of_forgetting_least_squares(load_std: float):
    """Against the normal equations of all transitions at once, in double precision; the loads are unknowns like the gains."""
    config = ReversalConfig(forgetting=0.9, confidence=1e2, prior_std=0.7, load_std=load_std, noise_std=0.3)
    recent = moved(torch.tensor([[-0.4, 0.8, 1.3]]), 20, noise=0.2, load=torch.tensor([0.5, -0.2, 0.0, 0.3]))
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, config)

    signs = adapter.infer(recent).signs

    obs, action, next_obs = (field[0].double().numpy() for field in recent[:3])
    effect, weights = EFFECT.double().numpy(), 0.9 ** np.arange(19, -1, -1)
    explains = np.concatenate([action[:, :, None] * effect, np.tile(np.eye(4), (20, 1, 1))], 1)
    noise = (float(signs.misfit[0]) + 0.3**2) / (weights.sum() + 1)
    pull = np.diag([0.7**-2] * 3 + [1 / max(load_std, 1e-9) ** 2] * 4)
    expected = np.linalg.solve(
        np.einsum("t,tac,tbc->ab", weights, explains, explains) / noise + pull,
        np.einsum("t,tac,tc->a", weights, explains, next_obs - obs) / noise + pull @ np.array([1.0] * 3 + [0.0] * 4),
    )
    np.testing.assert_allclose(torch.cat([signs.gain, signs.load], 1)[0], expected, rtol=1e-3, atol=1e-5)
    assert float(signs.weight[0]) == pytest.approx(weights.sum())
    # a residual is that of a prediction with the gains and loads of before, at first with those of right motors without a load
    first = adapter.infer(recent.steps(slice(0, 1))).signs
    assert float(first.misfit[0]) == pytest.approx(np.square(next_obs[0] - obs[0] - action[0] @ effect).mean(), rel=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_reversed_motors_are_found_and_right_ones_stay(noise: float):
    gain = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [-0.9, 0.5, -1.2], [-1.0, -1.0, -1.0], [0.1, 1.4, -0.3]])
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig())

    signs = adapter.infer(moved(gain, 25, noise)).signs

    assert signs.sign.tolist() == [[1, 1, 1], [1, -1, 1], [-1, 1, -1], [-1, -1, -1], [1, 1, 1]]
    # a motor that is right again is found, too
    again = moved(torch.ones(5, 3), 25, noise, seed=1)
    for step in range(25):
        signs = adapter.update(ReversalBelief((), signs), again.steps(slice(step, step + 1))).signs
    assert (signs.sign == 1).all()


def test_a_motor_that_is_not_used_stays_as_it_is_believed_to_be():
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig())
    recent = moved(torch.tensor([[-1.0, -1.0, -1.0]]), 25)
    still = recent._replace(action=recent.action * torch.tensor([1.0, 0.0, 1.0]))
    still = still._replace(next_obs=still.obs - still.action @ EFFECT)

    signs = adapter.infer(still).signs

    assert signs.sign.tolist() == [[-1, 1, -1]]
    assert signs.gain[0, 1].item() == pytest.approx(1.0)


def test_a_load_that_motors_hold_against_is_no_reversed_motor():
    """Motors push one way all the time and the robot moves the other way: only what changes beside it says what motors do."""
    seen = moved(torch.ones(20, 3), 25, 0.02, load=-3 * EFFECT.sum(0), held=0.7)

    found, without = (
        ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig(load_std=std)).infer(seen).signs for std in (1.0, 0.0)
    )

    assert (found.sign == 1).all()
    assert (found.gain > 0.8).all()
    assert (without.gain < -0.5).all()


def test_a_reversed_motor_is_found_under_a_load():
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig())
    gain = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]])

    signs = adapter.infer(moved(gain, 25, 0.05, load=torch.tensor([0.8, -0.5, 0.3, 1.0]), held=0.5)).signs

    assert signs.sign.tolist() == gain.tolist()


def test_a_motor_whose_command_stays_the_same_cannot_be_told_from_a_load():
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig())
    steady = moved(-torch.ones(2, 3), 25, 0.05)
    action = 0.7 + 0.02 * steady.action
    next_obs = steady.next_obs + (steady.action - action) @ EFFECT

    assert (adapter.infer(steady._replace(action=action, next_obs=next_obs)).signs.sign == 1).all()


@pytest.mark.parametrize(
    ("limits", "looked_at"),
    [
        ([(-1.0, 1.0), (-2.0, 1.9)], [0, 1]),
        ([(-1.0, 1.0), (0.0, 1.0)], [0]),
        ([(0.0, 1.0), (0.2, 3.0)], None),
    ],
)
def test_motors_that_push_one_way_only_are_not_looked_at(
    limits: list[tuple[float, float]], looked_at: list[int] | None, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    action = [dataclasses.replace(c, low=low, high=high) for c, (low, high) in zip(MIXED.action, limits, strict=True)]
    spec, inner = dataclasses.replace(MIXED, action=tuple(action)), stirred_adapter(RULES["context"])

    adapter = with_reversals(inner, spec, ReversalConfig())

    assert (adapter is inner) == (looked_at is None)
    assert adapter is inner or adapter._looked_at == looked_at
    left_out = [c.name for i, c in enumerate(spec.action) if i not in (looked_at or [])]
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ([", ".join(left_out)] if left_out else [])


def test_motors_that_are_not_looked_at_are_right():
    adapter = ReversalAdapter(LinearAdapter(), [True, False, True], ReversalConfig())

    signs = adapter.infer(moved(torch.tensor([[-1.0, -1.0, 1.0]]), 25)).signs

    assert signs.sign.tolist() == [[-1, 1, 1]]
    assert signs.gain.shape == (1, 2)


def test_robots_do_not_know_of_each_other():
    gain = torch.tensor([[1.0, -1.0, 1.0], [0.4, 0.9, -0.9]])
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig())
    recent = moved(gain, 15, 0.1)

    both = adapter.infer(recent).signs

    for robot in range(2):
        alone = adapter.infer(Transitions(*(field[[robot]] for field in recent))).signs
        for ours, theirs in zip(both, alone, strict=True):
            torch.testing.assert_close(ours[[robot]], theirs)


@pytest.mark.parametrize("rule", ["context", "recurrent"])
def test_it_looks_in_double_precision(rule: str):
    adapter = ReversalAdapter(stirred_adapter(RULES[rule]), [True] * MIXED.action_dim, ReversalConfig()).eval().double()
    recent = mixed_transitions(2, WINDOW)
    recent = Transitions(*(x.double() if x.is_floating_point() else x for x in recent))

    with torch.no_grad():
        belief = adapter.infer(recent)
        found = adapter.update(belief, recent).signs

    assert all(tensor.dtype == torch.float64 for tensor in found)


def test_what_is_not_valid_or_finite_turns_nothing():
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig())
    recent = moved(-torch.ones(2, 3), 25)
    recent = recent._replace(valid=torch.zeros_like(recent.valid))
    for ours, prior in zip(tensors_of(adapter.infer(recent)), tensors_of(adapter.prior(2)), strict=True):
        assert torch.equal(ours, prior)

    right = moved(torch.ones(2, 3), 25)
    next_obs = right.next_obs.clone()
    next_obs[0, 12] = torch.inf
    next_obs[1, 12] = 1e9
    signs = adapter.infer(right._replace(next_obs=next_obs)).signs
    assert (signs.sign == 1).all()
    assert all(tensor.isfinite().all() for tensor in signs)


def test_step_by_step_is_as_all_at_once():
    adapter = ReversalAdapter(LinearAdapter(), [True] * 3, ReversalConfig())
    recent = moved(torch.tensor([[-1.0, 0.5, -0.8]]), 18, 0.05)
    belief = adapter.prior(1)
    for step in range(18):
        belief = adapter.update(belief, recent.steps(slice(max(0, step - 4), step + 1)))

    for ours, theirs in zip(belief.signs, adapter.infer(recent).signs, strict=True):
        torch.testing.assert_close(ours, theirs)


def reversed_belief(adapter: ReversalAdapter, sign: Tensor) -> Signs:
    signs = adapter.prior(len(sign)).signs
    # so sure that one more transition turns nothing
    certain = 1e6 * torch.eye(sign.shape[1]).repeat(len(sign), 1, 1)
    return signs._replace(sign=sign, gain=sign, information=certain, evidence=(certain @ sign[..., None])[..., 0])


@pytest.mark.parametrize("rule", ["gradient", "context_then_gradient", "bayes_linear", "recurrent", "latent_samples"])
def test_a_robot_with_reversed_motors_is_one_without_whose_actions_are_negative(rule: str):
    inner = stirred_adapter(RULES[rule])
    adapter = ReversalAdapter(inner, [True] * MIXED.action_dim, ReversalConfig(confidence=100.0)).eval()
    recent, sign = mixed_transitions(3, WINDOW), torch.tensor([[-1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]])
    signed = recent._replace(action=sign[:, None] * recent.action)
    with torch.no_grad():
        believed = adapter.update(ReversalBelief(inner.prior(3), reversed_belief(adapter, sign)), recent)
        expected = inner.update(inner.prior(3), signed)
        noise = adapter.draw_noise(believed, torch.Generator().manual_seed(0))
        predictor, right = adapter.condition(believed, noise), inner.condition(expected, noise)
        obs, actions = mixed_transitions(3, 5, seed=7).obs, mixed_transitions(3, 20, seed=8).action.view(3, 4, 5, 2)

        torch.testing.assert_close(believed.signs.sign, sign)
        for ours, theirs in zip(tensors_of(believed.inner), tensors_of(expected), strict=True):
            torch.testing.assert_close(ours, theirs)
        found, wanted = (p.roll_out(obs[:, 0], a) for p, a in ((predictor, actions), (right, sign[:, None, None] * actions)))
        torch.testing.assert_close(found.next_obs, wanted.next_obs)
        found, wanted = (p.predict(obs, a) for p, a in ((predictor, actions[:, 0]), (right, sign[:, None] * actions[:, 0])))
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(predictor.features(obs, actions[:, 0]), right.features(obs, sign[:, None] * actions[:, 0]))
        half = predictor.to(torch.bfloat16).roll_out(obs[:, 0], actions).next_obs
        torch.testing.assert_close(half, wanted_half(right, obs, sign, actions))


def wanted_half(right: Any, obs: Tensor, sign: Tensor, actions: Tensor) -> Tensor:
    return right.to(torch.bfloat16).roll_out(obs[:, 0], sign[:, None, None] * actions).next_obs


def test_what_a_rule_carries_begins_anew_where_a_sign_turns():
    inner = point_adapter("recurrent")
    adapter = ReversalAdapter(inner, [True], ReversalConfig(confidence=0.0, prior_std=10.0, least_noise_std=1e-3)).eval()
    obs, actions = START, np.linspace(0.5, 1.0, 12, dtype=np.float32)
    belief, turned = adapter.prior(1), False
    with torch.no_grad():
        for action in actions:
            after = push(obs, np.array([action]), -1.0)
            fields = (torch.from_numpy(np.float32(x))[None, None] for x in (obs, [action], after))
            new = Transitions(*fields, torch.ones(1, 1, dtype=torch.bool))
            told = adapter.update(belief, new)
            if not torch.equal(told.signs.sign, belief.signs.sign):
                turned = True
                expected = inner.update(inner.prior(1), new._replace(action=told.signs.sign[:, None] * new.action))
                for ours, theirs in zip(tensors_of(told.inner), tensors_of(expected), strict=True):
                    torch.testing.assert_close(ours, theirs)
            belief, obs = told, after
    assert turned


def looking(trained: MetaTrainer, **settings: Any) -> AdaptiveController:
    return controller(trained, adapter=ReversalAdapter(trained.adapter, [True] * POINT.action_dim, ReversalConfig()), **settings)


@pytest.mark.parametrize("gate", [None, GateConfig()], ids=["ungated", "gated"])
def test_a_motor_that_is_reversed_in_mid_run_is_found(trained: MetaTrainer, gate: GateConfig | None):
    driven = looking(trained, gate=gate)
    found, as_it_is = run(driven, 0.9, -0.8), run(controller(trained, gate=gate), 0.9, -0.8)

    assert driven.belief.signs.sign.item() == -1
    assert driven.step(found.obs[-1], goal_at(len(found.obs))).info.sign.tolist() == [[-1.0]]
    # in the first steps after the change the error is the same
    assert found.adapted_error[40:].mean() < 0.4 * as_it_is.adapted_error[40:].mean()


def test_where_no_motor_is_reversed_looking_for_it_changes_nothing(trained: MetaTrainer):
    driven = looking(trained)
    found, as_it_is = run(driven, 0.9, 0.5), run(controller(trained), 0.9, 0.5)

    np.testing.assert_allclose(found.action, as_it_is.action, atol=1e-4)
    np.testing.assert_allclose(found.adapted_error, as_it_is.adapted_error, atol=1e-4)
    # it did look
    assert driven.belief.signs.gain.item() == pytest.approx(0.5, abs=0.2)


def test_a_motor_that_is_late_and_reversed_is_found_to_be_both(trained: MetaTrainer):
    driven = looking(trained, delay=DelayConfig())
    obs, sent, errors = START, [np.zeros(1, np.float32)] * 3, []
    for t in range(70):
        command = driven.step(obs, goal_at(t))
        sent.append(command.action)
        errors.append(command.info.adapted_error.item())
        obs = push(obs, sent[-3], -0.8)

    assert command.info.delay.tolist() == [2]
    assert command.info.sign.tolist() == [[-1.0]]
    assert np.mean(errors[40:]) < 0.1


@pytest.mark.parametrize(
    "options", [StepOptions(freeze=True), StepOptions(after_gap=True), StepOptions(freeze=True, after_gap=True)]
)
def test_what_is_not_learned_from_turns_no_sign(trained: MetaTrainer, options: StepOptions):
    driven = looking(trained)
    seen = run(driven, 0.9, 0.9)
    before, obs = driven.belief, seen.obs[-1]

    for t in range(30):
        command = driven.step(obs, goal_at(t), options)
        obs = push(obs, command.action, -0.9)

    for kept, expected in zip(driven.belief.signs, before.signs, strict=True):
        torch.testing.assert_close(kept, expected)
    # without these options it would have
    obs = seen.obs[-1]
    for t in range(30):
        command = driven.step(obs, goal_at(t))
        obs = push(obs, command.action, -0.9)
    assert command.info.sign.tolist() == [[-1.0]]


def test_a_sign_is_found_beside_a_command_that_is_on_its_way(trained: MetaTrainer):
    """The controller is told of the command that acts before its plan; what it learns from is what the robot really got."""
    driven = looking(trained)
    obs, got, acting = START, *np.zeros((2, 1), np.float32)
    for t in range(60):
        command = driven.step(obs, goal_at(t), StepOptions(sent=got, pending=acting[None]))
        obs = push(obs, acting, -0.8)
        got, acting = acting, command.action

    assert command.info.sign.tolist() == [[-1.0]]


def test_a_diagnosis_gives_a_reversed_motor_a_negative_gain():
    inner = stirred_adapter(RULES["context"])
    names = ("actuator_gain fin", "body_mass torso", "actuator_gain motor", "actuator_gain other")
    read = Diagnosis(DiagnosisConfig(names, hidden=(8,)), size_of(inner.prior(1)))
    with torch.no_grad():
        read.label_mean.add_(1.0)
        read.belief_scale.fill_(1.0)
    adapter = ReversalAdapter(inner, [True] * MIXED.action_dim, ReversalConfig(confidence=100.0))
    sign = torch.tensor([[-1.0, 1.0]])
    belief = ReversalBelief(inner.prior(1), reversed_belief(adapter, sign))

    signed = ReversalDiagnosis(read, [channel.name for channel in MIXED.action])(belief, torch.tensor([5]))

    right = read(belief.inner, torch.tensor([5]))
    torch.testing.assert_close(signed.mean, right.mean * torch.tensor([1.0, 1.0, -1.0, 1.0]))
    torch.testing.assert_close(signed.std, right.std)


@pytest.mark.parametrize(("sign", "share"), [([1.0, 1.0], 1.0), ([-1.0, -1.0], -1.0), ([1.0, -1.0], 0.0)])
def test_the_gain_of_all_motors_has_their_common_sign_and_is_uncertain_where_they_have_none(sign: list[float], share: float):
    inner = stirred_adapter(RULES["context"])
    read = Diagnosis(DiagnosisConfig(("body_mass", "actuator_gain"), hidden=(8,)), size_of(inner.prior(1)))
    with torch.no_grad():
        read.label_mean.add_(1.0)
    adapter = ReversalAdapter(inner, [True] * MIXED.action_dim, ReversalConfig())
    belief, known = ReversalBelief(inner.prior(1), reversed_belief(adapter, torch.tensor([sign]))), torch.tensor([5])

    signed, right = ReversalDiagnosis(read, [channel.name for channel in MIXED.action])(belief, known), read(belief.inner, known)

    torch.testing.assert_close(signed.mean, right.mean * torch.tensor([1.0, share]))
    spread = right.mean.square() * torch.tensor([0.0, 1 - share**2])
    torch.testing.assert_close(signed.std, (right.std.square() + spread).sqrt())


def test_a_loaded_controller_looks_for_them_unless_it_is_told_not_to():
    assert isinstance(AdaptiveController.load("cartpole").settings.adapter, ReversalAdapter)
    for refused in ({"reversals": None}, {"adapt": False}):
        adapter = AdaptiveController.load("cartpole", **refused).settings.adapter
        assert adapter is as_wired(adapter)
    multitask = AdaptiveController.load("cartpole_multitask").settings.adapter
    assert multitask is as_wired(multitask)
