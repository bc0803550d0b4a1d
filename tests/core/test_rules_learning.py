"""Every adaptation rule can be trained, and what it has learned to do with its window is better than its prior."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_WINDOW, point_episodes
from tests.core.rules import ADAPTING, KINDS, RULES, point_model, rules_marked_slow_but

QUICK = ("none", "gradient_second_order", "gauss_newton", "context", "recurrent", "bayes_linear")
"""Rules that the quick tests train for long: derivatives, solves, codes, carried beliefs. Below, each kind has a few updates."""


@functools.cache
def dataset() -> EpisodeDataset:
    """Point masses of many gains, which are known; the held-out ones have gains of their own."""
    training, held_out = (
        [dataclasses.replace(e, tags={"situation": e.tags}) for e in point_episodes(num, seed)]
        for num, seed in ((40, 0), (8, 500))
    )
    return EpisodeDataset(POINT, training, held_out, POINT_WINDOW, POINT_OUTER.query)


def untrained(name: str, outer: OuterConfig = POINT_OUTER, **model: object) -> MetaTrainer:
    trainer = MetaTrainer(make_adapter(DynamicsModel(POINT, point_model(name, **model)), RULES[name], POINT_WINDOW), outer)
    trainer.adapter.normalizer.fit(dataset().statistics())
    return trainer


def updates_of(name: str) -> int:
    """How long a rule is trained: the quick ones come ahead of the multi-task model sooner than the others."""
    return 150 if name in QUICK else 300


@functools.cache
def trained(name: str, updates: int) -> MetaTrainer:
    """A few seconds of training; do not change it."""
    trainer = untrained(name)
    with torch.enable_grad():
        trainer.fit(dataset(), updates)
    return trainer


@functools.cache
def validated(name: str, updates: int) -> dict[str, float]:
    """Losses on the held-out episodes after training."""
    return trained(name, updates).validate(dataset())


@pytest.mark.parametrize("name", rules_marked_slow_but(QUICK))
def test_training_lowers_the_loss(name: str):
    before = untrained(name).validate(dataset())["validation/adapted_loss"]

    assert validated(name, updates_of(name))["validation/adapted_loss"] < 0.5 * before


@pytest.mark.parametrize("name", rules_marked_slow_but(QUICK, ADAPTING))
def test_after_training_a_window_is_better_than_none(name: str):
    scalars = validated(name, updates_of(name))

    assert scalars["validation/adapted_loss"] < 0.6 * scalars["validation/prior_loss"]
    assert scalars["validation/adapted_error_1_steps"] < 0.7 * scalars["validation/prior_error_1_steps"]


@pytest.mark.parametrize("name", rules_marked_slow_but(QUICK, ADAPTING))
def test_a_trained_rule_beats_the_multi_task_model(name: str):
    adapting, multitask = (validated(rule, updates_of(name)) for rule in (name, "none"))

    assert adapting["validation/adapted_loss"] < multitask["validation/adapted_loss"]


@pytest.mark.parametrize("learned_variance", [False, True])
@pytest.mark.parametrize("name", RULES)
def test_every_trainable_parameter_gets_a_finite_gradient(name: str, learned_variance: bool):
    trainer = untrained(name, learned_variance=learned_variance)
    # the modulation begins where a rule has not changed it yet, and with it what lies behind
    trainer.fit(dataset(), 2)
    trainer.optimizer.zero_grad(set_to_none=True)

    trainer.loss(dataset().sample(32, torch.Generator().manual_seed(1))).mean().backward()

    for key, parameter in trainer.adapter.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
            assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", rules_marked_slow_but(KINDS))
def test_training_in_bfloat16_works_too(name: str):
    trainer = untrained(name, OuterConfig(query=POINT_OUTER.query, meta_batch_size=16, precision="bfloat16"))
    windows = dataset().sample(16, torch.Generator().manual_seed(1))
    exact = untrained(name).loss(windows)

    losses = [float(trainer.step(windows)) for _ in range(10)]

    assert losses[0] == pytest.approx(exact.mean().item(), rel=0.1)
    assert losses[-1] < losses[0]


def test_a_small_noise_variance_survives_training_in_bfloat16():
    """The posterior's linear algebra needs more digits than the network's products."""
    loss, windows = {}, dataset().sample(16, torch.Generator().manual_seed(1))
    for precision in ("float32", "bfloat16"):
        config = OuterConfig(query=POINT_OUTER.query, precision=precision)
        adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), (BayesLinearConfig(noise_std=0.003),), POINT_WINDOW)
        adapter.normalizer.fit(dataset().statistics())
        with torch.no_grad():
            loss[precision] = MetaTrainer(adapter, config).loss(windows).mean().item()

    assert loss["bfloat16"] == pytest.approx(loss["float32"], rel=0.05)
