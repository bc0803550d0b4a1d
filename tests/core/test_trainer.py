"""Meta-training: repeatable, over the whole query, and it learns to adapt."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import pytest
import torch

from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.process import Share
from tests.core.analytic import POINT_MODEL
from tests.core.point_training import QUERY, held_out, point_dataset, point_trainer, some_windows, weights

NONE = (NoneConfig(),)


def test_meta_training_learns_to_adapt_to_systems_it_has_not_seen(trained: MetaTrainer):
    scalars = trained.validate(held_out(10, seed=1000))

    for step in (1, QUERY):
        adapted, prior = (scalars[f"validation/{name}_error_{step}_steps"] for name in ("adapted", "prior"))
        assert adapted < 0.6 * prior
    assert scalars["validation/adapted_error_1_steps"] < scalars[f"validation/adapted_error_{QUERY}_steps"]


@pytest.mark.parametrize("second_order", [True, False])
def test_the_same_seed_gives_the_same_weights_bit_by_bit(second_order: bool):
    rules = (GradientConfig(steps=1, learning_rate=0.1, second_order=second_order),)
    first, again, other = (point_trainer(seed, rules) for seed in (0, 0, 1))
    for one in (first, again, other):
        one.fit(point_dataset(), 5)

    assert all(torch.equal(t, weights(again)[n]) for n, t in weights(first).items())
    assert not torch.equal(weights(first)["model.net.weight_0"], weights(other)["model.net.weight_0"])


def test_a_fit_keeps_nothing_of_the_steps_that_are_done(monkeypatch: pytest.MonkeyPatch):
    """What each step leaves in memory fragments it: a training of hours took all the memory of its machine."""
    losses: list[weakref.ref[Any]] = []
    step = MetaTrainer.step

    def watched(self: MetaTrainer, windows: Windows, share: Share) -> torch.Tensor:
        assert all(loss() is None for loss in losses)
        loss = step(self, windows, share)
        losses.append(weakref.ref(loss))
        return loss

    monkeypatch.setattr(MetaTrainer, "step", watched)
    point_trainer().fit(point_dataset(), 5)

    assert len(losses) == 5


def test_the_loss_is_over_the_whole_open_loop_query():
    """Changing only the last step of the query changes the loss: it is not a one-step loss."""
    one, windows = point_trainer(), some_windows(torch.arange(16))
    moved = windows._replace(obs=torch.cat([windows.obs[:, :-1], windows.obs[:, -1:] + 3.0], dim=1))

    assert ((one.loss(moved) - one.loss(windows)).abs() > 1e-3).all()


def test_the_one_step_loss_starts_each_step_of_the_query_from_what_was_observed():
    """GrBAL's: the mean squared error of M one-step predictions, so that a moved observation counts in two of them only."""
    one, windows = point_trainer(query_loss="one_step"), some_windows(torch.arange(16))
    model, obs, action = one.adapter.model, windows.obs, windows.action
    multitask = point_trainer(rules=NONE, query_loss="one_step")

    predicted = NetworkPredictor(model).target(obs[:, :-1], action).mean
    expected = (predicted - model.normalizer.target(obs[:, :-1], obs[:, 1:])).square().mean((0, 2, 3))

    torch.testing.assert_close(multitask.loss(windows), expected)
    assert not torch.allclose(one.loss(windows), expected)
    assert set(one.validate(held_out(2, seed=1))) == set(point_trainer().validate(held_out(2, seed=1)))


def test_multitask_trains_the_same_network_without_adaptation():
    multitask, windows = point_trainer(rules=NONE), some_windows(torch.arange(16))

    model = multitask.adapter.model
    torch.testing.assert_close(multitask.loss(windows), multi_step_loss(NetworkPredictor(model), windows))
    meta = point_trainer().adapter.model
    assert torch.equal(meta.net.get_parameter("weight_0"), model.net.get_parameter("weight_0"))


@pytest.mark.parametrize("learned_variance", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradients_of_both_objectives_are_compared(precision: str, learned_variance: bool):
    """For a model that does not adapt they are the same gradient; for one that does they are not."""
    model = dataclasses.replace(POINT_MODEL, learned_variance=learned_variance)
    multitask = point_trainer(rules=NONE, model=model, precision=precision)
    meta = point_trainer(model=model, precision=precision)

    same, different = (t.gradient_conflict(point_dataset()) for t in (multitask, meta))

    assert same["gradient/cosine"] == pytest.approx(1.0, abs=1e-5)
    assert same["gradient/adapted_norm"] == pytest.approx(same["gradient/prior_norm"], rel=1e-5)
    assert different["gradient/cosine"] < 0.9999
    assert different["gradient/adapted_norm"] > 0


def test_looking_at_gradients_and_validation_changes_nothing():
    watched, alone = point_trainer(), point_trainer()
    for one in (watched, alone):
        one.fit(point_dataset(), 2)
        if one is watched:
            one.validate(held_out(4, seed=50))
            one.gradient_conflict(point_dataset())
        one.fit(point_dataset(), 2)

    assert all(torch.equal(t, weights(alone)[n]) for n, t in weights(watched).items())


def test_without_held_out_episodes_there_is_nothing_to_validate():
    assert point_trainer().validate(point_dataset()) == {}


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("parameters", ["modulation", "all"])
def test_bfloat16_gives_nearly_the_same_outer_gradient(parameters: str, second_order: bool):
    rule = GradientConfig(parameters=parameters, steps=2, learning_rate=0.05, second_order=second_order)
    windows = some_windows(torch.arange(0, 200, 3))
    gradients = []
    for precision in ("float32", "bfloat16"):
        one = point_trainer(rules=(rule,), precision=precision)
        one.adapter.normalizer.fit(point_dataset().statistics())
        one.loss(windows).mean().backward()
        gradients.append({n: p.grad.clone() for n, p in one.adapter.named_parameters() if p.grad is not None})

    exact, rough = gradients
    assert set(rough) == set(exact)
    assert all(g.dtype == torch.float32 for g in rough.values())
    flat_exact, flat_rough = (torch.cat([g[n].flatten() for n in exact]) for g in (exact, rough))
    assert torch.nn.functional.cosine_similarity(flat_exact, flat_rough, dim=0) > 0.99
    assert flat_rough.norm() / flat_exact.norm() == pytest.approx(1.0, abs=0.05)
