"""What every adaptation rule promises, whatever its belief is."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter, RuleConfig
from adaptive_mbrl.adaptation.belief import map_belief, select, tensors_of
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description, load_checkpoint, save_checkpoint
from adaptive_mbrl.objective import Term
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, TINY_PLANNER, mixed_transitions
from tests.core.rules import ADAPTING, RECURSIVE, RULES, WINDOW, WINDOWED, answers, prior_answers, questions, row, stirred_adapter

TASKS = 3
SOME_VALID = torch.tensor([[False, True, False, True, True, True], [False] * 5 + [True], [True] * 4 + [False, True]])


def assert_same(said: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert len(said) == len(expected)
    for a, b in zip(said, expected, strict=True):
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)


def spoiled(recent: Transitions, value: float) -> Transitions:
    """The same window with a value in everything that is not valid."""
    tensors = (torch.where(recent.valid[..., None], x, value) for x in recent[:3])
    return Transitions(*tensors, recent.valid)


def updated(adapter: NetworkAdapter, recent: Transitions) -> tuple:
    with torch.no_grad():
        return adapter.update(adapter.prior(len(recent.obs)), recent)


def inferred(adapter: NetworkAdapter, recent: Transitions) -> tuple:
    with torch.no_grad():
        return adapter.infer(recent)


@pytest.mark.parametrize("believe", [inferred, updated])
@pytest.mark.parametrize("name", RULES)
def test_without_a_valid_transition_the_belief_predicts_as_the_prior(name: str, believe):
    adapter, asked = stirred_adapter(RULES[name]), questions(TASKS)
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=torch.zeros(TASKS, WINDOW, dtype=torch.bool))

    assert_same(answers(adapter, believe(adapter, recent), *asked), prior_answers(adapter, *asked))


@pytest.mark.parametrize("name", ADAPTING)
def test_valid_transitions_have_influence(name: str):
    adapter, asked = stirred_adapter(RULES[name]), questions(TASKS)

    mean, *_ = answers(adapter, inferred(adapter, mixed_transitions(TASKS, WINDOW)), *asked)

    assert ((mean - prior_answers(adapter, *asked)[0]).abs().amax((1, 2)) > 1e-3).all()


@pytest.mark.parametrize("value", [float("nan"), 1e30, -float("inf"), 0.0])
@pytest.mark.parametrize("believe", [inferred, updated])
@pytest.mark.parametrize("name", RULES)
def test_invalid_transitions_have_no_influence(name: str, believe, value: float):
    adapter, asked = stirred_adapter(RULES[name]), questions(TASKS)
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=SOME_VALID)

    said = answers(adapter, believe(adapter, spoiled(recent, value)), *asked)

    assert_same(said, answers(adapter, believe(adapter, recent), *asked))


@pytest.mark.parametrize("name", RULES)
def test_what_is_not_valid_does_not_reach_a_gradient(name: str):
    adapter = stirred_adapter(RULES[name])
    recent = spoiled(mixed_transitions(TASKS, WINDOW)._replace(valid=SOME_VALID), float("nan"))

    obs, action = questions(TASKS)
    adapter.condition(adapter.infer(recent)).predict(obs, action).mean.sum().backward()

    assert all(torch.isfinite(p.grad).all() for p in adapter.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", RULES)
def test_a_batch_is_as_one_by_one(name: str):
    adapter, (obs, action) = stirred_adapter(RULES[name]), questions(TASKS)
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=SOME_VALID)
    belief = inferred(adapter, recent)

    together = answers(adapter, belief, obs, action)

    for i in range(TASKS):
        one = obs[i : i + 1], action[i : i + 1]
        alone = answers(adapter, inferred(adapter, row(recent, i)), *one)
        taken = answers(adapter, map_belief(lambda tensor, i=i: tensor[i : i + 1], belief), *one)
        for batch, single, part in zip(together, alone, taken, strict=True):
            # the batch axis of a prediction is the first one, and that of what has particles the second one
            expected = batch[i : i + 1] if batch.dim() == 3 else batch[:, i : i + 1]
            torch.testing.assert_close(single, expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_beliefs_of_different_robots_can_be_mixed(name: str):
    """What the controller does when it falls back for some of its robots."""
    adapter, asked = stirred_adapter(RULES[name]), questions(TASKS)
    prior, belief = adapter.prior(TASKS), inferred(adapter, mixed_transitions(TASKS, WINDOW))
    fell_back = torch.tensor([True, False, True])

    mean, *_ = answers(adapter, select(fell_back, prior, belief), *asked)

    expected = torch.where(fell_back[:, None, None], prior_answers(adapter, *asked)[0], answers(adapter, belief, *asked)[0])
    torch.testing.assert_close(mean, expected)


@pytest.mark.parametrize("name", RULES)
def test_an_update_changes_neither_the_belief_that_it_got_nor_the_meta_parameters(name: str):
    adapter, recent = stirred_adapter(RULES[name]), mixed_transitions(TASKS, WINDOW)
    stored = {key: tensor.clone() for key, tensor in adapter.state_dict().items()}
    belief = inferred(adapter, mixed_transitions(TASKS, WINDOW, seed=3))
    given = [tensor.clone() for tensor in (*tensors_of(belief), *recent)]

    answers(adapter, adapter.update(belief, recent), *questions(TASKS))

    assert all(torch.equal(a, b) for a, b in zip((*tensors_of(belief), *recent), given, strict=True))
    assert all(torch.equal(tensor, stored[key]) for key, tensor in adapter.state_dict().items())


@pytest.mark.parametrize("name", WINDOWED)
def test_a_window_rule_starts_over_whatever_the_last_belief_was(name: str):
    adapter, recent = stirred_adapter(RULES[name]), mixed_transitions(TASKS, WINDOW)
    nonsense = map_belief(lambda tensor: torch.full_like(tensor, torch.nan), adapter.prior(TASKS))
    with torch.no_grad():
        belief = adapter.update(nonsense, recent)

    assert_same(tensors_of(belief), tensors_of(inferred(adapter, recent)))


@pytest.mark.parametrize("name", RECURSIVE)
def test_a_belief_that_is_carried_from_step_to_step_is_that_of_the_whole_window(name: str):
    adapter = stirred_adapter(RULES[name])
    recent = mixed_transitions(TASKS, WINDOW)._replace(valid=SOME_VALID)
    belief = adapter.prior(TASKS)
    for k in range(WINDOW):
        # the window as it was then; what had not happened yet is not in it
        window = Transitions(*(torch.roll(x, WINDOW - 1 - k, dims=1) for x in recent))
        known = torch.arange(WINDOW) >= WINDOW - 1 - k
        belief = updated_from(adapter, belief, window._replace(valid=window.valid & known))

    expected = inferred(adapter, recent)
    for a, b in zip(tensors_of(belief), tensors_of(expected), strict=True):
        torch.testing.assert_close(a, b)


def updated_from(adapter: NetworkAdapter, belief: tuple, recent: Transitions) -> tuple:
    with torch.no_grad():
        return adapter.update(belief, recent)


@pytest.mark.parametrize("name", RULES)
def test_a_checkpoint_predicts_as_the_original(tmp_path: Path, name: str):
    adapter, asked = stirred_adapter(RULES[name]), questions(TASKS)
    terms = (Term("linear", 1.0, ("speed",)),)
    about = Description(FORMAT_VERSION, MIXED, terms, (), adapter.model.config, RULES[name], TINY_PLANNER, WINDOW)
    save_checkpoint(tmp_path / "saved", Checkpoint(about, adapter))

    loaded = load_checkpoint(tmp_path / "saved")

    assert loaded.description == about
    recent = mixed_transitions(TASKS, WINDOW)
    said = answers(loaded.adapter, inferred(loaded.adapter, recent), *asked)
    assert_same(said, answers(adapter, inferred(adapter, recent), *asked))
    assert_same(prior_answers(loaded.adapter, *asked), prior_answers(adapter, *asked))


@pytest.mark.parametrize("name", RULES)
def test_every_trainable_parameter_is_in_exactly_one_group(name: str):
    adapter = stirred_adapter(RULES[name])

    grouped = [id(p) for group in adapter.parameter_groups() for p in group.parameters]

    assert sorted(grouped) == sorted(id(p) for p in adapter.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", RULES)
def test_with_fewer_digits_the_futures_are_nearly_the_same(name: str):
    adapter, (obs, action) = stirred_adapter(RULES[name]), questions(TASKS)
    belief = inferred(adapter, mixed_transitions(TASKS, WINDOW))
    noise = adapter.draw_noise(belief, torch.Generator().manual_seed(5))
    with torch.no_grad():
        exact = adapter.condition(belief, noise)
        rounded = exact.to(torch.bfloat16)
        futures = [predictor.roll_out(obs[:, 0], action[:, :, None]).next_obs for predictor in (exact, rounded)]
        stds = [predictor.predict(obs, action).std for predictor in (exact, rounded)]

    assert exact.error(futures[1], futures[0]).abs().max() < 0.1
    torch.testing.assert_close(stds[1].float(), stds[0], rtol=0.1, atol=0.02)


def test_every_rule_that_a_config_can_name_is_held_to_the_contract():
    assert set(typing.get_args(RuleConfig)) == {type(rule) for rules in RULES.values() for rule in rules}
