"""Adaptation rules, one file each: how a belief is made from recent transitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.gradient import GradientAdapter, GradientConfig
from adaptive_mbrl.adaptation.none import NoAdapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel


@dataclass(frozen=True)
class AdaptationConfig:
    """Which rule, and how much it sees.

    Attributes:
        rule: `gradient` (GrBAL) or `none`.
        window: K, recent transitions.
        gradient: settings of the rule `gradient`.
    """

    rule: Literal["gradient", "none"] = "gradient"
    window: int = bounded(16, low=1, high=1000)
    gradient: GradientConfig = GradientConfig()


def make_adapter(model: DynamicsModel, config: AdaptationConfig) -> Adapter[Any]:
    """The adapter that the config names."""
    return GradientAdapter(model, config.gradient) if config.rule == "gradient" else NoAdapter(model)
