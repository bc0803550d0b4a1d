"""How regular the control periods are, as ros2_control's diagnostics of periodicity say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from robot_bridge.machine.judgement import ERROR, WARN, Judgement, worst

FEWEST = 20
"""Number of periods from which on they are judged."""
_MS = 1e3


@dataclass(frozen=True)
class Thresholds:
    """From where on a figure is warned of, and is an error.

    Attributes:
        warn: level of a warning.
        error: level of an error, not below that of the warning.
    """

    warn: float = bounded(low=0.0)
    error: float = bounded(low=0.0)

    def __post_init__(self) -> None:
        if self.error < self.warn:
            raise ConfigError(f"key 'error': got {self.error:g}; allowed: from 'warn', {self.warn:g}, on")

    def level(self, value: float) -> int | None:
        """The level of a figure; None if it is not warned of."""
        return ERROR if value >= self.error else WARN if value >= self.warn else None


@dataclass(frozen=True)
class PeriodicityConfig:
    """Thresholds of the diagnosis of the control loop's period; they change nothing but `/diagnostics`.

    Attributes:
        mean_error: how far the mean rate may be from the checkpoint's [share of that rate].
        standard_deviation: how much the rate may vary [share of that rate].
        lateness: largest delay of the beginning of a control period [control periods].
        overruns: number of control periods among the last 200 that were left out.
    """

    mean_error: Thresholds = Thresholds(0.05, 0.1)
    standard_deviation: Thresholds = Thresholds(0.15, 0.3)
    lateness: Thresholds = Thresholds(0.25, 1.0)
    overruns: Thresholds = Thresholds(1, 5)


def judged(begins: Sequence[float], lateness: Sequence[float], dt: float, config: PeriodicityConfig) -> Judgement:
    """What the last control periods were like.

    Args:
        begins: when they began, monotonic [s], (n,).
        lateness: how late each of them began [s], (n,).
        dt: control period [s].
        config: the thresholds.
    """
    periods = np.diff(np.array(begins))
    # a clock that was set back gives no period
    periods = periods[periods > 0]
    if len(periods) < FEWEST:
        return worst({}, "too few periods yet", {"periods": len(periods)})
    rates, late = 1.0 / periods, float(np.max(lateness))
    figures = {
        "mean_error": abs(1.0 / periods.mean() * dt - 1.0),
        "standard_deviation": float(rates.std() * dt),
        "lateness": late / dt,
        "overruns": float(np.maximum(np.rint(periods / dt) - 1, 0).sum()),
    }
    found = {name: getattr(config, name).level(value) for name, value in figures.items()}
    words = {
        "mean_error": f"the mean rate is off by {figures['mean_error']:.0%}",
        "standard_deviation": f"the rate varies by {figures['standard_deviation']:.0%}",
        "lateness": f"a period began {_MS * late:.1f} ms late",
        "overruns": f"{figures['overruns']:.0f} periods were left out",
    }
    values = {
        "periods": len(periods),
        "periodicity.average [Hz]": float(1.0 / periods.mean()),
        "periodicity.standard_deviation [Hz]": float(rates.std()),
        "periodicity.min [Hz]": float(rates.min()),
        "periodicity.max [Hz]": float(rates.max()),
        "desired rate [Hz]": 1.0 / dt,
        "period, mean [ms]": float(_MS * periods.mean()),
        "period, standard deviation [ms]": float(_MS * periods.std()),
        "late, largest [ms]": _MS * late,
        "overruns in these periods": int(figures["overruns"]),
    }
    levels = {words[name]: level for name, level in found.items() if level is not None}
    return worst(levels, f"{values['periodicity.average [Hz]']:.1f} Hz", values)
