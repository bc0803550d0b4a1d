"""Distral's KL divergence between experts and their prior: its value by hand, and whom it pulls where."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.adaptation.embedding import EmbeddingConfig
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.meta import trainer as trainer_module
from adaptive_mbrl.meta.distillation import distillation_loss
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.predictor import Prediction
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, POINT, finite_difference
from tests.core.point_training import point_dataset, point_trainer, some_windows
from tests.core.together import precise

EXPERTS = (EmbeddingConfig(count=2, code_dim=2, steps=0, prior_share=0.0),)
"""One for each of two situations, and nothing that refines them."""
SINGLE = ModelConfig(hidden=(8,), members=1, context_dim=2, fixed_std=0.2)


class Said(NamedTuple):
    """A predictor that always says the same."""

    mean: Tensor
    std: Tensor

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        return Prediction(self.mean, self.std)


def two_tasks(obs_dim: int, action_dim: int) -> Windows:
    """A window of each of two situations, with a query of two steps."""
    recent = Transitions(
        torch.zeros(2, 1, obs_dim), torch.zeros(2, 1, action_dim), torch.zeros(2, 1, obs_dim), torch.ones(2, 1) > 0
    )
    return Windows(recent, torch.zeros(2, 3, obs_dim), torch.zeros(2, 2, action_dim), torch.arange(2))


def test_the_divergence_of_two_tasks_is_that_computed_by_hand():
    """Two channels. In task 0 the expert is N(1, 1) against N(0, 4) at one step and the prior at the other; in task 1 N(0, 9)."""
    prior = Said(torch.zeros(2, 2, 2), torch.full((2, 2, 2), 2.0))
    expert = Said(prior.mean.clone(), prior.std.clone())
    expert.mean[0, 0], expert.std[0, 0] = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0])
    expert.std[1] = torch.tensor([2.0, 3.0])
    first = math.log(2) + (1 + 1) / 8 - 0.5
    second = math.log(2 / 3) + 9 / 8 - 0.5

    found = distillation_loss(expert, prior, two_tasks(2, 1), Normalizer(POINT))

    torch.testing.assert_close(found, torch.tensor([first / 2, second]))


def test_angles_differ_on_their_circle():
    """From just below pi to just above -pi."""
    mean = torch.zeros(2, 2, 4)
    ahead, behind = mean.clone(), mean.clone()
    ahead[..., 1], behind[..., 1] = math.pi - 0.1, -math.pi + 0.1
    std = torch.full_like(mean, 0.5)

    found = distillation_loss(Said(ahead, std), Said(behind, std), two_tasks(4, 2), Normalizer(MIXED))

    torch.testing.assert_close(found, torch.full((2,), 0.2**2 / (2 * 0.5**2)))


def experts_trainer(weight: float) -> MetaTrainer:
    """Two experts that differ, in a normalizer's units."""
    trainer = point_trainer(rules=EXPERTS, model=SINGLE, distillation=weight)
    trainer.adapter.normalizer.fit(point_dataset().statistics())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trainer.adapter.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return trainer


def test_experts_of_two_situations_are_weighed_into_the_outer_loss():
    """With a fixed std the divergence is half the squared distance of what the two networks say, in that std."""
    windows = some_windows(torch.tensor([3, 40, 41]))._replace(task=torch.tensor([0, 1, 0]))
    trainer = experts_trainer(0.01)
    (rule,), model = trainer.adapter.rules, trainer.adapter.model
    expected = []
    for i, task in enumerate(windows.task):
        before, action = windows.obs[i : i + 1, :-1], windows.action[i : i + 1]
        said = [
            trainer.adapter.condition(belief).target(before, action).mean[0, 0]
            for belief in (
                map_belief(lambda _, t=task: rule.embeddings[t : t + 1], trainer.adapter.prior(1)),
                trainer.adapter.prior(1),
            )
        ]
        expected.append(0.5 * ((said[0] - said[1]) / model.config.fixed_std).square().sum(-1).mean())

    added = trainer.loss(windows) - experts_trainer(0.0).loss(windows)

    assert min(expected) > 1e-3
    torch.testing.assert_close(added, 0.01 * torch.stack(expected), rtol=1e-3, atol=1e-6)


