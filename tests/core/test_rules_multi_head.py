"""The heads of T-MCL: choice and loss against hand-computed cases, and on two kinds of dynamics each gets a head of its own."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.multi_head import MultiHeadBelief, MultiHeadConfig
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_WINDOW, mixed_model, mixed_transitions, point_episode
from tests.core.rules import WINDOW, questions, stirred_adapter

TASKS, HEADS = 2, 3
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, False]])
WEAK, STRONG = 0.3, 1.3


def adapter_with(heads: int = HEADS, **config: float) -> NetworkAdapter:
    return stirred_adapter((MultiHeadConfig(heads=heads, **config),), mixed_model(learned_variance=True))


def single(adapter: NetworkAdapter, head: int) -> NetworkPredictor:
    """The network with one head in place of its last layer, made by hand."""
    rule, base = adapter.rules[0], NetworkPredictor(adapter.model)
    weight = base.parameters["weight_2"] + rule.weight[head] - sum(rule.weight) / len(rule.weight)
    bias = base.parameters["bias_2"] + rule.bias[head] - sum(rule.bias) / len(rule.bias)
    return base.with_parameters({"weight_2": weight, "bias_2": bias})


@torch.no_grad()
def error_of(predictor: NetworkPredictor, recent: Transitions, task: int, forgetting: float) -> float:
    """The recency-weighted error of one robot, transition by transition."""
    predicted = predictor.target(recent.obs, recent.action).mean[:, task].double()
    missed = predicted - predictor.model.normalizer.target(recent.obs, recent.next_obs)[task]
    total = weights = 0.0
    for k in range(WINDOW):
        if recent.valid[task, k]:
            weight = forgetting ** (WINDOW - 1 - k)
            total += weight * float(((1 + missed[:, k] ** 2).sqrt() - 1).mean())
            weights += weight
    return total / weights


@pytest.mark.parametrize("forgetting", [0.6, 1.0])
def test_the_head_with_the_smallest_recent_error_predicts(forgetting: float):
    adapter, asked = adapter_with(forgetting=forgetting), questions(TASKS)
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=VALID)
    with torch.no_grad():
        (belief,) = adapter.infer(recent)
        said = adapter.condition((belief,)).target(*asked)

    for task in range(TASKS):
        expected = [error_of(single(adapter, head), recent, task, forgetting) for head in range(HEADS)]
        best = min(range(HEADS), key=expected.__getitem__)
        torch.testing.assert_close(belief.error[task].double(), torch.tensor(expected).double(), rtol=1e-4, atol=1e-6)
        assert belief.chosen[task].tolist() == [float(head == best) for head in range(HEADS)]
        with torch.no_grad():
            alone = single(adapter, best).target(*asked)
        torch.testing.assert_close(said.mean[:, task], alone.mean[:, task], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(said.log_std[:, task], alone.log_std[:, task], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_prior_predicts_the_mean_of_what_the_heads_predict():
    adapter, asked = adapter_with(), questions(TASKS)

    said = adapter.condition(adapter.prior(TASKS)).target(*asked).mean

    expected = torch.stack([single(adapter, head).target(*asked).mean for head in range(HEADS)]).mean(0)
    torch.testing.assert_close(said, expected, rtol=1e-4, atol=1e-5)


def test_the_heads_that_were_not_chosen_have_a_small_part_in_the_loss():
    rule = adapter_with(relaxation=0.1).rules[0]
    chosen, error = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([[3.0, 1.0, 5.0], [0.0, 0.0, 0.0]])

    terms = rule.loss_terms(MultiHeadBelief(chosen, error), None, None)

    torch.testing.assert_close(terms, {"other_heads": torch.tensor([0.1 * (3 + 5) / 2, 0.0])})


def difference_gradients(trainer: MetaTrainer, head: int) -> Tensor:
    """What the loss of a few windows asks of one head, beside what it asks of all of them alike."""
    rule = trainer.adapter.rules[0]
    trainer.optimizer.zero_grad(set_to_none=True)
    trainer.loss(two_modes(24, 100).sample(16, torch.Generator().manual_seed(0))).mean().backward()
    return rule.weight.grad[head]


@pytest.mark.parametrize(("relaxation", "is_trained"), [(0.0, False), (0.1, True)])
def test_a_head_that_never_wins_is_trained_by_the_relaxation_only(relaxation: float, is_trained: bool):
    trainer = new_trainer(heads=3, relaxation=relaxation)
    with torch.no_grad():
        trainer.adapter.rules[0].bias += torch.tensor([0.0, 30.0, -30.0])[:, None, None, None]
    first, second, third = (difference_gradients(trainer, head) for head in range(3))

    # centring spreads the winner's gradient over the others alike; only a gradient of its own makes two losers differ
    assert (not torch.allclose(second, third, rtol=1e-3, atol=1e-7)) == is_trained
    assert (first - second).abs().max() > 1e-4


@functools.cache
def two_modes(num: int, seed: int) -> EpisodeDataset:
    """Point masses with a weak or a strong motor, in turn."""
    episodes = [point_episode([(WEAK, STRONG)[i % 2]] * 40, seed + i) for i in range(num)]
    return EpisodeDataset(POINT, episodes, episodes[:2], POINT_WINDOW, POINT_OUTER.query)


def new_trainer(heads: int, relaxation: float = 0.05) -> MetaTrainer:
    rules = (MultiHeadConfig(heads=heads, relaxation=relaxation),)
    trainer = MetaTrainer(make_adapter(DynamicsModel(POINT, POINT_MODEL), rules, POINT_WINDOW), POINT_OUTER)
    trainer.adapter.normalizer.fit(two_modes(24, 100).statistics())
    return trainer


@functools.cache
def trained_adapter(heads: int) -> NetworkAdapter:
    trainer = new_trainer(heads)
    trainer.fit(two_modes(24, 100), 200)
    return trainer.adapter


@torch.no_grad()
def beliefs_along(adapter: NetworkAdapter, gains: list[float], seed: int) -> MultiHeadBelief:
    """The belief before each step of an episode, as far as a query follows; the batch axis is time."""
    sampler = WindowSampler([point_episode(gains, seed)], POINT_WINDOW, query=1)
    return adapter.infer(sampler.at(torch.arange(len(sampler))).recent)[0]


@pytest.mark.parametrize("heads", [2, 4])
def test_heads_specialise_and_the_right_one_is_chosen_after_a_change(heads: int):
    adapter = trained_adapter(heads)
    # with more heads than kinds of dynamics, several of them may share a kind
    shares = []
    for gain in (WEAK, STRONG):
        chosen = [beliefs_along(adapter, [gain] * 40, seed).chosen[POINT_WINDOW:] for seed in (900, 901, 902)]
        shares.append(torch.cat(chosen).mean(0))
    assert torch.minimum(*shares).sum() < 0.05
    stands_for_strong = (shares[1] > shares[0]).float()

    chosen = beliefs_along(adapter, [WEAK] * 20 + [STRONG] * 20, seed=910).chosen @ stands_for_strong

    assert (chosen[POINT_WINDOW:20] == 0).all()
    assert (chosen[24:] == 1).all()


def test_the_chosen_head_predicts_better_than_the_prior_and_the_other_kinds_head():
    adapter, windows = trained_adapter(2), two_modes(6, 700).sample(300, torch.Generator().manual_seed(0))
    with torch.no_grad():
        (belief,) = adapter.infer(windows.recent)
        known = windows.recent.valid.all(1)
        other = MultiHeadBelief(1 - belief.chosen, belief.error)
        losses = [
            multi_step_loss(adapter.condition((b,)), windows)[known].mean()
            for b in (belief, *adapter.prior(len(windows.obs)), other)
        ]

    assert losses[0] < 0.4 * losses[1]
    assert losses[1] < losses[2]


def test_a_network_without_hidden_layers_is_refused():
    with pytest.raises(ConfigError, match=r"key 'model\.hidden': empty; multi_head needs at least one hidden layer"):
        make_adapter(mixed_model(hidden=()), (MultiHeadConfig(),), WINDOW)
