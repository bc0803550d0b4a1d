"""How the returns J_p of a candidate under its P particles become the one number that planners compare.

    mean    1/P sum_p J_p
    cvar    max_t  t - 1/(f P) sum_p max(t - J_p, 0),   the mean over the worst fraction f of the particles
    worst   min_p J_p

The maximum over t is a weighted mean of the ordered returns J_(1) <= ... <= J_(P),

    1/(f P) sum_i clamp(f P - (i - 1), 0, 1) J_(i)

so that where f P is no whole number, the last particle that counts does so by the remainder (the balancing `cvar` of trainings
counts whole situations only): conditional value at risk of a
distribution with steps (Rockafellar and Uryasev 2000, 2002). With f = 1 it is the mean, with f <= 1/P the worst particle.

Members of an ensemble differ where the data say little, and samples of a belief where the last transitions do. A plan that is
good under all of them relies on neither. EPOpt (Rajeswaran et al. 2017, arXiv 1610.01283) trains policies for the worst fraction
of an ensemble; here each plan is made for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from adaptive_mbrl.config import bounded


@dataclass(frozen=True)
class MeanRiskConfig:
    """Neutral: every particle counts the same."""

    TAG: ClassVar[str] = "mean"

    def of(self, returns: Tensor) -> Tensor:
        """The mean over the particles; `returns` is (P, ...), the result (...)."""
        return returns.mean(0)


@dataclass(frozen=True)
class CVaRRiskConfig:
    """Averse: the particles with the smallest returns count.

    Attributes:
        fraction: share of the particles that counts, the last of them by the remainder; 1 is the mean, and with less than one
            particle it is the worst one.
    """

    TAG: ClassVar[str] = "cvar"

    fraction: float = bounded(0.5, low=1e-3, high=1.0)

    def of(self, returns: Tensor) -> Tensor:
        """The mean over the worst particles; `returns` is (P, ...), the result (...)."""
        # less than one particle is the worst one as well, and then it keeps its return to the bit
        number = max(1.0, self.fraction * len(returns))
        whole = math.floor(number)
        ordered = returns.sort(0).values
        total = ordered[:whole].sum(0)
        if whole < len(returns):
            total = total + (number - whole) * ordered[whole]
        return total / number


@dataclass(frozen=True)
class WorstRiskConfig:
    """Most averse: the particle with the smallest return counts alone."""

    TAG: ClassVar[str] = "worst"

    def of(self, returns: Tensor) -> Tensor:
        """The smallest return of all particles; `returns` is (P, ...), the result (...)."""
        return returns.amin(0)


RiskConfig = MeanRiskConfig | CVaRRiskConfig | WorstRiskConfig
"""In YAML a word, for example ``risk: worst``, or one with its settings, ``risk: {cvar: {fraction: 0.34}}``."""
