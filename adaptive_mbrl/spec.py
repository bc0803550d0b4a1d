"""What the numbers in an observation and an action mean.

The simulated and the real robot share one `RobotSpec`. Every checkpoint stores it, so that a controller can refuse a robot whose
channels, units or control period differ from those that it was trained on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError

Kind = Literal["linear", "angle", "velocity"]
Target = Literal["delta", "direct"]


@dataclass(frozen=True)
class Channel:
    """One number of the observation.

    Attributes:
        name: unique within the robot, e.g. ``bthigh_angle``.
        unit: SI unit, e.g. ``rad``, ``m/s``.
        kind: ``angle`` for a number [rad] that wraps at +-pi; the model sees its sine and cosine. ``velocity`` for a rate of
            change, ``linear`` for anything else; the model sees both as they are.
        target: what the model predicts. ``delta``: the change over one control step. ``direct``: the next value itself, for
            channels whose present value says little about the next one, such as a mean speed over the control period.
    """

    name: str
    unit: str
    kind: Kind = "linear"
    target: Target = "delta"

    def __post_init__(self) -> None:
        if self.kind == "angle" and self.unit != "rad":
            raise ConfigError(f"channel '{self.name}': an angle has the unit 'rad', got '{self.unit}'; allowed: rad")
        if self.kind == "angle" and self.target == "direct":
            raise ConfigError(f"channel '{self.name}': an angle cannot have target 'direct'; allowed: delta")


@dataclass(frozen=True)
class ActionChannel:
    """One number of the action.

    Attributes:
        name: unique within the robot.
        unit: SI unit, or ``1`` for a number without one.
        low: smallest value; actions are clipped to it.
        high: largest value.
    """

    name: str
    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"action '{self.name}': low {self.low} is not below high {self.high}; allowed: 'low' below 'high'")


@dataclass(frozen=True)
class HealthyRange:
    """The values of one observation channel at which a robot is healthy: it has not fallen.

    Attributes:
        name: name of the observation channel.
        low: smallest healthy value, in the channel's unit; None for no limit below.
        high: largest healthy value; None for no limit above.
    """

    name: str
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ConfigError(f"healthy range of '{self.name}': give 'low', 'high' or both")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ConfigError(
                f"healthy range of '{self.name}': low {self.low} is not below high {self.high}; allowed: 'low' below 'high'"
            )


@dataclass(frozen=True)
class RobotSpec:
    """The named observation and action channels of a robot, its control period, and when its episodes end by themselves.

    Attributes:
        name: name of the robot.
        dt: control period [s].
        obs: observation channels, in the order of an observation array.
        action: action channels, in the order of an action array.
        healthy: the ranges in which the robot is healthy; without any it always is.
        terminate_when_unhealthy: whether an episode ends with the first step after which the robot is not healthy.
    """

    name: str
    dt: float
    obs: tuple[Channel, ...]
    action: tuple[ActionChannel, ...]
    healthy: tuple[HealthyRange, ...] = ()
    terminate_when_unhealthy: bool = True

    def __post_init__(self) -> None:
        if self.dt <= 0:
            raise ConfigError(f"key 'dt': {self.dt} of robot '{self.name}' is out of range; allowed: above 0")
        for key, names in (("obs", self.obs_names), ("action", self.action_names)):
            repeated = [n for n in names if names.count(n) > 1]
            if not names:
                raise ConfigError(f"key '{key}': robot '{self.name}' has no channels there; allowed: at least one")
            if repeated:
                raise ConfigError(f"key '{key}': two channels have the name '{repeated[0]}'; allowed: a name of its own for each")
        ranged = [r.name for r in self.healthy]
        for i, name in enumerate(ranged):
            try:
                self.obs_index(name)
            except ConfigError as error:
                raise ConfigError(f"key 'healthy[{i}].name': {error}") from error
            if ranged.count(name) > 1:
                raise ConfigError(f"robot '{self.name}': channel '{name}' has two healthy ranges; allowed: one")

    @property
    def can_end(self) -> bool:
        """Whether episodes of this robot can end by themselves."""
        return self.terminate_when_unhealthy and bool(self.healthy)

    @property
    def obs_dim(self) -> int:
        return len(self.obs)

    @property
    def action_dim(self) -> int:
        return len(self.action)

    @property
    def obs_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.obs)

    @property
    def action_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.action)

    def obs_index(self, name: str) -> int:
        """Find the position of an observation channel; for an unknown name the error lists the known ones."""
        if name not in self.obs_names:
            hint = did_you_mean(name, self.obs_names)
            raise ConfigError(
                f"unknown channel '{name}'{hint} of robot '{self.name}'; known channels: {', '.join(self.obs_names)}"
            )
        return self.obs_names.index(name)


def spec_differences(stored: Any, here: Any, where: str = "") -> Iterator[str]:
    """What a stored spec (or one channel of it) and the robot's do not have in common, in words; nothing if they are equal."""
    for item in dataclasses.fields(stored):
        got, wanted = getattr(stored, item.name), getattr(here, item.name)
        if not isinstance(got, tuple):
            if got != wanted:
                yield f"{where}{item.name} is {got}; the robot here has {wanted}"
        elif [c.name for c in got] != [c.name for c in wanted]:
            yield f"{item.name} is {[c.name for c in got]}; the robot here has {[c.name for c in wanted]}"
        else:
            for channel, other in zip(got, wanted, strict=True):
                yield from spec_differences(channel, other, f"{item.name} '{channel.name}': ")
