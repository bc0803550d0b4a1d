"""Features that are trained not to tell the situation: signs of gradients, what is learned, and that control needs none of it."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.adaptation.domain_adversary import DomainAdversary, DomainAdversaryConfig
from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.data.windows import concatenate
from tests.core.analytic import finite_difference, mixed_transitions
from tests.core.point_training import point_dataset, point_trainer, some_windows, weights
from tests.core.rules import WINDOW, answers, questions, stirred_adapter
from tests.core.together import ThreadProcess, together

MEMBERS, WINDOWS, STEPS, FEATURES = 2, 4, 3, 5
SETTINGS = DomainAdversaryConfig(weight=0.3, count=3, hidden=6)
TASK = torch.tensor([0, 4, 2, 3])
WATCHED = (BayesLinearConfig(adversary=dataclasses.replace(SETTINGS, weight=0.0)),)
TRAINED = (BayesLinearConfig(adversary=SETTINGS),)


def adversary() -> tuple[DomainAdversary, Tensor]:
    """In float64, and features with a derivative."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(MEMBERS, WINDOWS, STEPS, FEATURES, generator=generator, dtype=torch.float64)
    return DomainAdversary(MEMBERS, FEATURES, SETTINGS).double(), features.requires_grad_()


def cross_entropy(one: DomainAdversary, features: Tensor) -> Tensor:
    """Of each window, written another way; situations 3 and 4 are classes 0 and 1."""
    classes = torch.tensor([0, 1, 2, 0])[None, :, None].expand(MEMBERS, WINDOWS, STEPS)
    return nn.functional.cross_entropy(one(features).movedim(-1, 1), classes, reduction="none").mean((0, 2))


def test_the_loss_is_the_cross_entropy_of_each_window():
    one, features = adversary()

    torch.testing.assert_close(one.loss(features, TASK), cross_entropy(one, features))


def test_each_member_has_a_discriminator_of_its_own():
    one, features = adversary()
    by_hand = [
        nn.functional.silu(features[e].detach() @ one.weight_0[e] + one.bias_0[e]) @ one.weight_1[e] + one.bias_1[e]
        for e in (0, 1)
    ]

    torch.testing.assert_close(one(features), torch.stack(by_hand))


def test_the_discriminator_gets_its_gradient_and_the_features_the_opposite_one():
    one, features = adversary()
    wanted = [*one.parameters(), features]

    *of_discriminator, of_features = torch.autograd.grad(one.loss(features, TASK).sum(), wanted)

    *expected, plain = torch.autograd.grad(cross_entropy(one, features).sum(), wanted)
    torch.testing.assert_close(of_discriminator, expected)
    torch.testing.assert_close(of_features, -0.3 * plain)
    measured = finite_difference(lambda: cross_entropy(one, features).sum(), features, 7)
    assert of_features.flatten()[7].item() == pytest.approx(-0.3 * measured, rel=1e-6)


@torch.no_grad()
def test_the_discriminators_loss_falls_along_its_gradient_and_rises_along_that_of_the_features():
    one, features = adversary()
    before = one.loss(features, TASK).mean()
    with torch.enable_grad():
        gradients = torch.autograd.grad(one.loss(features, TASK).mean(), [*one.parameters(), features])

    assert one.loss(features - 0.1 * gradients[-1], TASK).mean() > before
    for parameter, gradient in zip(one.parameters(), gradients, strict=False):
        parameter -= 0.1 * gradient
    assert one.loss(features, TASK).mean() < before


def test_the_outer_loss_has_the_same_value_and_another_gradient_in_the_features_alone():
    windows = some_windows(torch.arange(0, 80, 5))
    plain, against = point_trainer(rules=(BayesLinearConfig(),)), point_trainer(rules=TRAINED)
    losses = [trainer.loss(windows) for trainer in (plain, against)]

    assert torch.equal(*losses)
    for loss in losses:
        loss.sum().backward()
    changed = {n for n, p in plain.adapter.named_parameters() if not torch.equal(p.grad, against.adapter.get_parameter(n).grad)}
    net = {f"model.net.{name}" for name in ("weight_0", "bias_0", "action_gain", "context")}
    assert changed == net
    assert all(p.grad.any() for p in against.adapter.rules[0].adversary.parameters())


def test_a_discriminator_that_only_watches_changes_nothing_to_the_bit():
    plain, watched, against = (
        point_trainer(rules=rules, gradient_clip=0.0) for rules in ((BayesLinearConfig(),), WATCHED, TRAINED)
    )
    before = watched.adapter.rules[0].adversary.weight_0.detach().clone()
    for trainer in (plain, watched, against):
        trainer.fit(point_dataset(), 5)

    assert all(torch.equal(tensor, weights(watched)[name]) for name, tensor in weights(plain).items())
    assert not torch.equal(weights(plain)["model.net.weight_0"], weights(against)["model.net.weight_0"])
    assert not torch.equal(watched.adapter.rules[0].adversary.weight_0, before)


def test_without_the_option_there_is_no_discriminator():
    adapter = stirred_adapter((BayesLinearConfig(),))

    assert [name for name in adapter.state_dict() if name.startswith("rules")] == [
        "rules.0.log_prior_std",
        "rules.0.log_noise_std",
    ]
    assert adapter.loss_terms(adapter.prior(WINDOWS), some_windows(torch.arange(WINDOWS))) == {}
    assert len(adapter.rules[0].parameter_groups()) == 1


