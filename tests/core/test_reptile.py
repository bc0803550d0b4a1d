"""Reptile as the outer loop of the rule gradient: the prior moves to where inner steps lead, and all else is trained as ever."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, Rules, make_adapter
from adaptive_mbrl.adaptation.context import ContextConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.process import Process, Share
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import mixed_adapter, mixed_model, query_windows
from tests.core.cart import ONE
from tests.core.plain import plain_update, rule_of
from tests.core.point_training import held_out, point_dataset, point_trainer, some_windows, weights
from tests.core.rules import stirred_adapter
from tests.core.together import precise, together

REPTILE = GradientConfig(steps=2, learning_rate=0.3, step_sizes="fixed", reptile=True)
ALPHA = 0.1
LAST = ("weight_0", "bias_0")


def linear_adapter(steps: int) -> NetworkAdapter:
    """x' - x = w_x x + w_a a + b, which begins at 0 and is adapted as a whole."""
    model = DynamicsModel(ONE, ModelConfig(hidden=(), members=1, context_dim=0))
    for name in LAST:
        model.net.get_parameter(name).data.zero_()
    rule = GradientConfig("last_layer", steps, ALPHA, "fixed", reptile=True)
    return make_adapter(model, (rule,), window=5).double()


def windows_of(recent: Tensor, query: Tensor) -> Windows:
    """Rows of (x, a, x' - x), each (W, steps, 3), of tasks of their own; the query's rows follow one another."""
    x, action, change = recent.split(1, dim=-1)
    before = Transitions(x, action, x + change, torch.ones(recent.shape[:2], dtype=torch.bool))
    obs = torch.cat([query[..., :1], query[:, -1:, :1] + query[:, -1:, 2:]], dim=1)
    return Windows(before, obs, query[..., 1:2], torch.arange(len(recent)))


def prior(adapter: NetworkAdapter) -> Tensor:
    """(w_x, w_a, b)."""
    weight, bias = (adapter.model.net.get_parameter(name) for name in LAST)
    return torch.cat([weight.flatten(), bias.flatten()])


def moved_by_a_step(adapter: NetworkAdapter, windows: Windows, rate: float) -> Tensor:
    """The prior after one step of gradient descent on what the trainer would hand to Adam."""
    trainer = MetaTrainer(adapter, OuterConfig(query=windows.action.shape[1]))
    trainer.balancing.backward(trainer.loss(windows), windows.task)
    gradient = torch.cat([adapter.model.net.get_parameter(name).grad.flatten() for name in LAST])
    return prior(adapter).detach() - rate * gradient


def test_two_tasks_by_hand():
    """phi = (w_x, w_a, b) begins at 0; a step at input z = (x, a, 1) with error e is -2 alpha e z.

    Task 1 sees z = (1, 0, 1) change by 1: phi = 0.2 (1, 0, 1). Its query, z = (0, 1, 1) with 2, is then missed by 0.2 - 2:
    phi' = (0.2, 0.36, 0.56). Task 2 sees z = (1, 1, 1) change by -1: phi = -0.2 (1, 1, 1). Its query, z = (-1, 0, 1) with 0, is
    met exactly: phi' = -0.2 (1, 1, 1). The mean of both is (0, 0.08, 0.18).
    """
    recent = torch.tensor([[[1.0, 0, 1]], [[1.0, 1, -1]]], dtype=torch.float64)
    query = torch.tensor([[[0.0, 1, 2]], [[-1.0, 0, 0]]], dtype=torch.float64)

    # the displacement of two inner steps comes divided by alpha and by their number
    moved = moved_by_a_step(linear_adapter(steps=1), windows_of(recent, query), rate=2 * ALPHA)

    torch.testing.assert_close(moved, torch.tensor([0.0, 0.08, 0.18], dtype=torch.float64), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 3])
def test_on_a_quadratic_the_prior_moves_as_published(steps: int):
    """phi <- phi + epsilon mean(phi' - phi), where a step on a quadratic of Hessian A is phi -> (1 - alpha A) phi + alpha r."""
    adapter, rng, epsilon = linear_adapter(steps), np.random.default_rng(0), 0.7
    x, a, change = rng.normal(size=(3, 4, 5))
    # a query's rows follow one another, so that its changes are those of x
    q, b = rng.normal(size=(2, 4, 3))
    query_change = np.diff(np.concatenate([q, rng.normal(size=(4, 1))], axis=1), axis=1)
    with torch.no_grad():
        for name, value in zip(LAST, ([0.3, -0.4], [0.2]), strict=True):
            parameter = adapter.model.net.get_parameter(name)
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    phi = prior(adapter).detach().numpy()

    found = []
    for task in range(4):
        adapted = phi
        for inputs, changes in (((x, a), change), ((q, b), query_change)):
            z = np.stack([*(part[task] for part in inputs), np.ones(len(changes[task]))], axis=1)
            hessian, right = 2 * z.T @ z / len(z), 2 * z.T @ changes[task] / len(z)
            contraction = np.eye(3) - ALPHA * hessian
            powers = [np.linalg.matrix_power(contraction, i) for i in range(steps + 1)]
            adapted = powers[-1] @ adapted + ALPHA * sum(powers[:-1]) @ right
        found.append(adapted)

    windows = windows_of(torch.tensor(np.stack([x, a, change], -1)), torch.tensor(np.stack([q, b, query_change], -1)))
    moved = moved_by_a_step(adapter, windows, rate=epsilon * 2 * steps * ALPHA)

    np.testing.assert_allclose(moved.numpy(), phi + epsilon * (np.mean(found, axis=0) - phi), rtol=1e-6)


