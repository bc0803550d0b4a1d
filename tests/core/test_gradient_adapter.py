"""The inner update equals plain autograd, task by task; the outer gradient equals finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.gradient import GradientAdapter, GradientBelief
from adaptive_mbrl.adaptation.none import NoAdapter
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, mixed_adapter, mixed_transitions

TASKS, WINDOW = 3, 5
RULES = {
    "modulation": {"parameters": "modulation"},
    "all": {"parameters": "all", "learning_rate": 0.01},
    "three_steps": {"steps": 3},
    "all_three_steps": {"parameters": "all", "steps": 3, "learning_rate": 0.01},
    "fixed": {"step_sizes": "fixed"},
    "per_parameter": {"step_sizes": "per_parameter"},
    "all_per_parameter": {"parameters": "all", "step_sizes": "per_parameter", "learning_rate": 0.01},
    "clipped": {"steps": 2, "clip": 0.5},
    "all_clipped": {"parameters": "all", "steps": 3, "clip": 0.5},
    "first_order": {"second_order": False, "steps": 2},
}


def recent_transitions() -> Transitions:
    """In float64; the first task has seen nothing yet, the second two transitions, the third all of them."""
    recent = mixed_transitions(TASKS, WINDOW)
    valid = recent.valid.clone()
    valid[0] = False
    valid[1, :-2] = False
    return Transitions(recent.obs.double(), recent.action.double(), recent.next_obs.double(), valid)


def plain_network(parameters: dict[str, Tensor], obs: Tensor, action: Tensor, adapter: GradientAdapter) -> Tensor:
    """One member and one transition, written out with `@` alone: obs (4,), action (2,)."""
    statistics = adapter.model.normalizer
    x = list((obs - statistics.obs_mean) / statistics.obs_std)
    x[1] = obs[1].sin()
    limits = torch.tensor([[a.low, a.high] for a in MIXED.action], dtype=torch.float64)
    a = 2 * (action - limits[:, 0]) / (limits[:, 1] - limits[:, 0]) - 1
    h = torch.cat([torch.stack([*x, obs[1].cos()]), parameters["action_gain"][0] * a, parameters["context"][0]])
    for layer in range(3):
        h = h @ parameters[f"weight_{layer}"] + parameters[f"bias_{layer}"][0]
        if layer < 2:
            h = torch.tanh(h)
    return h


def plain_loss(parameters: dict[str, Tensor], recent: Transitions, task: int, adapter: GradientAdapter) -> Tensor:
    statistics = adapter.model.normalizer
    losses = []
    for k in range(WINDOW):
        if not recent.valid[task, k]:
            continue
        obs, next_obs = recent.obs[task, k], recent.next_obs[task, k]
        raw = next_obs - obs
        raw = torch.stack([raw[0], torch.atan2(raw[1].sin(), raw[1].cos()), next_obs[2], raw[3]])
        error = (raw - statistics.target_mean) / statistics.target_std
        output = plain_network(parameters, obs, recent.action[task, k], adapter)
        losses.append(((error - output[:4]) ** 2).sum())
    return torch.stack(losses).mean() if losses else torch.zeros(())


def plain_update(adapter: GradientAdapter, recent: Transitions, member: int, task: int) -> dict[str, Tensor]:
    """Gradient descent as a textbook writes it, for one member and one task."""
    values = {n: p[member].detach().clone().requires_grad_() for n, p in adapter.model.net.named_parameters()}
    if not recent.valid[task].any():
        return {n: values[n].detach() for n in adapter.names}
    for _ in range(adapter.config.steps):
        gradients = torch.autograd.grad(plain_loss(values, recent, task, adapter), [values[n] for n in adapter.names])
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        shrink = min(1.0, adapter.config.clip / norm.item()) if adapter.config.clip else 1.0
        for name, gradient in zip(adapter.names, gradients, strict=True):
            step_sizes = adapter.log_step_sizes[name].detach().exp()
            step_size = step_sizes[member if len(step_sizes) > 1 else 0]
            values[name] = (values[name] - step_size * shrink * gradient).detach().requires_grad_()
    return {n: values[n].detach() for n in adapter.names}


@pytest.mark.parametrize("learned_variance", [False, True])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_the_inner_update_equals_plain_autograd(rule: dict, learned_variance: bool):
    adapter = mixed_adapter(model={"learned_variance": learned_variance}, **rule).double()
    recent = recent_transitions()

    belief = adapter.update(adapter.prior(TASKS), recent)

    for member in range(2):
        for task in range(TASKS):
            expected = plain_update(adapter, recent, member, task)
            assert set(expected) == set(belief.adapted)
            for name, value in expected.items():
                torch.testing.assert_close(belief.adapted[name][member, task], value, rtol=1e-9, atol=1e-12, msg=name)


def test_clipping_is_what_the_clipped_rule_does():
    """The reference above agrees with and without clipping, so make sure that clipping is at work in it."""
    recent = recent_transitions()
    moved = {}
    for clip in (0.0, 0.05):
        adapter = mixed_adapter(steps=1, step_sizes="fixed", clip=clip).double()
        belief, prior = adapter.update(adapter.prior(TASKS), recent), adapter.prior(TASKS)
        steps = [(belief.adapted[n] - prior.adapted[n]).flatten(2) for n in adapter.names]
        moved[clip] = torch.cat(steps, dim=-1).norm(dim=-1) / 0.1

    assert (moved[0.0][:, 1:] > 0.05).all()
    torch.testing.assert_close(moved[0.05][:, 1:], torch.full((2, TASKS - 1), 0.05).double())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_under_no_grad_the_same_belief_comes_out(rule: dict):
    adapter, recent = mixed_adapter(**rule).double(), recent_transitions()

    with_graph = adapter.update(adapter.prior(TASKS), recent)
    with torch.no_grad():
        without = adapter.update(adapter.prior(TASKS), recent)

    for name in adapter.names:
        torch.testing.assert_close(without.adapted[name], with_graph.adapted[name], rtol=1e-12, atol=1e-14)
        assert not without.adapted[name].requires_grad


@pytest.mark.parametrize("parameters", ["modulation", "all"])
@pytest.mark.parametrize("garbage", [0.0, 1e3, float("nan"), float("inf")])
def test_invalid_transitions_have_no_influence(parameters: str, garbage: float):
    adapter, recent = mixed_adapter(parameters=parameters, steps=2, learning_rate=0.02).double(), recent_transitions()
    hidden = ~recent.valid[..., None]
    changed = Transitions(*(torch.where(hidden, garbage, x) for x in recent[:3]), recent.valid)

    expected = adapter.update(adapter.prior(TASKS), recent)
    belief = adapter.update(adapter.prior(TASKS), changed)

    for name in adapter.names:
        torch.testing.assert_close(belief.adapted[name], expected.adapted[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("parameters", ["modulation", "all"])
def test_without_a_valid_transition_the_belief_is_the_prior_exactly(parameters: str):
    adapter = mixed_adapter(parameters=parameters, steps=3, clip=1.0)
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=torch.zeros(TASKS, WINDOW, dtype=torch.bool))

    belief, prior = adapter.update(adapter.prior(TASKS), recent), adapter.prior(TASKS)

    for name in adapter.names:
        assert torch.equal(belief.adapted[name], prior.adapted[name])


def test_a_batch_of_tasks_gives_what_each_gives_alone():
    adapter, recent = mixed_adapter(parameters="all", steps=2).double(), recent_transitions()

    belief = adapter.update(adapter.prior(TASKS), recent)

    for task in range(TASKS):
        alone = adapter.update(adapter.prior(1), Transitions(*(x[task : task + 1] for x in recent)))
        for name in adapter.names:
            torch.testing.assert_close(belief.adapted[name][:, task], alone.adapted[name][:, 0], rtol=1e-12, atol=1e-14)


def test_update_continues_from_the_belief_it_is_given():
    """Two calls of one step are one call of two steps."""
    one, two = (mixed_adapter(steps=steps).double() for steps in (1, 2))
    recent = recent_transitions()

    twice = one.update(one.update(one.prior(TASKS), recent), recent)
    once = two.update(two.prior(TASKS), recent)

    for name in one.names:
        torch.testing.assert_close(twice.adapted[name], once.adapted[name], rtol=1e-12, atol=1e-14)


def test_select_takes_robot_by_robot():
    adapter = mixed_adapter(parameters="all")
    first, second = (GradientBelief({n: torch.full((2, 3, 4), x) for n in adapter.names}) for x in (1.0, 2.0))

    chosen = adapter.select(torch.tensor([True, False, True]), first, second)

    for value in chosen.adapted.values():
        assert value[:, :, 0].tolist() == [[1.0, 2.0, 1.0]] * 2


def test_the_rule_none_keeps_the_models_own_parameters():
    adapter = NoAdapter(mixed_adapter().model)

    belief = adapter.update(adapter.prior(TASKS), mixed_transitions(TASKS, WINDOW))

    for name, value in adapter.parameters_of(belief).items():
        assert value is dict(adapter.model.net.named_parameters())[name]


# --- the outer gradient -------------------------------------------------------------------------------------------------------


def query_windows() -> Windows:
    """Two windows of two query steps each, far from the clamped range of the data, in float64."""
    recent = mixed_transitions(2, 4, seed=3)
    ahead = mixed_transitions(2, 3, seed=4)
    shrunk = Transitions(*(0.5 * x.double() for x in recent[:3]), recent.valid)
    return Windows(shrunk, 0.5 * ahead.obs.double(), ahead.action[:, :2].double())


def outer_loss(adapter: GradientAdapter, windows: Windows) -> Tensor:
    belief = adapter.update(adapter.prior(2), windows.recent)
    return multi_step_loss(adapter.model, adapter.parameters_of(belief), windows).mean()


def outer_gradient(adapter: GradientAdapter, windows: Windows) -> dict[str, Tensor]:
    named = {n: p for n, p in adapter.named_parameters() if p.requires_grad}
    return dict(zip(named, torch.autograd.grad(outer_loss(adapter, windows), list(named.values())), strict=True))


def finite_difference(loss: Callable[[], Tensor], parameter: Tensor, index: int, step: float = 1e-6) -> float:
    flat = parameter.data.view(-1)
    value = flat[index].item()
    sides = []
    for sign in (1, -1):
        flat[index] = value + sign * step
        sides.append(loss().item())
    flat[index] = value
    return (sides[0] - sides[1]) / (2 * step)


@pytest.mark.parametrize(
    "rule",
    [
        {"parameters": "modulation", "steps": 2},
        {"parameters": "all", "steps": 2, "learning_rate": 0.02},
        {"parameters": "all", "steps": 1, "learning_rate": 0.02, "step_sizes": "per_parameter"},
        {"parameters": "modulation", "steps": 2, "clip": 0.3},
    ],
    ids=str,
)
def test_the_second_order_outer_gradient_equals_finite_differences(rule: dict):
    """Of every meta-parameter: initial weights, initial modulation and step sizes."""
    adapter, windows = mixed_adapter(**rule).double(), query_windows()

    gradient = outer_gradient(adapter, windows)

    for name, parameter in adapter.named_parameters():
        for index in range(0, parameter.numel(), max(1, parameter.numel() // 4)):
            with torch.no_grad():  # values only; the inner gradient does not need the outer graph
                measured = finite_difference(lambda: outer_loss(adapter, windows), parameter, index)
            assert gradient[name].view(-1)[index].item() == pytest.approx(measured, rel=1e-5, abs=1e-8), f"{name}[{index}]"


def relative_gap(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("steps", [1, 2])
def test_the_first_order_gradient_is_fomaml(steps: int):
    """With every parameter adapted: the query loss's gradient *at* the adapted parameters, summed over tasks; no Hessian."""
    settings = {"parameters": "all", "steps": steps, "learning_rate": 0.05, "step_sizes": "fixed"}
    first = mixed_adapter(**settings, second_order=False).double()
    second = mixed_adapter(**settings, second_order=True).double()
    windows = query_windows()

    got, exact = outer_gradient(first, windows), outer_gradient(second, windows)

    belief = first.update(first.prior(2), windows.recent)
    adapted = {n: v.detach().requires_grad_() for n, v in belief.adapted.items()}
    loss = multi_step_loss(first.model, first.parameters_of(GradientBelief(adapted)), windows).mean()
    formula = dict(zip(adapted, torch.autograd.grad(loss, list(adapted.values())), strict=True))
    for name, value in formula.items():
        torch.testing.assert_close(got[f"model.net.{name}"], value.sum(1), rtol=1e-9, atol=1e-12)
    assert max(relative_gap(got[n], exact[n]) for n in exact) > 0.01


def test_first_order_still_learns_the_step_sizes():
    """d phi / d log alpha = -alpha * g, with the inner gradient g taken as a number."""
    adapter, windows = mixed_adapter(parameters="modulation", steps=1, second_order=False).double(), query_windows()

    gradient = outer_gradient(adapter, windows)

    belief, prior = adapter.update(adapter.prior(2), windows.recent), adapter.prior(2)
    adapted = {n: v.detach().requires_grad_() for n, v in belief.adapted.items()}
    loss = multi_step_loss(adapter.model, adapter.parameters_of(GradientBelief(adapted)), windows).mean()
    for name, slope in zip(adapted, torch.autograd.grad(loss, list(adapted.values())), strict=True):
        # alpha * g is how far the update moved
        expected = (slope * (belief.adapted[name] - prior.adapted[name])).sum().detach()
        torch.testing.assert_close(gradient[f"log_step_sizes.{name}"].sum(), expected, rtol=1e-9, atol=1e-12)
