"""What the numbers in an observation and an action mean.

The simulated and the real robot share one `RobotSpec`. Every checkpoint stores it, so that a controller can refuse a robot whose
channels, units or control period differ from those that it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
            raise ConfigError(f"action '{self.name}': low {self.low} must be below high {self.high}")


@dataclass(frozen=True)
class RobotSpec:
    """The named observation and action channels of a robot, and its control period.

    Attributes:
        name: name of the robot.
        dt: control period [s].
        obs: observation channels, in the order of an observation array.
        action: action channels, in the order of an action array.
    """

    name: str
    dt: float
    obs: tuple[Channel, ...]
    action: tuple[ActionChannel, ...]

    def __post_init__(self) -> None:
        if self.dt <= 0:
            raise ConfigError(f"robot '{self.name}': dt {self.dt} must be positive")
        for what, names in (("observation", self.obs_names), ("action", self.action_names)):
            repeated = sorted({n for n in names if names.count(n) > 1})
            if repeated or not names:
                raise ConfigError(f"robot '{self.name}': {what} channels need unique names, got {list(names)}")

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
            raise ConfigError(f"unknown channel '{name}' of robot '{self.name}'; known channels: {', '.join(self.obs_names)}")
        return self.obs_names.index(name)