def outer_gradient(adapter: NetworkAdapter, windows: Windows) -> dict[str, Tensor]:
    trainer = MetaTrainer(adapter, OuterConfig(query=windows.action.shape[1]))
    trainer.balancing.backward(trainer.loss(windows), windows.task)
    return {name: p.grad for name, p in adapter.named_parameters() if p.grad is not None}


def query_transitions(windows: Windows) -> Transitions:
    known = torch.ones(windows.action.shape[:2], dtype=torch.bool)
    return Transitions(windows.obs[:, :-1], windows.action, windows.obs[:, 1:], known)


@pytest.mark.parametrize("parameters", ["modulation", "all"])
def test_of_an_ensemble_every_member_moves_to_where_its_own_steps_lead(parameters: str):
    """Steps as a textbook writes them, over the window and then over the query; clipped, one task without a transition."""
    settings = {"parameters": parameters, "steps": 2, "step_sizes": "fixed", "second_order": False, "clip": 0.5}
    adapter, windows = mixed_adapter(reptile=True, **settings).double(), query_windows()
    windows.recent.valid[1] = False

    gradient = outer_gradient(adapter, windows)

    names, pulls = rule_of(adapter).names, []
    for task in range(2):
        then = mixed_adapter(**settings).double()
        own = dict(then.model.net.named_parameters())
        for member in range(2):
            for name, value in plain_update(adapter, windows.recent, member, task).items():
                own[name].data[member] = value
        after = [plain_update(then, query_transitions(windows), member, task) for member in range(2)]
        pulls.append({name: torch.stack([one[name] for one in after]) for name in names})
    scale = 0.1 * 4 * 2 * adapter.model.spec.obs_dim
    for name in names:
        start = adapter.model.net.get_parameter(name).detach()
        expected = (start - sum(pull[name] for pull in pulls) / 2) / scale
        torch.testing.assert_close(gradient[f"model.net.{name}"], expected, rtol=1e-9, atol=1e-12, msg=name)


def test_what_the_inner_loop_leaves_alone_gets_the_first_order_gradient_of_the_query_loss():
    settings = {"parameters": "modulation", "steps": 2, "step_sizes": "fixed", "second_order": False}
    windows = query_windows()

    reptile, first_order = (outer_gradient(mixed_adapter(reptile=r, **settings).double(), windows) for r in (True, False))

    assert set(reptile) == set(first_order)
    for name, value in first_order.items():
        adapted = name.removeprefix("model.net.") in ("action_gain", "context")
        assert torch.allclose(reptile[name], value, rtol=1e-10, atol=1e-14) != adapted, name


def test_the_loss_stays_the_query_loss_and_without_adapting_nothing_pulls():
    windows = some_windows(torch.arange(40))
    reptile = point_trainer(rules=(REPTILE,))
    first_order = point_trainer(rules=(dataclasses.replace(REPTILE, reptile=False),))

    assert torch.equal(reptile.loss(windows), first_order.loss(windows))
    assert reptile.adapter.loss_terms(reptile.adapter.prior(40), windows) == {}


@pytest.mark.parametrize(
    "rules", [(ContextConfig(hidden=8, heads=2, code_dim=3), REPTILE), (dataclasses.replace(REPTILE, parameters="low_rank"),)]
)
def test_what_the_start_is_made_of_is_pulled_along(rules: Rules):
    """An encoder before the rule, or the factors of low-rank weights."""
    adapter = stirred_adapter(rules, mixed_model(), 4).double()

    gradient = outer_gradient(adapter, query_windows())

    of_rules = [value for name, value in gradient.items() if name.startswith("rules.")]
    assert of_rules
    assert all(value.isfinite().all() and value.abs().max() > 0 for value in of_rules)


def test_processes_that_train_together_take_the_step_of_one():
    windows = precise(some_windows(torch.arange(11)))

    def step(process: Process) -> dict[str, Tensor]:
        trainer = point_trainer(rules=(REPTILE,), process=process)
        trainer.adapter.double()
        share: Share = process.share(11)
        trainer.step(Windows(windows.recent.rows(share.slice), *(x[share.slice] for x in windows[1:])), share)
        return weights(trainer)

    alone = step(Process())
    for found in together(2, lambda process: step(process)):
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-12, msg=name)


def test_after_training_a_window_is_better_than_none():
    trainer = point_trainer(rules=(REPTILE,))
    before = trainer.validate(held_out(8, 500))

    trainer.fit(point_dataset(40), 120)

    after = trainer.validate(held_out(8, 500))
    assert after["validation/adapted_loss"] < 0.5 * before["validation/adapted_loss"]
    assert after["validation/adapted_loss"] < 0.6 * after["validation/prior_loss"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "reptile gives step sizes no gradient, got step_sizes: per_tensor; allowed: fixed"),
        ({"step_sizes": "fixed", "second_order": True}, "reptile is first order"),
        ({"step_sizes": "fixed", "learning_rate": 0}, "got learning_rate: 0; allowed: above 0"),
    ],
)
def test_settings_that_contradict_reptile_are_refused_in_one_line(settings: dict, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        from_mapping(GradientConfig, {"reptile": True, **settings}, source="mine.yaml", key="adaptation.gradient")
    assert str(caught.value).startswith("mine.yaml: key 'adaptation.gradient': ")
    assert "\n" not in str(caught.value)


def test_a_learned_variance_that_nothing_would_train_is_refused():
    learned, rule = mixed_model(learned_variance=True), dataclasses.replace(REPTILE, parameters="last_layer")

    with pytest.raises(ConfigError, match=r"key 'model\.learned_variance': with reptile and parameters: last_layer"):
        make_adapter(learned, (rule,), 4)
    make_adapter(learned, (REPTILE,), 4)
