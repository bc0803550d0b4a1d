"""The inner update equals plain autograd, task by task, and knows nothing but the window."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.belief import map_belief, select, tensors_of
from adaptive_mbrl.adaptation.gradient import GradientBelief
from adaptive_mbrl.adaptation.none import NoAdaptation
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import mixed_adapter, mixed_transitions
from tests.core.plain import plain_update, rule_of

TASKS, WINDOW = 3, 5
RULES = {
    "modulation": {"parameters": "modulation"},
    "all": {"parameters": "all", "learning_rate": 0.01},
    "last_layer": {"parameters": "last_layer"},
    "last_layer_three_steps": {"parameters": "last_layer", "steps": 3, "step_sizes": "per_parameter", "clip": 0.5},
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


def adapted_parameters(adapter: NetworkAdapter, belief: tuple[GradientBelief]) -> dict[str, Tensor]:
    """What the rule has adapted, by name, each (P, T, ...)."""
    parameters = adapter.condition(belief).parameters
    return {name: parameters[name] for name in rule_of(adapter).names}


def assert_same_belief(belief: object, expected: object) -> None:
    for value, wanted in zip(tensors_of(belief), tensors_of(expected), strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("learned_variance", [False, True])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_the_inner_update_equals_plain_autograd(rule: dict, learned_variance: bool):
    adapter = mixed_adapter(model={"learned_variance": learned_variance}, **rule).double()
    recent = recent_transitions()

    adapted = adapted_parameters(adapter, adapter.infer(recent))

    for member in range(2):
        for task in range(TASKS):
            expected = plain_update(adapter, recent, member, task)
            assert set(expected) == set(adapted)
            for name, value in expected.items():
                torch.testing.assert_close(adapted[name][member, task], value, rtol=1e-9, atol=1e-12, msg=name)


def test_the_last_layer_is_all_that_moves_when_it_is_what_is_adapted():
    adapter = mixed_adapter(parameters="last_layer")
    own = dict(adapter.model.net.named_parameters())

    parameters = adapter.condition(adapter.infer(mixed_transitions(TASKS, WINDOW))).parameters

    assert {name for name, value in parameters.items() if value is not own[name]} == {"weight_2", "bias_2"}


def test_clipping_is_what_the_clipped_rule_does():
    """The reference above agrees with and without clipping, so make sure that clipping is at work in it."""
    recent = recent_transitions()
    moved = {}
    for clip in (0.0, 0.05):
        adapter = mixed_adapter(steps=1, step_sizes="fixed", clip=clip).double()
        (belief,) = adapter.infer(recent)
        moved[clip] = torch.cat([value.flatten(2) for value in belief.moved], dim=-1).norm(dim=-1) / 0.1

    assert (moved[0.0][1:] > 0.05).all()
    torch.testing.assert_close(moved[0.05][1:], torch.full((TASKS - 1, 2), 0.05).double())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_under_no_grad_the_same_belief_comes_out(rule: dict):
    adapter, recent = mixed_adapter(**rule).double(), recent_transitions()

    with_graph = adapter.infer(recent)
    with torch.no_grad():
        without = adapter.infer(recent)

    assert_same_belief(without, with_graph)
    assert not any(value.requires_grad for value in tensors_of(without))


@pytest.mark.parametrize("parameters", ["modulation", "all"])
@pytest.mark.parametrize("garbage", [0.0, 1e3, float("nan"), float("inf")])
def test_invalid_transitions_have_no_influence(parameters: str, garbage: float):
    adapter, recent = mixed_adapter(parameters=parameters, steps=2, learning_rate=0.02).double(), recent_transitions()
    hidden = ~recent.valid[..., None]
    changed = Transitions(*(torch.where(hidden, garbage, x) for x in recent[:3]), recent.valid)

    assert_same_belief(adapter.infer(changed), adapter.infer(recent))


@pytest.mark.parametrize("parameters", ["modulation", "all"])
def test_without_a_valid_transition_the_belief_is_the_prior_exactly(parameters: str):
    adapter = mixed_adapter(parameters=parameters, steps=3, clip=1.0)
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=torch.zeros(TASKS, WINDOW, dtype=torch.bool))

    belief, prior = adapter.infer(recent), adapter.prior(TASKS)

    for value, wanted in zip(tensors_of(belief), tensors_of(prior), strict=True):
        assert torch.equal(value, wanted)
        assert not value.any()
    for name, value in adapted_parameters(adapter, belief).items():
        own = dict(adapter.model.net.named_parameters())[name]
        assert torch.equal(value, own[:, None].expand_as(value))


def test_a_batch_of_tasks_gives_what_each_gives_alone():
    adapter, recent = mixed_adapter(parameters="all", steps=2).double(), recent_transitions()

    belief = adapter.infer(recent)

    for task in range(TASKS):
        one = slice(task, task + 1)
        assert_same_belief(
            map_belief(lambda tensor, one=one: tensor[one], belief), adapter.infer(Transitions(*(x[one] for x in recent)))
        )


def test_every_update_starts_over_from_the_prior():
    """The window holds all that is to be learned from, so that the last belief has no say."""
    adapter, recent, others = mixed_adapter(steps=2).double(), recent_transitions(), mixed_transitions(TASKS, WINDOW, seed=8)
    elsewhere = adapter.infer(Transitions(*(x.double() for x in others[:3]), others.valid))

    updated = adapter.update(elsewhere, recent)

    assert_same_belief(updated, adapter.infer(recent))
    assert_same_belief(updated, adapter.update(adapter.prior(TASKS), recent))


def test_a_second_step_continues_where_the_first_one_led():
    """Two steps are one step, taken again by an adapter whose prior is where the first one led."""
    one, two = (mixed_adapter(steps=steps).double() for steps in (1, 2))
    recent = Transitions(*(x[2:] for x in recent_transitions()))
    first, once = one.infer(recent), two.infer(recent)
    own = dict(one.model.net.named_parameters())
    with torch.no_grad():
        for name, value in adapted_parameters(one, first).items():
            own[name].copy_(value[:, 0])

    twice = one.infer(recent)

    assert_same_belief(map_belief(torch.add, first, twice), once)


def test_select_takes_robot_by_robot():
    adapter = mixed_adapter(parameters="all")
    first, second = (map_belief(lambda t, x=x: torch.full_like(t, x), adapter.prior(3)) for x in (1.0, 2.0))

    chosen = select(torch.tensor([True, False, True]), first, second)

    assert isinstance(chosen[0], GradientBelief)
    for value in tensors_of(chosen):
        for robot, wanted in enumerate([1.0, 2.0, 1.0]):
            assert (value[robot] == wanted).all()


def test_the_rule_none_keeps_the_models_own_parameters():
    adapter = NetworkAdapter(mixed_adapter().model, [NoAdaptation()])

    belief = adapter.update(adapter.prior(TASKS), mixed_transitions(TASKS, WINDOW))

    for name, value in adapter.condition(belief).parameters.items():
        assert value is dict(adapter.model.net.named_parameters())[name]
