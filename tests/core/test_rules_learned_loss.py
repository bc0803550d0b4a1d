"""The learned loss against its formula and finite differences, and a third robot adapting with what two others have learned."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, RuleConfig, make_adapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.adaptation.context import ContextConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.learned_loss import LearnedLoss, LearnedLossConfig, LearnedLossRule, transfer_learned_loss
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import DT, POINT, POINT_MODEL, mixed_model, mixed_transitions, push
from tests.core.rules import WINDOW, stirred_adapter

TASKS = 3
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, True], [False] * 5 + [True]])
CONFIG = LearnedLossConfig(steps=2, learning_rate=0.3, hidden=8)


def window() -> Transitions:
    """In float64."""
    recent = mixed_transitions(TASKS, WINDOW)
    return Transitions(*(x.double() for x in recent[:3]), VALID)


def rule_of(adapter: NetworkAdapter) -> LearnedLossRule:
    (rule,) = adapter.rules
    assert isinstance(rule, LearnedLossRule)
    return rule


def stirred_loss() -> LearnedLoss:
    return rule_of(stirred_adapter((CONFIG,))).loss.double()


def errors(channels: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Errors before and after, and targets, (P, T, K, channels), the last without P."""
    generator = torch.Generator().manual_seed(3)
    error, surprise = (torch.randn(2, TASKS, WINDOW, channels, generator=generator, dtype=torch.float64) for _ in range(2))
    return error, surprise, torch.randn(TASKS, WINDOW, channels, generator=generator, dtype=torch.float64)


@torch.no_grad()
def test_the_loss_is_its_formula_channel_by_channel():
    loss, (error, surprise, target) = stirred_loss(), errors()

    said = loss(error, surprise, target, VALID)

    for particle in range(2):
        for task in range(TASKS):
            e, s, y = error[particle, task], surprise[particle, task], target[task]
            valid = [k for k in range(WINDOW) if VALID[task, k]]
            total = 0.0
            for k in valid:
                for c in range(4):
                    mean = sum(s[j, c].item() for j in valid) / len(valid)
                    power = sum(s[j, c].item() ** 2 for j in valid) / len(valid)
                    whole = sum(s[k, d].item() ** 2 for d in range(4)) / 4
                    ec, sc, age = e[k, c].item(), s[k, c].item(), WINDOW - 1 - k
                    features = [ec**2, ec * sc, sc**2, y[k, c].item() ** 2, ec * mean, power, whole, age, len(valid)]
                    output = loss.net(torch.tensor([math.asinh(x) for x in features], dtype=torch.float64)).item()
                    total += math.exp(3 * math.tanh(output)) * ec**2
            assert said[particle, task].item() == pytest.approx(total / len(valid), rel=1e-10)


@torch.no_grad()
def test_a_channels_sign_and_place_mean_nothing_to_the_loss():
    loss, seen = stirred_loss(), errors()
    sign, order = torch.tensor([1.0, -1.0, -1.0, 1.0]).double(), torch.tensor([2, 0, 3, 1])
    expected = loss(*seen, VALID)

    torch.testing.assert_close(loss(*(sign * x for x in seen), VALID), expected)
    torch.testing.assert_close(loss(*(x[..., order] for x in seen), VALID), expected)
    # a robot with every channel twice has twice the loss
    torch.testing.assert_close(loss(*(torch.cat([x, x], dim=-1) for x in seen), VALID), 2 * expected)


