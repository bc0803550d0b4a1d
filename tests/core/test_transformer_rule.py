"""The transformer's code against attention that is written out for the valid transitions alone, and what order means to it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.modulation import encode_transitions
from adaptive_mbrl.adaptation.transformer import Layer, TransformerConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import mixed_model, mixed_transitions
from tests.core.rules import WINDOW, stirred_adapter

HEADS, CODE_DIM = 2, 4
CONFIG = TransformerConfig(hidden=16, layers=2, heads=HEADS, code_dim=CODE_DIM)
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, True], [False] * 5 + [True]])
TASKS = len(VALID)


def adapter_in_float64() -> NetworkAdapter:
    return stirred_adapter((CONFIG,)).double()


def window(valid: Tensor = VALID) -> Transitions:
    recent = mixed_transitions(TASKS, WINDOW)
    return Transitions(*(x.double() for x in recent[:3]), valid)


def code(adapter: NetworkAdapter, recent: Transitions) -> Tensor:
    with torch.no_grad():
        return adapter.infer(recent)[0].code


def plain_layer(layer: Layer, x: Tensor) -> Tensor:
    """One layer on the tokens (L, hidden), one query and one head after the other."""
    query, key, value = layer.projected(layer.attention_norm(x)).chunk(3, dim=-1)
    width = query.shape[1] // layer.heads
    rows = []
    for q in query:
        parts = []
        for head in range(layer.heads):
            own = slice(head * width, (head + 1) * width)
            weights = torch.softmax(torch.stack([q[own] @ k[own] for k in key]) / math.sqrt(width), dim=0)
            parts.append(sum(w * v[own] for w, v in zip(weights, value, strict=True)))
        rows.append(torch.cat(parts))
    x = x + layer.attended(torch.stack(rows))
    return x + layer.perceptron(layer.perceptron_norm(x))


def plain_code(adapter: NetworkAdapter, recent: Transitions, task: int) -> Tensor:
    """Of the valid transitions; the others are not there at all."""
    rule, known = adapter.rules[0], recent.valid[task]
    encoded = encode_transitions(NetworkPredictor(adapter.model), recent)[task, known]
    x = torch.cat([rule.empty[None], rule.embedding(encoded) + rule.age[known]])
    for layer in rule.layers:
        x = plain_layer(layer, x)
    x = rule.norm(x[1:])
    pooled = torch.zeros(CODE_DIM, dtype=torch.float64)
    for head in range(HEADS):
        scores = torch.cat([rule.empty_attention[head : head + 1], rule.attention(x)[:, head]]).exp()
        values = rule.value(x)[:, head * CODE_DIM : (head + 1) * CODE_DIM]
        pooled += sum(s / scores.sum() * v for s, v in zip(scores[1:], values, strict=True))
    return pooled / math.sqrt(HEADS)


def test_the_code_is_that_of_attention_over_the_valid_transitions():
    adapter, recent = adapter_in_float64(), window()

    codes = code(adapter, recent)

    with torch.no_grad():
        for task in range(TASKS):
            torch.testing.assert_close(codes[task], plain_code(adapter, recent, task), rtol=1e-10, atol=1e-12)
    assert (codes.abs().amax(1) > 0.05).all()


def test_without_data_the_code_is_zero():
    assert not code(adapter_in_float64(), window(torch.zeros_like(VALID))).any()


def test_the_order_of_the_window_matters_and_only_by_the_transitions_age():
    adapter, recent, order = adapter_in_float64(), window(), torch.tensor([4, 1, 5, 0, 3, 2])
    mixed = Transitions(*(field[:, order] for field in recent))
    assert ((code(adapter, mixed) - code(adapter, recent)).abs().amax(1) > 1e-3).all()

    with torch.no_grad():
        adapter.rules[0].age.zero_()

    torch.testing.assert_close(code(adapter, mixed), code(adapter, recent), rtol=1e-10, atol=1e-12)


def test_initial_weights_are_drawn_from_the_seed():
    def drawn(seed: int) -> Tensor:
        return make_adapter(mixed_model(), (TransformerConfig(seed=seed),), WINDOW).rules[0].age

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_a_width_that_the_heads_cannot_share_is_refused():
    with pytest.raises(ConfigError, match=r"key 'transformer\.hidden': 10 is no multiple of the 4 heads") as caught:
        make_adapter(mixed_model(), (TransformerConfig(hidden=10),), WINDOW)

    assert "\n" not in str(caught.value)
