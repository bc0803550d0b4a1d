"""How the losses of many training situations become one outer gradient: one way per file."""

from __future__ import annotations

from adaptive_mbrl.meta.balancing.base import Balancing
from adaptive_mbrl.meta.balancing.cvar import CVaRConfig
from adaptive_mbrl.meta.balancing.gradnorm import GradNormConfig
from adaptive_mbrl.meta.balancing.mean import MeanConfig
from adaptive_mbrl.meta.balancing.mgda import MGDAConfig
from adaptive_mbrl.meta.balancing.pcgrad import PCGradConfig
from adaptive_mbrl.meta.balancing.uncertainty import UncertaintyConfig

BalancingConfig = MeanConfig | CVaRConfig | PCGradConfig | MGDAConfig | GradNormConfig | UncertaintyConfig
"""In YAML one entry with the kind's name, for example ``cvar: {fraction: 0.1}``."""

__all__ = ["Balancing", "BalancingConfig"]
