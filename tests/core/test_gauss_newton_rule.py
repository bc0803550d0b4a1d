"""Gauss-Newton steps against brute force: autograd's Jacobian, dense solves, and the exact posterior of a linear model."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.gauss_newton import GaussNewtonBelief, GaussNewtonConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.dynamics.network import MODULATION
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, finite_difference, mixed_model, mixed_transitions, query_windows
from tests.core.rules import stirred_adapter

TASKS, WINDOW, MEMBERS = 2, 5, 2
LONGEST = 64  # window of the adapters: more than any test here gives them
VALID = torch.tensor([[True] * WINDOW, [False, True, False, True, True]])


def adapter_with(steps: int = 1, before: tuple = (), prior_std: float = 0.5, **model: object) -> NetworkAdapter:
    """In float64, with standard deviations of their own for every parameter and channel."""
    rules = (*before, GaussNewtonConfig(steps=steps, prior_std=prior_std))
    return stirred_adapter(rules, mixed_model(**model), LONGEST).double()


def window(seed: int = 0) -> Transitions:
    recent = mixed_transitions(TASKS, WINDOW, seed)
    return Transitions(*(x.double() for x in recent[:3]), VALID)


def modulation_of(predictor: NetworkPredictor) -> Tensor:
    """(P, D)."""
    return torch.cat([predictor.parameters[name][:, 0] for name in MODULATION], dim=-1).detach()


class Member:
    """One member's errors on one robot's valid transitions, as a function of its modulation (D,)."""

    def __init__(self, adapter: NetworkAdapter, recent: Transitions, member: int, task: int) -> None:
        self.base, self.member = NetworkPredictor(adapter.model), member
        self.start = modulation_of(self.base)
        self.recent = Transitions(*(x[task : task + 1, recent.valid[task]] for x in recent))
        rule = adapter.rules[-1]
        self.noise_std = rule.log_noise_std.detach().exp()
        self.prior_std = rule.log_prior_std[member].detach().exp()

    def error(self, moved: Tensor) -> Tensor:
        """What is missed, in stds of the noise, (K obs_dim,)."""
        rows = torch.cat([self.start[: self.member], (self.start[self.member] + moved)[None], self.start[self.member + 1 :]])
        gain, context = rows[:, None].split([MIXED.action_dim, rows.shape[1] - MIXED.action_dim], dim=-1)
        predictor = self.base.with_parameters({"action_gain": gain, "context": context})
        target = self.base.model.normalizer.target(self.recent.obs, self.recent.next_obs)
        missed = target - predictor.target(self.recent.obs, self.recent.action).mean[self.member]
        return (missed / self.noise_std).flatten()

    def log_posterior(self, moved: Tensor) -> Tensor:
        """Up to a constant."""
        return -0.5 * (self.error(moved).square().sum() + (moved / self.prior_std).square().sum())

    def step(self, moved: Tensor) -> tuple[Tensor, Tensor]:
        """One textbook step, and the inverse of its precision."""
        slope = -torch.autograd.functional.jacobian(self.error, moved)
        prior = torch.diag(self.prior_std**-2)
        precision = slope.T @ slope + prior
        downhill = slope.T @ self.error(moved).detach() - prior @ moved
        return moved + torch.linalg.solve(precision, downhill), torch.linalg.inv(precision)


@pytest.mark.parametrize("activation", ["silu", "relu", "tanh"])
@pytest.mark.parametrize(
    ("before", "hidden"),
    [((), (7, 5)), ((), (6,)), ((), ()), ((GradientConfig(parameters="all", steps=1, learning_rate=0.02),), (7, 5))],
    ids=["two_layers", "one_layer", "no_layer", "weights_of_each_task"],
)
def test_the_linearised_network_has_autograds_jacobian(activation: str, before: tuple, hidden: tuple):
    adapter = adapter_with(before=before, activation=activation, hidden=hidden, learned_variance=True)
    recent = window()
    with torch.no_grad():
        base = NetworkPredictor(adapter.model)
        if before:
            (rule, _) = adapter.rules
            base = rule.condition(base, rule.infer(recent, base))
        parameters = {name: base.parameters[name] for name in MODULATION}
        gain, context = (value if value.dim() == 4 else value[:, None].repeat(1, TASKS, 1, 1) for value in parameters.values())

    def predict(gain: Tensor, context: Tensor) -> Tensor:
        return base.with_parameters({"action_gain": gain, "context": context}).target(recent.obs, recent.action).mean

    mean, jacobian = base.linearised(recent.obs, recent.action)

    torch.testing.assert_close(mean, predict(gain, context), rtol=1e-12, atol=1e-12)
    expected = torch.cat([j[..., 0, :] for j in torch.autograd.functional.jacobian(predict, (gain, context))], dim=-1)
    for member in range(MEMBERS):
        for task in range(TASKS):
            own = expected[member, task, :, :, member, task]
            torch.testing.assert_close(jacobian[member, task], own.transpose(1, 2), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("model", [{}, {"learned_variance": True}, {"context_dim": 0}], ids=str)
def test_the_belief_is_that_of_textbook_steps(steps: int, model: dict):
    adapter, recent = adapter_with(steps, **model), window()

    (belief,) = adapter.infer(recent)

    for member in range(MEMBERS):
        for task in range(TASKS):
            alone = Member(adapter, recent, member, task)
            moved = torch.zeros_like(alone.prior_std)
            for _ in range(steps):
                moved, covariance = alone.step(moved)
            torch.testing.assert_close(belief.moved[task, member], moved, rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(belief.covariance[task, member], covariance, rtol=1e-9, atol=1e-11)
            assert moved.abs().max() > 0.05


@torch.no_grad()
def test_on_a_linear_model_one_step_is_the_exact_posterior():
    """Without a hidden layer the prediction is linear in the modulation; a joint Gaussian, conditioned on what was seen."""
    adapter, recent = adapter_with(1, hidden=()), window()

    (belief,) = adapter.infer(recent)

    for member in range(MEMBERS):
        for task in range(TASKS):
            alone = Member(adapter, recent, member, task)
            nowhere = torch.zeros_like(alone.prior_std)
            unit = torch.eye(len(nowhere), dtype=torch.float64)
            design = torch.stack([alone.error(nowhere) - alone.error(direction) for direction in unit], dim=-1)
            prior = torch.diag(alone.prior_std**2)
            gain = prior @ design.T @ torch.linalg.inv(design @ prior @ design.T + torch.eye(len(design), dtype=torch.float64))
            torch.testing.assert_close(belief.moved[task, member], gain @ alone.error(nowhere), rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(belief.covariance[task, member], prior - gain @ design @ prior, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(adapter_with(4, hidden=()).infer(recent)[0], belief, rtol=1e-9, atol=1e-11)


@torch.no_grad()
def driven(adapter: NetworkAdapter, lost: Tensor, noise_std: float, number: int = 12) -> Transitions:
    """Transitions of two robots that move as the first member says with other gains (2, action_dim), and noise."""
    recent = mixed_transitions(2, number)
    recent = Transitions(*(x.double() for x in recent[:3]), recent.valid)
    base = NetworkPredictor(adapter.model)
    broken = base.with_parameters({"action_gain": base.parameters["action_gain"][:, None] + lost[None, :, None]})
    noise = torch.randn(recent.obs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = broken.target(recent.obs, recent.action).mean[0] + noise_std * noise
    return recent._replace(next_obs=adapter.normalizer.affine().advance(recent.obs, target))


LOST = torch.tensor([[-1.0, 0.0], [0.3, -0.6]], dtype=torch.float64)


def test_many_steps_lead_to_the_most_probable_modulation():
    adapter = adapter_with(20)
    recent = driven(adapter, LOST, noise_std=0.1)

    (belief,) = adapter.infer(recent)

    for task in range(TASKS):
        alone, moved = Member(adapter, recent, 0, task), belief.moved[task, 0].detach().requires_grad_()
        best = alone.log_posterior(moved)
        (slope,) = torch.autograd.grad(best, moved)
        assert slope.abs().max() < 1e-6
        assert best > alone.log_posterior(torch.zeros_like(moved))


@torch.no_grad()
def test_the_covariance_is_the_priors_without_data_and_shrinks_with_them():
    adapter, recent = adapter_with(), window()
    prior = adapter.prior(TASKS)[0]

    first = [(torch.arange(WINDOW) < k).expand(TASKS, -1) for k in range(WINDOW + 1)]
    beliefs = [adapter.infer(recent._replace(valid=valid))[0] for valid in first]

    assert not beliefs[0].moved.any()
    torch.testing.assert_close(beliefs[0], prior)
    for before, after in itertools.pairwise(beliefs):
        # what is known is never forgotten: the difference is positive semidefinite, and positive for the gains
        assert torch.linalg.eigvalsh(before.covariance - after.covariance).min() > -1e-12
        variances = [belief.covariance.diagonal(dim1=-2, dim2=-1)[..., : MIXED.action_dim] for belief in (before, after)]
        assert (variances[1] < variances[0]).all()


def far(belief: GaussNewtonBelief) -> Tensor:
    """Distance from the base, (B, P)."""
    return belief.moved.norm(dim=-1)


@torch.no_grad()
def test_a_narrower_prior_and_louder_noise_keep_the_belief_nearer():
    recent = window()
    wide, narrow = adapter_with(prior_std=0.5), adapter_with(prior_std=0.01)
    loud = adapter_with(prior_std=0.5)
    loud.rules[0].log_noise_std += 4.0

    assert (far(narrow.infer(recent)[0]) < 0.1 * far(wide.infer(recent)[0])).all()
    assert (far(loud.infer(recent)[0]) < 0.1 * far(wide.infer(recent)[0])).all()


@torch.no_grad()
def test_a_broken_motor_is_diagnosed_with_its_uncertainty():
    """Robots that move as the model says with other gains: mean and standard deviation of the belief tell which."""
    adapter = adapter_with(steps=5, members=1, context_dim=0, prior_std=1.0)
    adapter.rules[0].log_noise_std.fill_(math.log(0.01))
    adapter.rules[0].log_prior_std.zero_()

    (belief,) = adapter.infer(driven(adapter, LOST, noise_std=0.01))

    std = belief.covariance[:, 0].diagonal(dim1=-2, dim2=-1).sqrt()
    assert ((belief.moved[:, 0] - LOST).abs() < 4 * std).all()
    assert (std < 0.1).all()


@pytest.mark.parametrize("steps", [1, 2])
def test_the_outer_gradient_equals_finite_differences(steps: int):
    """Through the solve and the Jacobian, of every meta-parameter."""
    adapter, windows = adapter_with(steps), query_windows()

    def loss() -> Tensor:
        return multi_step_loss(adapter.condition(adapter.infer(windows.recent)), windows).mean()

    named = dict(adapter.named_parameters())
    gradient = dict(zip(named, torch.autograd.grad(loss(), list(named.values())), strict=True))

    for name, parameter in named.items():
        for index in range(0, parameter.numel(), max(1, parameter.numel() // 4)):
            with torch.no_grad():
                measured = finite_difference(loss, parameter, index)
            assert gradient[name].view(-1)[index].item() == pytest.approx(measured, rel=1e-5, abs=1e-8), f"{name}[{index}]"
