"""May this observation be acted on? It must be fresh, finite, within limits, and like those of the training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.config import Range, SafetyConfig
from robot_bridge.safety.faults import Fault

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """The newest values of all observation channels.

    Attributes:
        values: newest value of each channel, (obs_dim,), in the spec's units; undefined for a channel that never came.
        received: time at which each value was measured, or at which it arrived if it has no stamp, monotonic [s], (obs_dim,);
            -inf for a channel that never came.
    """

    values: Array
    received: Array


@dataclass(frozen=True)
class TrainingRange:
    """What the training data were like.

    Attributes:
        mean: mean of each observation channel, (obs_dim,).
        std: standard deviation of each, (obs_dim,).
    """

    mean: Array
    std: Array


class ObservationChecks:
    """The checks of one robot's observations.

    Args:
        spec: the robot's channels.
        config: age limits and ranges.
        training: what the checkpoint was trained on; None for no limit `max_training_stds`.

    Attributes:
        max_age: age limits [s], (obs_dim,).
        low: smallest allowed value of each channel, (obs_dim,).
        high: largest allowed value, (obs_dim,).
    """

    def __init__(self, spec: RobotSpec, config: SafetyConfig, training: TrainingRange | None) -> None:
        self._spec, self._config = spec, config
        self.trained_on(training)
        self.max_age = np.array([config.age_limit(name) for name in spec.obs_names])
        self.low, self.high = np.array([self._range(name) for name in spec.obs_names]).T

    def trained_on(self, training: TrainingRange | None) -> None:
        """From now on the limit `max_training_stds` is about these training data; None for no such limit."""
        self._training = training
        self._possible_low, self._possible_high = self._possible_ranges()

    def is_fresh(self, now: float, observed: Observed) -> NDArray[np.bool_]:
        """Which channels are within their age limits, (obs_dim,)."""
        return self._fresh(_age(now, observed))

    def is_known(self, now: float, observed: Observed) -> NDArray[np.bool_]:
        """Which channels are fresh, finite and no further from the training data than is allowed, (obs_dim,)."""
        return self.is_fresh(now, observed) & self._possible(observed.values)

    def faults(self, now: float, observed: Observed) -> list[Fault]:
        """What is wrong with an observation."""
        values, age = observed.values, _age(now, observed)
        fresh, possible = self._fresh(age), self._possible(values)
        faults = self._stale_fault(age, fresh)
        for i, name in enumerate(self._spec.obs_names):
            if not fresh[i]:
                continue
            if not math.isfinite(values[i]):
                faults.append(Fault("not_finite", f"'{name}' is not finite"))
            elif not self.low[i] <= values[i] <= self.high[i]:
                words = f"'{name}' is {values[i]:g}; allowed: {self.low[i]:g} to {self.high[i]:g}"
                faults.append(Fault("out_of_limits", words))
            elif self._training is not None and not possible[i]:
                distance = abs(values[i] - self._training.mean[i]) / self._training.std[i]
                allowed = self._config.max_training_stds
                words = f"'{name}' is {values[i]:g}, {distance:.3g} stds from the training data; allowed: {allowed:g}"
                faults.append(Fault("unlike_training", words))
        return faults

    def _fresh(self, age: Array) -> NDArray[np.bool_]:
        # an observation from the future means that a clock jumped, so its age is not known
        return (age >= 0) & (age <= self.max_age)

    def _possible(self, values: Array) -> NDArray[np.bool_]:
        return np.isfinite(values) & (values >= self._possible_low) & (values <= self._possible_high)

    def _stale_fault(self, age: Array, fresh: NDArray[np.bool_]) -> list[Fault]:
        """One fault for all stale channels together, since usually many become stale at once."""
        stale = np.flatnonzero(~fresh)
        if not len(stale):
            return []
        i = stale[np.argmax(np.nan_to_num(age[stale], posinf=np.inf))]
        old = "was never received" if age[i] == math.inf else f"is {age[i]:.3f} s old, allowed: {self.max_age[i]:g} s"
        more = f", and {len(stale) - 1} more channels" if len(stale) > 1 else ""
        return [Fault("stale", f"'{self._spec.obs_names[i]}' {old}{more}")]

    def _possible_ranges(self) -> tuple[Array, Array]:
        unlimited = np.full(self._spec.obs_dim, np.inf)
        if self._training is None or self._config.max_training_stds == 0:
            return -unlimited, unlimited
        # an angle may count turns, and all its values are alike
        is_angle = np.array([channel.kind == "angle" for channel in self._spec.obs])
        reach = np.where(is_angle, unlimited, self._config.max_training_stds * self._training.std)
        return self._training.mean - reach, self._training.mean + reach

    def _range(self, name: str) -> tuple[float, float]:
        limits = self._config.obs_limits.get(name)
        return (-math.inf, math.inf) if limits is None else without_margin(limits, self._config.margin)


def without_margin(limits: Range, margin: float) -> tuple[float, float]:
    """The ends of a range, of which a share is kept free at either end."""
    kept = margin * (limits.high - limits.low)
    return limits.low + kept, limits.high - kept


def _age(now: float, observed: Observed) -> Array:
    with np.errstate(invalid="ignore"):
        return now - observed.received