def test_before_training_the_rule_is_the_gradient_rule():
    learned, plain = (
        make_adapter(mixed_model(), (rule,), WINDOW).double() for rule in (CONFIG, GradientConfig(steps=2, learning_rate=0.3))
    )

    for a, b in zip(tensors_of(learned.infer(window())), tensors_of(plain.infer(window())), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_window_that_is_predicted_without_error_asks_for_no_step():
    adapter, recent = stirred_adapter((CONFIG,), mixed_model(members=1)).double(), window()
    own = NetworkPredictor(adapter.model).target(recent.obs, recent.action).mean[0].detach()
    exact = recent._replace(next_obs=adapter.normalizer.wrap(adapter.normalizer.affine().advance(recent.obs, own)))
    # where the range of the data ends, a prediction is cut
    exact = exact._replace(valid=VALID & ((adapter.normalizer.target(exact.obs, exact.next_obs) - own).abs() < 1e-9).all(-1))
    assert exact.valid.sum() > 3

    for moved in tensors_of(adapter.infer(exact)):
        assert moved.abs().max() < 1e-8


def test_under_no_grad_the_same_belief_comes_out():
    adapter = stirred_adapter((CONFIG,)).double()
    with_graph = tensors_of(adapter.infer(window()))
    with torch.no_grad():
        without = tensors_of(adapter.infer(window()))

    for a, b in zip(without, with_graph, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
        assert not a.requires_grad


def test_the_outer_gradient_of_the_loss_network_is_that_of_finite_differences():
    """The network has no other way to the prediction than the inner steps."""
    adapter, asked = stirred_adapter((CONFIG,)).double(), mixed_transitions(TASKS, 2, seed=9)
    obs, action = asked.obs.double(), asked.action.double()

    def outer_loss() -> Tensor:
        return adapter.condition(adapter.infer(window())).target(obs, action).mean.square().sum()

    network = rule_of(adapter).loss.net
    outer_loss().backward()
    for parameter in network.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad
        assert gradient is not None
        for i in {0, flat.numel() // 2, flat.numel() - 1}:
            here, values = flat[i].item(), []
            for shift in (1e-5, -1e-5):
                flat[i] = here + shift
                with torch.no_grad():
                    values.append(outer_loss().item())
            flat[i] = here
            assert gradient.view(-1)[i].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-7)


def test_a_learned_loss_moves_to_a_robot_with_other_channels():
    source = stirred_adapter((ContextConfig(hidden=8, heads=1, code_dim=2), CONFIG))
    without_context = ModelConfig(hidden=(8,), members=1, context_dim=0)
    for model in (POINT_MODEL, without_context):
        target = make_adapter(DynamicsModel(POINT, model), (CONFIG,), WINDOW)
        network = {name: p.clone() for name, p in target.model.state_dict().items()}

        transfer_learned_loss(source, target)

        given, taken = source.rules[1], rule_of(target)
        for key, value in taken.state_dict().items():
            assert torch.equal(value, given.state_dict()[key])
        assert all(torch.equal(p, network[name]) for name, p in target.model.state_dict().items())


def test_what_has_no_learned_loss_of_the_same_width_is_refused():
    adapter, other = (make_adapter(mixed_model(), (rule,), WINDOW) for rule in (CONFIG, GradientConfig()))
    wider = make_adapter(mixed_model(), (LearnedLossConfig(hidden=9),), WINDOW)

    for source, target in ((adapter, other), (other, adapter)):
        with pytest.raises(ConfigError, match="no rule learned_loss"):
            transfer_learned_loss(source, target)
    with pytest.raises(ConfigError, match="the source has width 8, that of the target 9"):
        transfer_learned_loss(adapter, wider)


# Robots with one, two and three pushed axes, each motor with a gain of its own. Now and then somebody knocks at an axis: such a
# transition says nothing about the gain, and a squared error is about little else.

K, QUERY = 8, 3
OUTER = OuterConfig(query=QUERY, meta_batch_size=32, learning_rate=1e-2)


def axes(num: int) -> RobotSpec:
    obs = tuple(c for i in range(num) for c in (Channel(f"position_{i}", "m"), Channel(f"speed_{i}", "m/s", "velocity")))
    return RobotSpec(f"axes_{num}", DT, obs, tuple(ActionChannel(f"force_{i}", "N", -1.0, 1.0) for i in range(num)))


def knocked_episodes(axes: int, num: int, seed: int, steps: int = 40, calm: int = 0) -> list[Episode]:
    """Random pushes; in the last `calm` steps nobody knocks."""
    rng, episodes = np.random.default_rng(seed), []
    for _ in range(num):
        gain, action = rng.uniform(0.2, 1.5, axes), rng.uniform(-1, 1, (steps, axes)).astype(np.float32)
        obs = [rng.normal(0, [1.0, 2.0], (axes, 2)).astype(np.float32)]
        for k in range(steps):
            after = push(obs[-1], action[k, :, None], gain)
            after[:, 1] += (k < steps - calm) * (rng.random(axes) < 0.1) * rng.normal(0, 5, axes)
            obs.append(after)
        episodes.append(Episode(np.stack(obs).reshape(steps + 1, -1), action, np.zeros(steps, np.float32), {}))
    return episodes


@functools.cache
def dataset(num: int) -> EpisodeDataset:
    return EpisodeDataset(axes(num), knocked_episodes(num, 40, seed=num), [], K, QUERY)


def trainer(num: int, rule: RuleConfig) -> MetaTrainer:
    adapter = make_adapter(DynamicsModel(axes(num), ModelConfig(hidden=(32,), members=1, context_dim=2)), (rule,), K)
    return MetaTrainer(adapter, OUTER)


def with_rule(adapter: NetworkAdapter, rule: RuleConfig) -> NetworkAdapter:
    """The same network with another rule."""
    return make_adapter(adapter.model, (rule,), K)


@torch.no_grad()
def error(adapter: NetworkAdapter, windows: Windows, adapt: bool = True) -> float:
    """RMS error along queries in which nobody knocks."""
    belief = adapter.infer(windows.recent) if adapt else adapter.prior(len(windows.obs))
    return float(query_errors(adapter.condition(belief), windows).square().mean().sqrt())


def test_a_third_robot_adapts_with_the_loss_that_two_others_have_learned():
    """Its multi-task network has never been adapted, and no step size on the squared error comes near."""
    rule = LearnedLossConfig(steps=1, learning_rate=0.3, hidden=16)
    one, two = trainer(1, rule), trainer(2, rule)
    for _ in range(2):
        for now, other in ((one, two), (two, one)):
            now.fit(dataset(now.adapter.model.spec.action_dim), 80)
            transfer_learned_loss(now.adapter, other.adapter)
    third = trainer(3, NoneConfig())
    third.fit(dataset(3), 170)

    calm = WindowSampler(knocked_episodes(3, 200, seed=500, steps=K + QUERY, calm=QUERY), K, QUERY)
    windows = calm.at(torch.arange(K, len(calm), K + 1))
    adapter = with_rule(third.adapter, rule)
    transfer_learned_loss(two.adapter, adapter)
    prior, transferred = error(adapter, windows, adapt=False), error(adapter, windows)
    squared = [
        error(with_rule(third.adapter, GradientConfig(steps=1, learning_rate=rate)), windows) for rate in np.geomspace(0.03, 3, 9)
    ]

    assert transferred < 0.75 * prior
    assert transferred < 0.8 * min(squared)
