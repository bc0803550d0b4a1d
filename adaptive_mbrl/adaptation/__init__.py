"""Adaptation rules, one file each: how a belief is made from recent transitions, and what it does to the predictor."""

from __future__ import annotations

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
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
from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.adaptation.recurrent import RecurrentConfig
from adaptive_mbrl.adaptation.soft_modules import SoftModulesConfig
from adaptive_mbrl.adaptation.transformer import TransformerConfig
from adaptive_mbrl.dynamics.model import DynamicsModel

RuleConfig = (
    NoneConfig
    | GradientConfig
    | GaussNewtonConfig
    | ContextConfig
    | KnownParametersConfig
    | LatentConfig
    | LearnedLossConfig
    | RecurrentConfig
    | TransformerConfig
    | SoftModulesConfig
    | HistoryConfig
    | BayesLinearConfig
    | MultiHeadConfig
    | MixtureConfig
    | EmbeddingConfig
)
"""In YAML one entry with the rule's name, for example ``gradient: {steps: 2}``."""
Rules = tuple[RuleConfig, ...]
"""In YAML one rule, or a list of rules that follow one another."""


def make_adapter(model: DynamicsModel, rules: Rules, window: int) -> NetworkAdapter:
    """The adapter that the configs describe.

    Args:
        model: the dynamics model, which the adapter owns from now on.
        rules: in the order in which they condition the predictor.
        window: K, the number of recent transitions that rules see.

    Raises:
        ConfigError: the rules cannot follow one another in this order, or do not fit the model.
    """
    return NetworkAdapter(model, [rule.make(model, window) for rule in rules], window)


__all__ = ["Adapter", "NetworkAdapter", "RuleConfig", "Rules", "make_adapter"]
