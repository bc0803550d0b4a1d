"""Every rule and composition of rules that the contract is held against, and small adapters of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, Rules, make_adapter
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.adaptation.belief import Belief
from adaptive_mbrl.adaptation.context import ContextConfig
from adaptive_mbrl.adaptation.embedding import EmbeddingConfig
from adaptive_mbrl.adaptation.gauss_newton import GaussNewtonConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.history import HistoryConfig
from adaptive_mbrl.adaptation.known_parameters import KnownParametersConfig
from adaptive_mbrl.adaptation.latent import LatentConfig
from adaptive_mbrl.adaptation.learned_loss import LearnedLossConfig
from adaptive_mbrl.adaptation.mixture import MixtureConfig
from adaptive_mbrl.adaptation.multi_head import MultiHeadConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.adaptation.recurrent import RecurrentConfig
from adaptive_mbrl.adaptation.soft_modules import SoftModulesConfig
from adaptive_mbrl.adaptation.transformer import TransformerConfig
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, POINT, POINT_MODEL, POINT_WINDOW, mixed_model

WINDOW = 6
_MODULATION = GradientConfig(steps=2, learning_rate=0.3)
_CONTEXT = ContextConfig(hidden=16, heads=2, code_dim=4)
_LATENT = LatentConfig(hidden=16, code_dim=4)
RULES: dict[str, Rules] = {
    "none": (NoneConfig(),),
    "gradient": (_MODULATION,),
    "gradient_all": (GradientConfig(parameters="all", steps=1, learning_rate=0.02),),
    "gradient_second_order": (GradientConfig(steps=2, learning_rate=0.3, second_order=True, step_sizes="per_parameter"),),
    "gradient_last_layer": (GradientConfig(parameters="last_layer", steps=2, learning_rate=0.1, second_order=True),),
    "gradient_low_rank": (GradientConfig(parameters="low_rank", steps=2, learning_rate=0.1, second_order=True, rank=3),),
    "gauss_newton": (GaussNewtonConfig(steps=2),),
    "context": (_CONTEXT,),
    "context_without_gains": (ContextConfig(hidden=16, heads=2, code_dim=4, action_gain=False),),
    "context_backward": (ContextConfig(hidden=16, heads=2, code_dim=4, backward=0.5),),
    "known_parameters": (KnownParametersConfig(hidden=16, heads=2, code_dim=4, parameters=3),),
    "history": (HistoryConfig(),),
    "latent": (_LATENT,),
    "latent_samples": (LatentConfig(hidden=16, code_dim=4, samples=2, backward=0.5, abstraction=0.5),),
    "recurrent": (RecurrentConfig(hidden=12),),
    "learned_loss": (LearnedLossConfig(steps=2, learning_rate=0.3, hidden=8),),
    "transformer": (TransformerConfig(hidden=16, heads=2, code_dim=4),),
    "soft_modules": (SoftModulesConfig(hidden=16, heads=2, code_dim=4),),
    "bayes_linear": (BayesLinearConfig(),),
    "bayes_linear_samples": (BayesLinearConfig(samples=2),),
    "embedding": (EmbeddingConfig(count=40, code_dim=4),),
    "context_then_gradient": (_CONTEXT, _MODULATION),
    "latent_then_gradient": (_LATENT, _MODULATION),
    "bayes_linear_forgetting": (BayesLinearConfig(forgetting=0.8),),
    "context_then_bayes_linear": (_CONTEXT, BayesLinearConfig()),
    "context_then_gauss_newton": (_CONTEXT, GaussNewtonConfig()),
    "multi_head": (MultiHeadConfig(),),
    "mixture": (MixtureConfig(),),
    "context_then_multi_head": (_CONTEXT, MultiHeadConfig(heads=2)),
    "recurrent_then_gradient": (RecurrentConfig(hidden=12), _MODULATION),
    "gradient_then_bayes_linear": (_MODULATION, BayesLinearConfig(samples=2)),
}
ADAPTING = [name for name in RULES if name != "none"]
RECURSIVE = ["recurrent", "recurrent_then_gradient", "mixture"]
WINDOWED = [name for name in RULES if name not in RECURSIVE]
"""Rules that start over from their prior at every step."""
KINDS = (
    "none",
    "gradient_second_order",
    "gauss_newton",
    "context",
    "known_parameters",
    "history",
    "latent_samples",
    "recurrent",
    "learned_loss",
    "transformer",
    "soft_modules",
    "bayes_linear",
    "embedding",
    "context_then_bayes_linear",
    "multi_head",
    "mixture",
    "recurrent_then_gradient",
)
"""Each kind of rule once, and compositions of them: what the quick tests of something that takes seconds per rule run."""


def rules_marked_slow_but(quick: Collection[str], names: Iterable[str] = RULES) -> list[Any]:
    """Parameters of a test that takes seconds per rule: those of rules that are not named are slow tests."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


def stirred_adapter(rules: Rules, model: DynamicsModel | None = None, window: int = WINDOW, seed: int = 0) -> NetworkAdapter:
    """An adapter whose meta-parameters are all moved away from their neutral start, so that each of them matters."""
    adapter = make_adapter(mixed_model(**_shape(rules)) if model is None else model, rules, window)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return adapter.eval()


def point_adapter(name: str) -> NetworkAdapter:
    """The same for the point mass."""
    return stirred_adapter(RULES[name], DynamicsModel(POINT, point_model(name)), POINT_WINDOW)


def point_model(name: str, **changes: object) -> ModelConfig:
    """The shape of the network in there; `changes` are settings of it."""
    return dataclasses.replace(POINT_MODEL, **_shape(RULES[name]), **changes)  # type: ignore[arg-type]


def _shape(rules: Rules) -> dict[str, object]:
    """What has to be different in a small model: hidden layers that can be divided into modules."""
    return {"hidden": (16, 16, 8)} if any(isinstance(rule, SoftModulesConfig) for rule in rules) else {}


def questions(tasks: int, num: int = 3) -> tuple[Tensor, Tensor]:
    """Observations and actions to predict from, (tasks, num, ...)."""
    generator = torch.Generator().manual_seed(77)
    return (
        torch.randn(tasks, num, MIXED.obs_dim, generator=generator),
        torch.randn(tasks, num, MIXED.action_dim, generator=generator),
    )


@torch.no_grad()
def answers(adapter: NetworkAdapter, belief: Belief, obs: Tensor, action: Tensor) -> list[Tensor]:
    """All that a predictor says under a belief: mean and std of one step, each particle's target, and futures.

    Where the belief is a posterior that is sampled from, its samples' futures are among them.
    """
    predictor = adapter.condition(belief)
    said = [*predictor.predict(obs, action), predictor.target(obs, action).mean, predictor.features(obs, action)]
    candidates = action[:, :2, None].expand(-1, -1, 4, -1)
    said.append(predictor.roll_out(obs[:, 0], candidates).next_obs)
    noise = adapter.draw_noise(belief, torch.Generator().manual_seed(5))
    if noise is not None:
        said.append(adapter.condition(belief, noise).roll_out(obs[:, 0], candidates).next_obs)
    return said


def prior_answers(adapter: NetworkAdapter, obs: Tensor, action: Tensor) -> list[Tensor]:
    """What is said before any transition."""
    return answers(adapter, adapter.prior(len(obs)), obs, action)


def row(recent: Transitions, index: int) -> Transitions:
    """The window of one robot."""
    return Transitions(*(field[index : index + 1] for field in recent))
