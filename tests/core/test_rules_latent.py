"""The latent posterior against Bayes' rule on a grid, its KL against torch's, its samples, and the terms of its loss."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.abstraction import abstraction_loss
from adaptive_mbrl.adaptation.context import ContextConfig
from adaptive_mbrl.adaptation.latent import LatentBelief, LatentConfig, LatentRule, kl_from_prior
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor, TargetPrediction
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import mixed_model, mixed_transitions
from tests.core.rules import WINDOW, questions, stirred_adapter

TASKS, CODE = 3, 4
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, True], [False] * 5 + [True]])


def adapter_with(**settings: object) -> NetworkAdapter:
    return stirred_adapter((LatentConfig(**{"hidden": 16, "code_dim": CODE, **settings}),))


def rule_of(adapter: NetworkAdapter) -> LatentRule:
    (rule,) = adapter.rules
    assert isinstance(rule, LatentRule)
    return rule


def window() -> Transitions:
    return mixed_transitions(TASKS, WINDOW)._replace(valid=VALID)


def doubled(recent: Transitions) -> Transitions:
    return Transitions(*(x.double() for x in recent[:3]), recent.valid)


@torch.no_grad()
def inferred(adapter: NetworkAdapter, recent: Transitions) -> LatentBelief:
    (belief,) = adapter.infer(recent)
    return belief


@torch.no_grad()
def test_the_posterior_is_bayes_rule_on_a_grid():
    """Prior times the density of every valid factor, normalised by summing over a fine grid."""
    adapter, recent = adapter_with().double(), doubled(window())
    means, precisions = rule_of(adapter).factors(recent, NetworkPredictor(adapter.model))
    belief = inferred(adapter, recent)
    grid = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    for task in range(TASKS):
        for entry in range(CODE):
            density = Normal(0.0, 1.0).log_prob(grid)
            for k in range(WINDOW):
                if recent.valid[task, k]:
                    density = density + Normal(means[task, k, entry], precisions[task, k, entry] ** -0.5).log_prob(grid)
            weights = torch.softmax(density, dim=0)
            mean = (weights * grid).sum()
            variance = (weights * (grid - mean).square()).sum()
            torch.testing.assert_close(belief.mean[task, entry], mean, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(1 / belief.precision[task, entry], variance, rtol=1e-9, atol=1e-9)


def test_the_kl_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(TASKS, CODE, generator=generator, dtype=torch.float64)
    precision = torch.randn(TASKS, CODE, generator=generator, dtype=torch.float64).exp()

    expected = kl_divergence(Normal(mean, precision**-0.5), Normal(0.0, 1.0)).sum(-1)

    torch.testing.assert_close(kl_from_prior(LatentBelief(mean, precision)), expected)
    assert not kl_from_prior(LatentBelief(torch.zeros(2, CODE), torch.ones(2, CODE))).any()


def test_without_a_valid_transition_the_posterior_is_the_prior_exactly():
    adapter = adapter_with()
    belief = inferred(adapter, window()._replace(valid=torch.zeros_like(VALID)))

    for value, wanted in zip(belief, (torch.zeros(TASKS, CODE), torch.ones(TASKS, CODE)), strict=True):
        assert torch.equal(value, wanted)
    assert all(torch.equal(a, b) for a, b in zip(adapter.prior(TASKS)[0], belief, strict=True))


def test_the_order_of_the_window_means_nothing():
    adapter, recent, order = adapter_with().double(), doubled(window()), torch.tensor([4, 1, 5, 0, 3, 2])

    for a, b in zip(inferred(adapter, Transitions(*(x[:, order] for x in recent))), inferred(adapter, recent), strict=True):
        torch.testing.assert_close(a, b)


def test_every_further_transition_makes_the_posterior_narrower():
    adapter, recent = adapter_with(), mixed_transitions(TASKS, WINDOW)
    precisions = [
        inferred(adapter, recent._replace(valid=(torch.arange(WINDOW) < known).expand(TASKS, -1))).precision
        for known in range(WINDOW + 1)
    ]

    for fewer, more in itertools.pairwise(precisions):
        assert (more > fewer).all()


def test_samples_are_the_dynamics_under_codes_of_the_posterior():
    """Mean and spread of many samples' codes, and each sample's futures under every member."""
    samples = 3
    adapter, (obs, action) = adapter_with(samples=samples), questions(TASKS)
    belief = inferred(adapter, window())
    noise = adapter.draw_noise((belief,), torch.Generator().manual_seed(0))
    assert noise is not None
    candidates = action[:, :2, None].expand(-1, -1, 4, -1)
    with torch.no_grad():
        futures = adapter.condition((belief,), noise).roll_out(obs[:, 0], candidates).next_obs
        for s in range(samples):
            code = belief.mean + noise[s] / belief.precision.sqrt()
            alone = rule_of(adapter).modulation(NetworkPredictor(adapter.model), code).roll_out(obs[:, 0], candidates).next_obs
            torch.testing.assert_close(futures[2 * s : 2 * s + 2], alone)
    assert len(futures) == samples * 2

    codes = belief.at(torch.randn(20000, 1, CODE, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(codes.mean(0), belief.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(codes.std(0), belief.precision.rsqrt(), rtol=0.03, atol=0)


def query() -> Windows:
    following = mixed_transitions(TASKS, WINDOW, seed=4)
    obs = torch.cat([following.obs[:, :1], following.next_obs[:, :3]], dim=1)
    return Windows(window(), obs, following.action[:, :3], torch.arange(TASKS))


def pseudo_huber(error: Tensor) -> Tensor:
    return (1 + error**2).sqrt() - 1


@torch.no_grad()
def test_the_loss_terms_are_those_written_out():
    adapter, windows = adapter_with(kl_weight=0.25, backward=0.5), query()
    rule, normalizer, belief = rule_of(adapter), adapter.normalizer, inferred(adapter, windows.recent)

    terms = adapter.loss_terms((belief,), windows)

    torch.testing.assert_close(terms["0.kl"], 0.25 * kl_from_prior(belief))
    code = belief.at(torch.randn(TASKS, CODE, generator=torch.Generator().manual_seed(0)))
    predictor = rule.modulation(NetworkPredictor(adapter.model), code)
    before, after = windows.obs[:, :-1], windows.obs[:, 1:]
    predicted = predictor.target(before, windows.action).mean
    expected = torch.stack([pseudo_huber(p - normalizer.target(before, after)).mean((1, 2)) for p in predicted]).mean(0)
    torch.testing.assert_close(terms["0.sample"], expected)
    assert set(terms) == {"0.kl", "0.sample", "0.backward"}


@pytest.mark.parametrize("kind", [ContextConfig, LatentConfig])
@torch.no_grad()
def test_the_backward_loss_is_about_the_way_from_the_next_observation_to_the_one_before(kind: type):
    """With a model that always says "it did not move", the error is the step itself, angles on their circle."""
    adapter, windows = stirred_adapter((kind(hidden=16, code_dim=CODE, backward=0.5),)), query()
    # from just below pi to just above -pi: a small step
    windows.obs[:, 0, 1], windows.obs[:, 1, 1] = math.pi - 0.05, -math.pi + 0.05
    last = adapter.rules[0].backward_model.net[-1]
    for parameter in last.parameters():
        parameter.zero_()

    loss = adapter.loss_terms(adapter.infer(windows.recent), windows)["0.backward"]

    way = windows.obs[:, :-1] - windows.obs[:, 1:]
    way[..., 1] = torch.atan2(way[..., 1].sin(), way[..., 1].cos())
    assert way[:, 0, 1].abs().max() < 0.11
    torch.testing.assert_close(loss, 0.5 * pseudo_huber(way / adapter.normalizer.target_std).mean((1, 2)))


@pytest.mark.parametrize("kind", [ContextConfig, LatentConfig])
def test_the_backward_loss_teaches_the_encoder(kind: type):
    adapter, windows = stirred_adapter((kind(hidden=16, code_dim=CODE, backward=0.5),)), query()

    adapter.loss_terms(adapter.infer(windows.recent), windows)["0.backward"].sum().backward()

    assert all(p.grad is not None and p.grad.any() for p in adapter.rules[0].encoder.parameters())


def test_without_its_weight_there_is_no_backward_model():
    for kind in (ContextConfig, LatentConfig):
        adapter, windows = stirred_adapter((kind(hidden=16, code_dim=CODE),)), query()
        assert not any("backward" in name for name in adapter.state_dict())
        assert "0.backward" not in adapter.loss_terms(adapter.infer(windows.recent), windows)


def test_the_loss_of_a_window_is_the_same_whenever_it_is_asked_for():
    """A step of the outer loop can be replayed, and nobody else's random numbers are used up; each row has noise of its own."""
    trainer, windows = MetaTrainer(adapter_with(), OuterConfig()), query()
    trainer.adapter.train()
    state = torch.random.get_rng_state()
    first = trainer.loss(windows)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(1)

    assert torch.equal(trainer.loss(windows), first)
    alike = Windows(Transitions(*(x[:1].expand_as(x) for x in windows.recent)), *(x[:1].expand_as(x) for x in windows[1:]))
    belief = trainer.adapter.infer(alike.recent)
    assert len(trainer.adapter.loss_terms(belief, alike)["0.sample"].unique()) == TASKS