def test_the_option_is_read_from_yaml_and_written_back():
    read = from_mapping(BayesLinearConfig, {"adversary": {"count": 3, "weight": 0.3, "hidden": 6}}, source="train.yaml")

    assert read == TRAINED[0]
    assert from_mapping(BayesLinearConfig, to_mapping(read)["bayes_linear"], source="checkpoint.yaml") == read
    assert from_mapping(BayesLinearConfig, {}, source="train.yaml").adversary is None


def test_the_discriminator_has_a_learning_rate_of_its_own():
    rules = (BayesLinearConfig(adversary=dataclasses.replace(SETTINGS, learning_rate=0.123)),)
    adapter = stirred_adapter(rules)

    (group,) = (group for group in adapter.parameter_groups() if group.learning_rate == 0.123)

    assert {id(p) for p in group.parameters} == {id(p) for p in adapter.rules[0].adversary.parameters()}
    assert len({id(p) for g in adapter.parameter_groups() for p in g.parameters}) == len(list(adapter.parameters()))


@torch.no_grad()
def test_control_needs_nothing_of_it():
    """What is left without it says the same, to the bit."""
    adapter, recent, asked = stirred_adapter(TRAINED), mixed_transitions(2, WINDOW), questions(2)
    without = stirred_adapter((BayesLinearConfig(),), seed=1)
    without.load_state_dict({name: tensor for name, tensor in adapter.state_dict().items() if ".adversary." not in name})

    said, expected = (answers(one, one.infer(recent), *asked) for one in (without, adapter))

    assert all(torch.equal(a, b) for a, b in zip(said, expected, strict=True))


def test_two_processes_take_the_steps_of_one():
    halves = [some_windows(torch.arange(16 * rank, 16 * rank + 16)) for rank in range(2)]

    def train(process: ThreadProcess) -> dict[str, Tensor]:
        half = point_trainer(rules=TRAINED, process=process)
        half.step(halves[process.rank])
        return weights(half)

    first, _ = together(2, train)
    alone = point_trainer(rules=TRAINED)
    alone.step(concatenate(halves))

    for name, tensor in weights(alone).items():
        torch.testing.assert_close(first[name], tensor, rtol=1e-3, atol=1e-5)


class Game(NamedTuple):
    """What came of training features with a layer for each of two situations: the paper's equation 5.

    Attributes:
        weight: of the features' inputs, which are place, speed and action, (3, 8).
        bias: (8,).
        cross_entropy: the discriminator's, mean over the last 100 steps.
        error: mean squared error of the targets in these steps.
    """

    weight: Tensor
    bias: Tensor
    cross_entropy: float
    error: float

    def features(self, inputs: Tensor) -> Tensor:
        return torch.tanh(inputs @ self.weight + self.bias)


def drawn(generator: torch.Generator, num: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and situations. In situation 1 the motor is wired backwards, and the robot is in another place.

    The place does not matter for the motion, and nothing else tells the situations apart.
    """
    task = torch.arange(num) % 2
    inputs = torch.randn(num, 3, generator=generator)
    inputs[:, 0] += 3.0 * task - 1.5
    targets = torch.stack([0.5 * inputs[:, 1].tanh() + 0.2, (1 - 2 * task) * inputs[:, 2]], dim=-1)
    return inputs, targets, task


@functools.cache
def played(weight: float) -> Game:
    generator = torch.Generator().manual_seed(0)
    game = Game((torch.randn(3, 8, generator=generator) / 3**0.5).requires_grad_(), torch.zeros(8, requires_grad=True), 0.0, 0.0)
    layers = torch.zeros(2, 9, 2, requires_grad=True)
    one = DomainAdversary(1, 8, DomainAdversaryConfig(weight=weight, count=2, hidden=16))
    optimizer = torch.optim.Adam([game.weight, game.bias, layers, *one.parameters()], lr=3e-3)
    seen = []
    for _ in range(400):
        inputs, targets, task = drawn(generator)
        features = game.features(inputs)
        predicted = torch.einsum("nf,nfo->no", nn.functional.pad(features, (0, 1), value=1.0), layers[task])
        losses = torch.stack([one.loss(features[None, :, None], task).mean(), (predicted - targets).square().mean()])
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        seen.append(losses.detach())
    return Game(game.weight.detach(), game.bias.detach(), *torch.stack(seen[-100:]).mean(0).tolist())


def probe_accuracy(game: Game) -> float:
    """Of a discriminator that is fitted to finished features, on inputs that it has not seen."""
    one, generator = DomainAdversary(1, 8, DomainAdversaryConfig(count=2, hidden=16)), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(one.parameters(), lr=1e-2)
    for _ in range(100):
        inputs, _, task = drawn(generator)
        optimizer.zero_grad()
        one.loss(game.features(inputs)[None, :, None], task).mean().backward()
        optimizer.step()
    inputs, _, task = drawn(generator, 2000)
    return (one(game.features(inputs)[None, :, None])[0, :, 0].argmax(-1) == task).float().mean().item()


def test_without_it_features_tell_the_situation():
    watched = played(0.0)

    assert probe_accuracy(watched) > 0.85
    assert watched.cross_entropy < 0.5 * math.log(2)


def test_features_that_are_trained_against_the_discriminator_leave_it_near_chance():
    """They lean on the place less than on the speed, which is needed, and what is needed is still learned."""
    watched, against = played(0.0), played(1.0)

    assert against.cross_entropy > 0.8 * math.log(2)
    place, speed, _ = (against.weight.norm(dim=1) / watched.weight.norm(dim=1)).tolist()
    assert place < 0.6 * speed
    assert against.error < 0.1
