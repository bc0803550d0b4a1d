"""Embeddings of situations: the most likely one is picked, refined by gradient, and trained by its own situation."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.adaptation.embedding import EmbeddingConfig, EmbeddingRule
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_WINDOW, mixed_model, mixed_transitions, point_episode
from tests.core.rules import RULES, WINDOW, row, stirred_adapter

GAINS = (0.3, 0.9, 1.5)
TASKS = 4
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, True], [False] * 5 + [True], [False] * WINDOW])


def episodes_of(gains: tuple[float, ...], seed: int, each: int = 4):
    """Several episodes of each gain, which are one situation."""
    made = [(gain, point_episode([gain] * 40, seed + i)) for i, gain in enumerate(gains * each)]
    return [dataclasses.replace(episode, tags={"situation": gain}) for gain, episode in made]


@functools.cache
def trained(steps: int = 0) -> NetworkAdapter:
    """Three gains, three embeddings."""
    config = EmbeddingConfig(count=3, code_dim=2, steps=steps)
    trainer = MetaTrainer(make_adapter(DynamicsModel(POINT, POINT_MODEL), (config,), POINT_WINDOW), POINT_OUTER)
    with torch.enable_grad():
        trainer.fit(EpisodeDataset(POINT, episodes_of(GAINS, 0, 12), [], POINT_WINDOW, POINT_OUTER.query), 300)
    return trainer.adapter


def rule_of(adapter: NetworkAdapter) -> EmbeddingRule:
    (rule,) = adapter.rules
    return rule


def stirred(steps: int = 1, **settings: object) -> NetworkAdapter:
    return stirred_adapter((EmbeddingConfig(**{"count": 5, "code_dim": 3, "steps": steps, **settings}),))


def recent_transitions() -> Transitions:
    return mixed_transitions(TASKS, WINDOW)._replace(valid=VALID)


def all_windows(episodes) -> Windows:
    sampler = WindowSampler(episodes, POINT_WINDOW, POINT_OUTER.query)
    return sampler.at(torch.arange(len(sampler)))


@torch.no_grad()
def test_online_the_embedding_of_the_situation_is_picked_without_being_told():
    """From full windows of new episodes of the same three gains."""
    adapter, windows = trained(), all_windows(episodes_of(GAINS, 900))
    full = windows.recent.valid.all(1)

    (belief,) = adapter.infer(windows.recent)

    found = (belief.code[:, None] == rule_of(adapter).embeddings).all(-1)[full]
    right = torch.nn.functional.one_hot(windows.task[full], len(GAINS)).bool()
    assert (found == right).all(1).float().mean() > 0.9


@torch.no_grad()
@pytest.mark.parametrize("steps", [0, 1])
def test_what_is_picked_predicts_better_than_the_prior(steps: int):
    adapter, windows = trained(steps), all_windows(episodes_of(GAINS, 900))

    adapted, prior = (
        error(adapter, belief, windows) for belief in (adapter.infer(windows.recent), adapter.prior(len(windows.obs)))
    )

    assert adapted < 0.3 * prior


@torch.no_grad()
def test_gradient_steps_reach_a_gain_between_those_that_were_trained():
    windows = all_windows(episodes_of((0.6, 1.2), 700))
    adapter = trained()
    few, many = make_steps(adapter, 0), make_steps(adapter, 5)

    picked, refined = (error(one, one.infer(windows.recent), windows) for one in (few, many))

    assert refined < 0.8 * picked


def error(adapter: NetworkAdapter, belief: tuple, windows: Windows) -> float:
    """Median error along the query; some episodes leave the range of the training's positions, which is not the subject here."""
    return query_errors(adapter.condition(belief), windows).abs().median().item()


def make_steps(adapter: NetworkAdapter, steps: int) -> NetworkAdapter:
    """The same weights with another number of gradient steps."""
    config = dataclasses.replace(rule_of(adapter).config, steps=steps)
    other = make_adapter(adapter.model, (config,), POINT_WINDOW)
    other.load_state_dict(adapter.state_dict())
    return other


@torch.no_grad()
def test_the_errors_are_those_of_one_candidate_on_one_window_at_a_time():
    adapter, recent = stirred(), recent_transitions()
    rule, base = rule_of(adapter), NetworkPredictor(adapter.model)
    found = rule.errors(rule.embeddings, recent, base)

    for b in range(TASKS):
        for c in range(len(rule.embeddings)):
            alone = row(recent, b)
            predicted = rule.modulation(base, rule.embeddings[c : c + 1]).target(alone.obs, alone.action).mean
            squared = (predicted - adapter.normalizer.target(alone.obs, alone.next_obs)).square().sum(-1).mean(0)[0]
            valid = alone.valid[0]
            expected = squared[valid].mean() if valid.any() else torch.zeros(())
            torch.testing.assert_close(found[b, c], expected)


@torch.no_grad()
def test_candidates_are_judged_under_what_the_rules_before_have_made_of_each_robot():
    """A base that has a value of its own for each robot gives each robot its own errors."""
    adapter, recent = stirred(), mixed_transitions(TASKS, WINDOW)
    rule, net = rule_of(adapter), adapter.model.net
    gains = net.action_gain[:, None] * torch.linspace(0.2, 2.0, TASKS)[None, :, None, None]
    together = rule.errors(rule.embeddings, recent, NetworkPredictor(adapter.model).with_parameters({"action_gain": gains}))

    for b in range(TASKS):
        own = NetworkPredictor(adapter.model).with_parameters({"action_gain": gains[:, b : b + 1]})
        torch.testing.assert_close(together[b : b + 1], rule.errors(rule.embeddings, row(recent, b), own))