def test_the_sample_teaches_the_posterior_how_certain_to_be():
    """Where the code matters, its loss wants more certainty; where the code means nothing, it has no opinion."""
    adapter = stirred_adapter((LatentConfig(hidden=16, code_dim=CODE),), mixed_model(members=1))
    windows = query()
    rule = rule_of(adapter)
    with torch.no_grad():
        for head in rule.modulation.heads.values():
            assert isinstance(head, nn.Linear)
            head.weight[:, 2:] = 0
    mean, log_precision = torch.zeros(TASKS, CODE), torch.full((TASKS, CODE), -2.0, requires_grad=True)

    # the model's own predictions are the truth, so that the mean is right and every deviation costs
    own = NetworkPredictor(adapter.model).target(windows.obs[:, :1], windows.action[:, :1]).mean.mean(0).detach()
    true = adapter.normalizer.affine().advance(windows.obs[:, :1], own)
    exact = Windows(windows.recent, torch.cat([windows.obs[:, :1], true], dim=1), windows.action[:, :1], windows.task)
    adapter.loss_terms((LatentBelief(mean, log_precision.exp()),), exact)["0.sample"].sum().backward()

    assert log_precision.grad is not None
    assert (log_precision.grad[:, :2].sum(1) < 0).all()
    assert not log_precision.grad[:, 2:].any()


