"""MOLe's bank: the Chinese restaurant prior and each step against hand-computed cases, and recall of what returns."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.gradient import GradientConfig, GradientRule
from adaptive_mbrl.adaptation.mixture import MixtureBelief, MixtureConfig
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import (
    POINT,
    POINT_MODEL,
    POINT_OUTER,
    POINT_WINDOW,
    mixed_model,
    mixed_transitions,
    point_episode,
    point_episodes,
)
from tests.core.rules import WINDOW, answers, questions, stirred_adapter

TASKS = 2


def adapter_with(**config: float) -> NetworkAdapter:
    return stirred_adapter((MixtureConfig(**config),), mixed_model())


def bank(adapter: NetworkAdapter, counts: list[float], spread: float = 0.0) -> MixtureBelief:
    """A bank with these counts, for all robots; displacements are random with the given size, zero in free slots."""
    (empty,), generator = adapter.prior(TASKS), torch.Generator().manual_seed(2)
    count = torch.tensor(counts).expand(TASKS, -1).clone()
    used = (count > 0)[..., None, None, None]
    moved = tuple(torch.where(used, spread * torch.randn(m.shape, generator=generator), 0.0) for m in empty.moved)
    evidence = -torch.rand(empty.evidence.shape, generator=generator) if spread else empty.evidence
    return MixtureBelief(moved, count, evidence, empty.responsibility)


@torch.no_grad()
def after_one(adapter: NetworkAdapter, belief: MixtureBelief, recent: Transitions) -> MixtureBelief:
    return adapter.update((belief,), recent)[0]


@pytest.mark.parametrize(
    ("concentration", "counts", "shares", "expected"),
    [
        (4.0, [5.0, 2.0, 0.0], [5 / 7, 2 / 7, 0.0], [5 + 5 / 7, 2 + 2 / 7, 0.0]),
        (6.0, [5.0, 2.0, 0.0], [5 / 13, 2 / 13, 6 / 13], [5 + 5 / 13, 2 + 2 / 13, 6 / 13]),
        (6.0, [5.0, 2.0, 3.0], [5 / 14, 6 / 14, 3 / 14], [5 + 5 / 14, 6 / 14, 3 + 3 / 14]),
        (0.0, [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        (0.0, [0.5, 0.0, 0.0], [1.0, 0.0, 0.0], [1.5, 0.0, 0.0]),
    ],
    ids=["known", "new", "new in place of the least used", "first", "never a second"],
)
def test_where_all_explain_alike_the_chinese_restaurant_decides(
    concentration: float, counts: list[float], shares: list[float], expected: list[float]
):
    adapter = adapter_with(max_components=3, concentration=concentration)

    belief = after_one(adapter, bank(adapter, counts), mixed_transitions(TASKS, WINDOW))

    torch.testing.assert_close(belief.responsibility, torch.tensor(shares).expand(TASKS, -1))
    torch.testing.assert_close(belief.counts, torch.tensor(expected).expand(TASKS, -1))


@pytest.mark.parametrize("concentration", [1e-6, 1e6])
def test_responsibilities_are_posterior_probabilities(concentration: float):
    adapter = adapter_with(max_components=3, concentration=concentration, forgetting=0.6, noise_std=0.8)
    before, recent = bank(adapter, [4.0, 1.0, 2.0], spread=0.5), mixed_transitions(TASKS, WINDOW)

    belief = after_one(adapter, before, recent)

    newest = Transitions(*(x[:, -1:] for x in recent))
    target = adapter.normalizer.target(newest.obs, newest.next_obs)[:, 0]
    for task in range(TASKS):
        log_weight = []
        for i, prior in enumerate([4.0, 1.0, 2.0, concentration]):
            shown = torch.eye(3)[i].expand(TASKS, -1) if i < 3 else None
            of_one = (before._replace(responsibility=shown),) if i < 3 else adapter.prior(TASKS)
            with torch.no_grad():
                missed = adapter.condition(of_one).target(newest.obs, newest.action).mean[:, task, 0] - target[task]
            log_likelihood = -float(((1 + (missed / 0.8) ** 2).sqrt() - 1).sum(-1).mean())
            log_weight.append(math.log(prior) + 0.6 * float(before.evidence[task, i]) + log_likelihood)
        *known, new = np.exp(log_weight)
        # the least used component gives its place to a more probable new one
        weights = [known[0], new, known[2]] if new > max(known) else known
        np.testing.assert_allclose(belief.responsibility[task], np.array(weights) / sum(weights), rtol=1e-3, atol=1e-6)


def test_a_spike_of_a_sensor_tells_components_apart_no_further_than_their_predictions_are():
    """The size of the spike does not matter; under a Gaussian the difference would grow with it."""
    adapter, recent = adapter_with(max_components=3, noise_std=0.5), mixed_transitions(TASKS, WINDOW)
    known = bank(adapter, [4.0, 1.0, 2.0], spread=0.5)._replace(evidence=torch.zeros(TASKS, 4))
    predicted = []
    for i in range(3):
        of_one = known._replace(responsibility=torch.eye(3)[i].expand(TASKS, -1))
        with torch.no_grad():
            predicted.append(adapter.condition((of_one,)).target(recent.obs[:, -1:], recent.action[:, -1:]).mean[:, :, 0])
    next_obs = recent.next_obs.clone()
    next_obs[:, -1, 2] += 500.0

    evidence = after_one(adapter, known, recent._replace(next_obs=next_obs)).evidence

    for i, j in ((0, 1), (0, 2), (1, 2)):
        furthest = (predicted[i] - predicted[j]).abs().sum(-1).mean(0) / 0.5
        assert ((evidence[:, i] - evidence[:, j]).abs() <= furthest + 1e-3).all()
        assert (furthest < 20).all()
    assert (evidence < -100).all()


@pytest.mark.parametrize("concentration", [0.0, 1.0])
def test_counts_sum_to_the_valid_steps(concentration: float):
    adapter = adapter_with(max_components=WINDOW, concentration=concentration)
    valid = torch.tensor([[True] * WINDOW, [False, True, True, False, True, False]])
    with torch.no_grad():
        (belief,) = adapter.infer(mixed_transitions(TASKS, WINDOW)._replace(valid=valid))

    torch.testing.assert_close(belief.counts.sum(1), valid.sum(1).float())
    torch.testing.assert_close(belief.responsibility.sum(1), torch.ones(TASKS))


def test_one_component_takes_the_gradient_rules_steps():
    """With nothing to choose and a constant step, each transition is one step of the plain rule from where the last one ended."""
    adapter = adapter_with(max_components=1, concentration=0.0, step_decay=0.0, clip=0.0)
    recent, asked = mixed_transitions(TASKS, WINDOW), questions(TASKS)
    plain = GradientRule(adapter.model, GradientConfig(steps=1))
    with torch.no_grad():
        for name, step_size in plain.log_step_sizes.items():
            step_size.fill_(adapter.rules[0].log_step_sizes[name])
        predictor = NetworkPredictor(adapter.model)
        for k in range(WINDOW):
            newest = Transitions(*(x[:, k : k + 1] for x in recent))
            predictor = plain.condition(predictor, plain.update(plain.prior(TASKS, predictor), newest, predictor))
        said = adapter.condition(adapter.infer(recent)).target(*asked).mean

        torch.testing.assert_close(said, predictor.target(*asked).mean, rtol=1e-4, atol=1e-5)


def step_of(belief_before: MixtureBelief, **config: float) -> list[torch.Tensor]:
    """How far one transition moves the only component, each (B, 1, P, 1, d)."""
    adapter = adapter_with(max_components=1, concentration=0.0, **config)
    after = after_one(adapter, belief_before, mixed_transitions(TASKS, WINDOW))
    return [new - old for new, old in zip(after.moved, belief_before.moved, strict=True)]


def test_an_experienced_component_takes_smaller_steps():
    adapter = adapter_with(max_components=1)
    fresh, experienced = (step_of(bank(adapter, [n], spread=0.3), step_decay=0.5) for n in (1.0, 7.0))

    for first, later in zip(fresh, experienced, strict=True):
        torch.testing.assert_close(later * (1 + 0.5 * 7), first * (1 + 0.5 * 1), rtol=1e-4, atol=1e-6)


def test_a_long_gradient_is_clipped():
    adapter = adapter_with(max_components=1)
    rates = [rate.exp() for rate in adapter.rules[0].log_step_sizes.values()]
    known = bank(adapter, [1.0], spread=0.3)
    whole, clipped = (
        torch.cat(
            [step / rate for step, rate in zip(step_of(known, step_decay=0.0, clip=c), rates, strict=True)], dim=-1
        ).detach()
        for c in (0.0, 0.05)
    )

    torch.testing.assert_close(clipped.norm(dim=-1), torch.full(clipped.shape[:-1], 0.05), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        clipped / clipped.norm(dim=-1, keepdim=True), whole / whole.norm(dim=-1, keepdim=True), rtol=1e-3, atol=1e-4
    )


def test_the_most_responsible_component_predicts():
    adapter, asked = adapter_with(max_components=3), questions(TASKS)
    belief = bank(adapter, [4.0, 1.0, 2.0], spread=0.5)
    mostly = belief._replace(responsibility=torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.3, 0.6]]))
    expected = NetworkPredictor(adapter.model)
    chosen = [torch.stack([m[0, 1], m[1, 2]], dim=1) for m in belief.moved]
    moved = {n: expected.parameters[n][:, None] + m for n, m in zip(adapter.rules[0].names, chosen, strict=True)}

    with torch.no_grad():
        torch.testing.assert_close(answers(adapter, (mostly,), *asked)[2], expected.with_parameters(moved).target(*asked).mean)


class Life(NamedTuple):
    """Along an episode: the component that predicts each step, how many there are, and the error [target stds]."""

    component: np.ndarray
    components: np.ndarray
    error: np.ndarray


@functools.cache
def trained_adapter(max_components: int = 4, updates: int = 200) -> NetworkAdapter:
    """Trained on point masses of many gains, none of which changes."""
    config = MixtureConfig(max_components=max_components, noise_std=0.1, forgetting=0.5)
    dataset = EpisodeDataset(POINT, point_episodes(40, seed=0), [], POINT_WINDOW, POINT_OUTER.query)
    trainer = MetaTrainer(make_adapter(DynamicsModel(POINT, POINT_MODEL), (config,), POINT_WINDOW), POINT_OUTER)
    trainer.fit(dataset, updates)
    return trainer.adapter


@torch.no_grad()
def live(adapter: NetworkAdapter, episode: Episode) -> Life:
    """Each step is predicted before it is learned from."""
    obs, action = torch.from_numpy(episode.obs)[None], torch.from_numpy(episode.action)[None]
    belief, steps = adapter.prior(1), []
    for t in range(len(episode)):
        now, sent, then = obs[:, t : t + 1], action[:, t : t + 1], obs[:, t + 1 : t + 2]
        predictor = adapter.condition(belief)
        error = predictor.error(predictor.predict(now, sent).mean, then).square().mean().sqrt()
        steps.append((int(belief[0].responsibility.argmax()), int((belief[0].counts > 0).sum()), float(error)))
        belief = adapter.update(belief, Transitions(now, sent, then, torch.ones(1, 1, dtype=torch.bool)))
    return Life(*(np.array(column) for column in zip(*steps, strict=True)))


SEGMENT = 20
RETURNING = [gain for gain in (0.3, 1.3, 0.3, 1.3) for _ in range(SEGMENT)]
SEEDS = (900, 901, 902, 903)


def errors_after_changes(max_components: int) -> np.ndarray:
    """Mean error of four steps of each segment, over episodes; nobody can foresee the first step after a change."""
    lives = [live(trained_adapter(max_components), point_episode(RETURNING, seed)) for seed in SEEDS]
    return np.mean([life.error.reshape(4, SEGMENT)[:, 1:5].mean(1) for life in lives], axis=0)


def test_a_situation_that_returns_is_recalled():
    for seed in SEEDS:
        component = live(trained_adapter(updates=100), point_episode(RETURNING, seed)).component.reshape(4, SEGMENT)
        ends = [set(segment[-5:]) for segment in component]
        assert ends[0] == ends[2] == {0}
        assert ends[1] == ends[3] == {1}


@pytest.mark.slow
def test_a_recalled_component_is_better_than_learning_anew_and_than_one_that_follows():
    recalling, following = errors_after_changes(4), errors_after_changes(1)

    # the motor becomes strong for the second time; then all changes to what was there before
    assert recalling[3] < 0.85 * recalling[1]
    assert recalling[2:].mean() < 0.75 * following[2:].mean()
