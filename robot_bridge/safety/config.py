"""Configuration of the safety supervisor: the `safety` part of a bridge YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError

LONGEST_AGE = 10.0
"""Largest age limit that is allowed [s]; a larger number was probably meant in another unit."""


@dataclass(frozen=True)
class Range:
    """A closed interval in the channel's own unit.

    Attributes:
        low: smallest allowed value.
        high: largest allowed value.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"low {self.low:g} must be below high {self.high:g}")


@dataclass(frozen=True)
class Damper:
    """A safe action that brakes a motion: -gain * velocity.

    Attributes:
        velocity: name of an observation channel of the kind `velocity`.
        gain: command per velocity [unit of the action / unit of the velocity].
    """

    velocity: str
    gain: float = bounded(low=0.0)


@dataclass(frozen=True)
class SafetyConfig:
    """Limits between planner and actuator.

    Attributes:
        rate_limits: fastest change of each action channel [its unit/s]; every channel needs an entry.
        action_limits: tighter limits than the robot spec's, by action channel.
        obs_limits: allowed ranges, by observation channel; a value outside is a fault.
        margin: share of each of these ranges that is kept free at either end.
        max_training_stds: largest distance of an observation from the mean of the training data [training stds], for all channels
            but angles; a value further away is a fault, because no such robot moves like that. 0 switches this check off.
        max_age: largest age of an observation that may be acted on [s].
        max_age_of: age limits of single observation channels, which replace `max_age` for them [s].
        max_missed_deadlines: number of control periods in a row that may pass without a plan; one more is a fault.
        max_model_error: one-step error above which the model is wrong [target stds]; 0 switches this alarm off.
        model_error_steps: number of steps in a row above that error which make a fault.
        ramp_seconds: duration of the soft start, from the safe action to the full plan [s].
        recovery_seconds: how long all faults must be gone before a held robot starts again [s].
        safe_action: what is sent instead of the plan. `hold` repeats the last command, `zero` is zero or the limit nearest to it,
            and `damping` brakes with the `dampers`, with zero where a velocity is not known.
        dampers: the braking of the safe action `damping`, by action channel; a channel without an entry gets zero.
    """

    rate_limits: Mapping[str, float]
    action_limits: Mapping[str, Range] = field(default_factory=dict)
    obs_limits: Mapping[str, Range] = field(default_factory=dict)
    margin: float = bounded(0.0, low=0.0, high=0.4)
    max_training_stds: float = bounded(30.0, low=0.0)
    max_age: float = bounded(0.1, low=1e-3, high=LONGEST_AGE)
    max_age_of: Mapping[str, float] = field(default_factory=dict)
    max_missed_deadlines: int = bounded(3, low=0)
    max_model_error: float = bounded(0.0, low=0.0)
    model_error_steps: int = bounded(10, low=1)
    ramp_seconds: float = bounded(2.0, low=0.0)
    recovery_seconds: float = bounded(1.0, low=0.0)
    safe_action: Literal["hold", "zero", "damping"] = "zero"
    dampers: Mapping[str, Damper] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("rate_limits", "max_age_of"):
            for name, value in getattr(self, key).items():
                if not value > 0:
                    raise ConfigError(f"key '{key}.{name}': {value:g} is out of range; allowed: above 0")
                if key == "max_age_of" and value > LONGEST_AGE:
                    raise ConfigError(f"key '{key}.{name}': {value:g} is out of range; allowed: at most {LONGEST_AGE:g}")
        if self.safe_action == "damping" and not self.dampers:
            raise ConfigError("key 'dampers': missing with safe_action 'damping'; allowed: {ACTION: {velocity: CHANNEL, gain: }}")

    def age_limit(self, channel: str) -> float:
        """Largest age of an observation channel that may be acted on [s]."""
        return self.max_age_of.get(channel, self.max_age)