class Shifting:
    """Dynamics that say where each particle is at each step: where it was, plus the code times a number of its own."""

    scales = torch.tensor([[1.0, 2.0], [3.0, 0.0]], dtype=torch.float64)[:, None, :, None]

    def __init__(self, code: Tensor) -> None:
        self.code = code

    def target(self, obs: Tensor, action: Tensor) -> TargetPrediction:
        mean = obs + self.scales * self.code[:, None]
        return TargetPrediction(mean, torch.zeros_like(mean), mean)


def three_windows() -> Windows:
    generator = torch.Generator().manual_seed(0)
    obs = torch.randn(3, 3, 2, generator=generator, dtype=torch.float64)
    return Windows(window(), obs, torch.zeros(3, 2, 1, dtype=torch.float64), torch.arange(3))


def test_the_abstraction_loss_and_its_derivative_by_hand():
    """Three codes in a ring. The scales' mean is 1.5, so that codes 5 apart predict 7.5 apart; the third pair is equal."""
    codes = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)

    loss = abstraction_loss(codes, Shifting, three_windows())
    loss.sum().backward()

    torch.testing.assert_close(loss.detach(), torch.tensor([6.25, 6.25, 0.0], dtype=torch.float64))
    # 2 (5 - 7.5) along the direction between a pair, the predictions being constant; two codes that are equal do not move
    expected = torch.tensor([[3.0, 4.0], [-6.0, -8.0], [3.0, 4.0]], dtype=torch.float64)
    torch.testing.assert_close(codes.grad, expected)


@pytest.mark.parametrize(("situations", "per_situation"), [(2, 1), (2, 3), (3, 4), (5, 2), (4, 4)])
def test_a_pair_is_of_two_situations_where_their_windows_lie_one_after_another(situations: int, per_situation: int):
    codes = torch.arange(situations, dtype=torch.float64).repeat_interleave(per_situation)[:, None]
    windows = query()._replace(obs=torch.zeros(len(codes), 3, 2), action=torch.zeros(len(codes), 2, 1))

    assert (abstraction_loss(codes, Shifting, windows) > 0.1).all()


def test_a_window_that_is_alone_has_no_abstraction_loss():
    code = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    windows = Windows(*three_windows()[:1], *(x[:1] for x in three_windows()[1:]))

    loss = abstraction_loss(code, Shifting, windows)
    loss.sum().backward()

    assert not loss.any()
    assert code.grad is not None
    assert not code.grad.any()


@torch.no_grad()
def test_the_abstraction_term_is_that_of_the_rule_written_out():
    adapter = adapter_with(abstraction=0.3)
    windows, rule = query(), rule_of(adapter)
    codes = inferred(adapter, windows.recent).mean

    term = adapter.loss_terms(adapter.infer(windows.recent), windows)["0.abstraction"]

    for i, j in ((0, 1), (1, 2), (2, 0)):
        distances = []
        for h in range(windows.action.shape[1]):
            obs, action = windows.obs[i : i + 1, h : h + 1], windows.action[i : i + 1, h : h + 1]
            means = [rule.modulation(NetworkPredictor(adapter.model), codes[k : k + 1]).target(obs, action).mean for k in (i, j)]
            distances += [(a - b).norm() for a, b in zip(*means, strict=True)]
        expected = 0.3 * ((codes[i] - codes[j]).norm() - sum(distances) / len(distances)) ** 2
        torch.testing.assert_close(term[i], expected)


def test_the_abstraction_loss_teaches_the_encoder_and_nothing_else():
    adapter, windows = adapter_with(abstraction=0.5), query()

    adapter.loss_terms(adapter.infer(windows.recent), windows)["0.abstraction"].sum().backward()

    trained = {name for name, p in adapter.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[2] for name in trained} == {"encoder", "factor_mean", "factor_precision"}
    assert all(p.grad is None for p in (*adapter.model.parameters(), *rule_of(adapter).modulation.parameters()))


def test_without_its_weight_the_abstraction_changes_nothing():
    with_it, without = adapter_with(abstraction=0.5), adapter_with()
    stored, windows = without.state_dict(), query()
    assert with_it.state_dict().keys() == stored.keys()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in with_it.state_dict().items())

    terms = with_it.loss_terms(with_it.infer(windows.recent), windows)
    expected = without.loss_terms(without.infer(windows.recent), windows)

    assert terms.pop("0.abstraction").any()
    assert terms.keys() == expected.keys() == {"0.sample", "0.kl"}
    assert all(torch.equal(term, expected[name]) for name, term in terms.items())