def test_each_side_is_pulled_to_the_other_one():
    """The gradient is the sum of what it is with either side taken as a constant."""
    trainer = point_trainer(rules=(BayesLinearConfig(),), model=ModelConfig(hidden=(8,), members=2, context_dim=1, fixed_std=0.3))
    adapter, windows = trainer.adapter, some_windows(torch.tensor([8, 50]))
    adapter.normalizer.fit(point_dataset().statistics())
    weight = adapter.model.net.get_parameter("weight_0")

    def divergence(expert_is_constant: bool = False, prior_is_constant: bool = False) -> Tensor:
        predictors = []
        for belief, is_constant in ((adapter.infer(windows.recent), expert_is_constant), (adapter.prior(2), prior_is_constant)):
            said = adapter.condition(belief).predict(windows.obs[:, :-1], windows.action)
            predictors.append(Said(*(x.detach() if is_constant else x for x in said)))
        return distillation_loss(*predictors, windows, adapter.normalizer).sum()

    both, regularised, distilled = (
        torch.autograd.grad(divergence(*constant), weight)[0] for constant in ((False, False), (False, True), (True, False))
    )

    torch.testing.assert_close(both, regularised + distilled)
    assert regularised.norm() > 0.01 * both.norm()
    assert distilled.norm() > 0.01 * both.norm()


def test_its_gradient_equals_finite_differences():
    trainer, windows = experts_trainer(0.5), precise(some_windows(torch.tensor([3, 40])))._replace(task=torch.arange(2))
    trainer.adapter.double()
    for parameter in (trainer.adapter.rules[0].embeddings, trainer.adapter.model.net.get_parameter("weight_1")):
        (gradient,) = torch.autograd.grad(trainer.loss(windows).sum(), parameter)
        with torch.no_grad():
            measured = finite_difference(lambda: trainer.loss(windows).sum(), parameter, 1)
        assert gradient.flatten()[1].item() == pytest.approx(measured, rel=1e-5)


def test_without_a_weight_it_is_not_even_computed(monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object) -> Tensor:
        raise AssertionError

    monkeypatch.setattr(trainer_module, "distillation_loss", refuse)
    windows = some_windows(torch.arange(8))
    trainer = experts_trainer(0.0)

    belief = trainer.adapter.infer_in_training(windows)
    expected = trainer_module.multi_step_loss(trainer.adapter.condition(belief), windows)
    assert torch.equal(trainer.loss(windows), expected)
    with pytest.raises(AssertionError):
        experts_trainer(1e-9).loss(windows)


def test_the_loss_of_a_window_does_not_depend_on_the_others():
    """What balancings, and processes that share a meta-batch, stand on."""
    trainer, windows = experts_trainer(0.1), some_windows(torch.arange(0, 60, 10))
    together = trainer.loss(windows)

    for i in range(6):
        alone = map_belief(lambda field, i=i: field[i : i + 1], windows)
        torch.testing.assert_close(trainer.loss(alone), together[i : i + 1])


@torch.no_grad()
def test_training_with_it_brings_prior_and_experts_closer():
    found = []
    for weight in (0.0, 0.1):
        trainer = experts_trainer(weight)
        with torch.enable_grad():
            trainer.fit(point_dataset(), 60)
            scalars = trainer.gradient_conflict(point_dataset())
        windows = some_windows(torch.arange(0, 200, 5))
        predictors = (
            trainer.adapter.condition(b) for b in (trainer.adapter.infer_in_training(windows), trainer.adapter.prior(40))
        )
        found.append(distillation_loss(*predictors, windows, trainer.adapter.normalizer).mean().item())
        assert all(math.isfinite(value) for value in scalars.values())

    assert found[1] < 0.5 * found[0]
