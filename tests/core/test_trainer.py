"""The outer loop: repeatable, does what its config says, and learns to adapt."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import AdaptationConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from tests.core.analytic import POINT, POINT_ADAPTATION, POINT_MODEL, POINT_OUTER, point_episodes

CPU = torch.device("cpu")
WINDOW, QUERY = POINT_ADAPTATION.window, POINT_OUTER.query
NONE = AdaptationConfig(rule="none", window=WINDOW)


def trainer(seed: int = 0, adaptation: AdaptationConfig = POINT_ADAPTATION, **outer: object) -> MetaTrainer:
    return MetaTrainer(POINT, POINT_MODEL, adaptation, dataclasses.replace(POINT_OUTER, **outer), seed, CPU)


def sampler(num: int = 8, seed: int = 0) -> WindowSampler:
    return WindowSampler(point_episodes(num, seed), WINDOW, QUERY)


def weights(of: MetaTrainer) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in of.adapter.state_dict().items()}


def test_meta_training_learns_to_adapt_to_systems_it_has_not_seen(trained: MetaTrainer):
    scalars = trained.validate(sampler(10, seed=1000))

    for step in (1, QUERY):
        adapted, prior = (scalars[f"validation/{name}_error_{step}_steps"] for name in ("adapted", "prior"))
        assert adapted < 0.6 * prior
    assert scalars["validation/adapted_error_1_steps"] < scalars[f"validation/adapted_error_{QUERY}_steps"]


@pytest.mark.parametrize("second_order", [True, False])
def test_the_same_seed_gives_the_same_weights_bit_by_bit(second_order: bool):
    rule = dataclasses.replace(POINT_ADAPTATION, gradient=GradientConfig(steps=1, second_order=second_order))
    first, again, other = (trainer(seed, rule) for seed in (0, 0, 1))
    for one in (first, again, other):
        one.fit(sampler(), 5)

    assert all(torch.equal(t, weights(again)[n]) for n, t in weights(first).items())
    assert not torch.equal(weights(first)["model.net.weight_0"], weights(other)["model.net.weight_0"])


def test_the_loss_is_over_the_whole_open_loop_query():
    """Changing only the last step of the query changes the loss: it is not a one-step loss."""
    one, windows = trainer(), sampler().at(torch.arange(16))
    moved = windows._replace(obs=torch.cat([windows.obs[:, :-1], windows.obs[:, -1:] + 3.0], dim=1))

    assert ((one.loss(moved) - one.loss(windows)).abs() > 1e-3).all()


def test_multitask_trains_the_same_network_without_adaptation():
    multitask, windows = trainer(adaptation=NONE, outer="multitask"), sampler().at(torch.arange(16))

    model = multitask.adapter.model
    torch.testing.assert_close(multitask.loss(windows), multi_step_loss(model, model.shared_parameters(), windows))
    meta = trainer().adapter.model
    assert torch.equal(meta.net.get_parameter("weight_0"), model.net.get_parameter("weight_0"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradients_of_both_objectives_are_compared(precision: str):
    """For a model that does not adapt they are the same gradient; for one that does they are not."""
    multitask, meta = trainer(adaptation=NONE, outer="multitask", precision=precision), trainer(precision=precision)

    same, different = (t.gradient_conflict(sampler()) for t in (multitask, meta))

    assert same["gradient/cosine"] == pytest.approx(1.0, abs=1e-5)
    assert same["gradient/meta_norm"] == pytest.approx(same["gradient/multitask_norm"], rel=1e-5)
    assert different["gradient/cosine"] < 0.9999
    assert different["gradient/meta_norm"] > 0


def test_looking_at_gradients_and_validation_changes_nothing():
    watched, alone = trainer(), trainer()
    for one in (watched, alone):
        one.fit(sampler(), 2)
        if one is watched:
            one.validate(sampler(4, seed=50))
            one.gradient_conflict(sampler())
        one.fit(sampler(), 2)

    assert all(torch.equal(t, weights(alone)[n]) for n, t in weights(watched).items())


def test_the_learning_rate_falls_along_a_cosine_and_starts_anew_with_every_fit():
    one, rates = trainer(learning_rate=0.01, final_learning_rate_fraction=0.1), []
    step = one.optimizer.step
    one.optimizer.step = lambda *args: (rates.append(one.optimizer.param_groups[0]["lr"]), step(*args))[1]

    one.fit(sampler(), 10)
    one.fit(sampler(), 1)

    assert rates[0] == pytest.approx(0.01)
    assert rates[5] == pytest.approx(0.001 + 0.009 * 0.5)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[:10]))
    assert rates[9] < 0.0015
    assert rates[10] == pytest.approx(0.01)


def test_every_parameter_that_may_be_learned_is_learned_once():
    for parameters in ("modulation", "all"):
        one = trainer(adaptation=AdaptationConfig(window=WINDOW, gradient=GradientConfig(parameters=parameters)))
        in_groups = [id(p) for group in one.optimizer.param_groups for p in group["params"]]

        assert sorted(in_groups) == sorted(id(p) for p in one.adapter.parameters())

        before = weights(one)
        one.fit(sampler(), 2)
        assert all(not torch.equal(before[n], p) for n, p in one.adapter.named_parameters())


def test_fixed_step_sizes_stay():
    one = trainer(adaptation=AdaptationConfig(window=WINDOW, gradient=GradientConfig(step_sizes="fixed")))
    before = weights(one)

    one.fit(sampler(), 2)

    for name in one.adapter.log_step_sizes:
        assert torch.equal(weights(one)[f"log_step_sizes.{name}"], before[f"log_step_sizes.{name}"])


def test_weight_decay_shrinks_weights_and_nothing_else():
    one = trainer(weight_decay=0.1)

    decayed = {id(p) for group in one.optimizer.param_groups if group["weight_decay"] > 0 for p in group["params"]}

    assert decayed == {id(p) for n, p in one.adapter.model.net.named_parameters() if n.startswith("weight_")}


def test_a_large_gradient_is_clipped():
    """Adam hides the gradient's size, so look at it where the optimiser takes it."""
    one, norms = trainer(gradient_clip=1e-3), []
    step = one.optimizer.step

    def noting(*args: object) -> object:
        gradients = [p.grad for p in one.adapter.parameters() if p.grad is not None]
        norms.append(torch.stack([g.norm() for g in gradients]).norm().item())
        return step(*args)

    one.optimizer.step = noting
    one.fit(sampler(), 3)

    assert norms == pytest.approx([1e-3] * 3, rel=1e-3)


