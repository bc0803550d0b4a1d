"""The history as inputs against a first layer that is written out, and an encoder that leaves the action gains alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.context import ContextConfig
from adaptive_mbrl.adaptation.history import HistoryConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from tests.core.analytic import mixed_model, mixed_transitions
from tests.core.rules import WINDOW, questions, stirred_adapter

TASKS = 2
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, True]])


def first_bias(adapter: NetworkAdapter, task: int) -> Tensor:
    """The first layer's bias with what the valid transitions of one robot add to it, one after the other."""
    rule, base = adapter.rules[0], NetworkPredictor(adapter.model)
    recent, normalizer = mixed_transitions(TASKS, WINDOW), adapter.normalizer
    bias = base.parameters["bias_0"].double().clone()
    numbers = rule.weight.shape[1] // WINDOW
    for k in range(WINDOW):
        if VALID[task, k]:
            seen = base.affine.encode(recent.obs)[task, k]
            sent, came = normalizer.encode_action(recent.action)[task, k], normalizer.target(recent.obs, recent.next_obs)[task, k]
            x = torch.cat([seen, sent, came]).double().clamp(-10, 10)
            bias += (x @ rule.weight[:, k * numbers : (k + 1) * numbers].double())[:, None]
    return bias.float()


@torch.no_grad()
def test_the_valid_transitions_are_further_inputs_of_the_first_layer():
    adapter, asked = stirred_adapter((HistoryConfig(),)), questions(TASKS)
    said = adapter.condition(adapter.infer(mixed_transitions(TASKS, WINDOW)._replace(valid=VALID))).target(*asked).mean

    for task in range(TASKS):
        by_hand = NetworkPredictor(adapter.model).with_parameters({"bias_0": first_bias(adapter, task)}).target(*asked).mean
        torch.testing.assert_close(said[:, task], by_hand[:, task], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_code_without_action_gains_moves_the_context_only():
    base = {}
    for with_gains in (True, False):
        adapter = stirred_adapter((ContextConfig(hidden=16, heads=2, code_dim=4, action_gain=with_gains),))
        predictor = adapter.condition(adapter.infer(mixed_transitions(TASKS, WINDOW)))
        base[with_gains] = {
            n: predictor.per_robot(n) - adapter.model.net.parameters_by_name()[n][:, None] for n in ("action_gain", "context")
        }

    assert base[True]["action_gain"].abs().max() > 1e-3
    assert torch.equal(base[False]["action_gain"], torch.zeros_like(base[False]["action_gain"]))
    assert base[False]["context"].abs().max() > 1e-3


def test_a_code_that_could_change_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"key 'model.context_dim': 0; context without action_gain needs at least 1"):
        stirred_adapter((ContextConfig(action_gain=False),), mixed_model(context_dim=0))