@torch.no_grad()
def test_the_prior_is_a_candidate_and_wins_where_nothing_is_known():
    adapter, recent = stirred(steps=0), recent_transitions()
    rule, base = rule_of(adapter), NetworkPredictor(adapter.model)
    candidates = torch.cat([torch.zeros(1, 3), rule.embeddings])

    (belief,) = adapter.infer(recent)

    best = rule.errors(candidates, recent, base).argmin(1)
    assert torch.equal(belief.code, candidates[best])
    assert belief.code[3].abs().max() == 0
    # a robot that moves as the prior says is believed to be the prior
    plain = make_adapter(mixed_model(members=1), (EmbeddingConfig(count=5, code_dim=3, steps=0),), WINDOW)
    as_foreseen = plain.condition(plain.prior(TASKS)).predict(recent.obs, recent.action).mean
    (belief,) = plain.infer(recent._replace(next_obs=as_foreseen))
    assert belief.code.abs().max() == 0


def test_a_gradient_step_goes_down_the_error_of_the_window():
    """One step against a finite difference of the error, in float64."""
    adapter, recent = stirred(steps=1, learning_rate=0.05).double(), recent_transitions()
    recent = Transitions(*(x.double() for x in recent[:3]), recent.valid)
    rule, base = rule_of(adapter), NetworkPredictor(adapter.model)
    with torch.no_grad():
        (refined,) = adapter.infer(recent)
        candidates = torch.cat([torch.zeros(1, 3), rule.embeddings])
        start = candidates[rule.errors(candidates, recent, base).argmin(1)]
        for b in range(TASKS):
            for d in range(3):
                step = 1e-6 * torch.nn.functional.one_hot(torch.tensor(d), 3).double()
                ends = torch.stack([start[b] + step, start[b] - step])
                up, down = rule.errors(ends, row(recent, b), base)[0]
                slope = (up - down) / 2e-6
                torch.testing.assert_close(refined.code[b, d], start[b, d] - 0.05 * slope, rtol=1e-5, atol=1e-8)


def training_windows(task: list[int]) -> Windows:
    recent, ahead = mixed_transitions(len(task), WINDOW), mixed_transitions(len(task), 3, seed=4)
    return Windows(recent, ahead.obs, ahead.action[:, :2], torch.tensor(task))


def test_in_training_a_window_trains_the_embedding_of_its_own_situation():
    """More situations than embeddings share them by their number."""
    adapter = stirred(prior_share=0.0)
    windows = training_windows([1, 8, 6])
    loss = adapter.condition(adapter.infer_in_training(windows)).predict(windows.obs[:, :-1], windows.action).mean.square().sum()
    loss.backward()

    moved = rule_of(adapter).embeddings.grad.abs().amax(1) > 0
    assert moved.tolist() == [False, True, False, True, False]
    with torch.no_grad():
        first, _, same = adapter.infer_in_training(training_windows([1, 8, 6]))[0].code
        alone = adapter.infer_in_training(training_windows([6, 8, 6]))[0].code
    assert torch.equal(alone[0], first), "situations 1 and 6 have the same embedding, and these windows are the same"
    assert torch.equal(alone[2], same)


def test_a_share_of_the_training_windows_is_predicted_under_the_prior():
    adapter = stirred(prior_share=0.25)
    windows = training_windows([1] * 9)
    blind = windows.recent.valid.clone()
    blind[2] = False
    with torch.no_grad():
        (belief,) = adapter.infer_in_training(windows._replace(recent=windows.recent._replace(valid=blind)))

    assert (belief.code.abs().amax(1) == 0).tolist() == [True, False, True, False, True, False, False, False, True]


@pytest.mark.parametrize(("share", "num", "priors"), [(0.4, 40, 16), (0.35, 40, 14), (0.1, 40, 4), (0.1, 8, 1), (0.5, 9, 5)])
def test_the_share_of_windows_under_the_prior_is_the_one_that_was_asked_for(share: float, num: int, priors: int):
    """In the whole meta-batch and, up to one window, among any eight that follow one another, as CVaR lays situations out."""
    with torch.no_grad():
        (belief,) = stirred(prior_share=share).infer_in_training(training_windows([1] * num))
    under_prior = belief.code.abs().amax(1) == 0

    assert under_prior.sum() == priors
    for eight in under_prior.unfold(0, 8, 1):
        assert abs(eight.sum() - 8 * share) < 1


def test_the_query_has_no_influence_on_the_belief_that_predicts_it():
    adapter, windows = stirred(), training_windows([0, 1, 2])
    with torch.no_grad():
        (belief,), (other,) = (
            adapter.infer_in_training(w) for w in (windows, windows._replace(obs=windows.obs + 5, action=windows.action - 1))
        )

    assert torch.equal(belief.code, other.code)


@pytest.mark.parametrize("name", [name for name in RULES if name != "embedding"])
def test_other_rules_believe_in_training_what_they_believe_online(name: str):
    adapter, windows = stirred_adapter(RULES[name]), training_windows([0, 1, 2])
    with torch.no_grad():
        beliefs = adapter.infer_in_training(windows), adapter.infer(windows.recent)

    assert all(torch.equal(a, b) for a, b in zip(*map(tensors_of, beliefs), strict=True))