@pytest.mark.parametrize("updates", [7, 60])
def test_a_training_that_diverges_says_so(updates: int):
    """Also a short one, and at its end: a checkpoint of NaN must not come out of it."""
    one = trainer(learning_rate=1e30, gradient_clip=0.0)

    with pytest.raises(AdaptiveMBRLError, match="diverged") as caught:
        one.fit(sampler(), updates)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("parameters", ["modulation", "all"])
def test_bfloat16_gives_nearly_the_same_outer_gradient(parameters: str, second_order: bool):
    rule = GradientConfig(parameters=parameters, steps=2, learning_rate=0.05, second_order=second_order)
    windows = sampler().at(torch.arange(0, 200, 3))
    gradients = []
    for precision in ("float32", "bfloat16"):
        one = trainer(adaptation=AdaptationConfig(window=WINDOW, gradient=rule), precision=precision)
        one.adapter.model.normalizer.fit(*sampler().transitions())
        one.loss(windows).mean().backward()
        gradients.append({n: p.grad.clone() for n, p in one.adapter.named_parameters() if p.grad is not None})

    exact, rough = gradients
    assert set(rough) == set(exact)
    assert all(g.dtype == torch.float32 for g in rough.values())
    flat_exact, flat_rough = (torch.cat([g[n].flatten() for n in exact]) for g in (exact, rough))
    assert torch.nn.functional.cosine_similarity(flat_exact, flat_rough, dim=0) > 0.99
    assert flat_rough.norm() / flat_exact.norm() == pytest.approx(1.0, abs=0.05)


def test_out_of_range_settings_are_refused_when_they_are_read():
    for key, value in {"query": 0, "meta_batch_size": 0, "learning_rate": -1, "final_learning_rate_fraction": 1.5}.items():
        with pytest.raises(ConfigError, match=f"outer.yaml: key '{key}'.*out of range"):
            from_mapping(OuterConfig, {key: value}, source="outer.yaml")
