"""Configuration of numbers that the model does not need and that must stay within limits: the `monitors` of a bridge YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from robot_bridge.safety.faults import FaultKind

MonitorKind = Literal["battery", "temperature", "load", "fall", "other"]
KINDS: tuple[MonitorKind, ...] = get_args(MonitorKind)
FAULTS_OF: dict[MonitorKind, tuple[FaultKind, FaultKind]] = {
    "battery": ("battery_low", "battery_critical"),
    "temperature": ("hot", "too_hot"),
    "load": ("high_load", "overload"),
    "fall": ("falling", "fallen"),
    "other": ("monitor_warning", "monitor_fault"),
}
"""The kinds of fault beyond the limits `warn` and `fault`, by what a monitor is about."""


@dataclass(frozen=True)
class Limits:
    """A range that may be open at one end.

    Attributes:
        low: smallest allowed value; none by default.
        high: largest allowed value; none by default.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ConfigError("neither low nor high is given; allowed: one of them, or both")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ConfigError(f"low {self.low:g} must be below high {self.high:g}")

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest allowed value, infinite where there is none."""
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    def contains(self, value: float) -> bool:
        """Whether a value is within; NaN is not."""
        low, high = self.ends
        return low <= value <= high

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"at most {self.high:g}" if self.low is None else f"at least {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class MonitorConfig:
    """A number that must stay within limits: an observation channel, or a field of a topic of its own.

    Attributes:
        kind: what it is about, which decides the kinds of faults: battery (battery_low, battery_critical), temperature (hot,
            too_hot), load (high_load, overload), fall (falling, fallen), other (monitor_warning, monitor_fault).
        channel: an observation channel, which is monitored beyond its `obs_limits`; then none of the next six keys is given.
        topic: the topic's name.
        type: the message type, for example ``sensor_msgs/msg/BatteryState``.
        field: path in the message, as for observations, for example ``percentage``, or ``orientation.tilt``, the angle between
            the body's z axis and the vertical; in a DynamicJointState the interface, in a DiagnosticArray the key of the value.
        joint: name of the joint in a JointState or DynamicJointState.
        status: name of the status in a DiagnosticArray.
        frame: only messages whose header has this frame_id count, where a topic carries several sensors; all by default.
        warn: beyond these limits is the first kind of fault, which is warned of by default.
        fault: beyond these is the second one, which gets the safe action by default.
        seconds: for how long a limit must be exceeded [s]; time within it is taken off again.
        max_age: longest time without a number before the monitor counts as lost [s]; without meaning for a channel.
    """

    kind: MonitorKind = "other"
    channel: str = ""
    topic: str = ""
    type: str = ""
    field: str = ""
    joint: str = ""
    status: str = ""
    frame: str = ""
    warn: Limits | None = None
    fault: Limits | None = None
    seconds: float = bounded(0.0, low=0.0, high=600.0)
    max_age: float = bounded(2.0, low=1e-2, high=600.0)

    def __post_init__(self) -> None:
        if self.warn is None and self.fault is None:
            raise ConfigError("key 'fault': missing, and so is 'warn'; allowed: {low: , high: } for one of them, or both")
        given = [key for key in ("topic", "type", "field", "joint", "status", "frame") if getattr(self, key)]
        if self.channel and given:
            raise ConfigError(f"key '{given[0]}': given beside 'channel'; allowed: a channel, or a topic with its type and field")
        if not self.channel:
            missing = [key for key in ("topic", "type", "field") if not getattr(self, key)]
            if missing:
                raise ConfigError(f"key '{missing[0]}': missing; allowed: a channel, or a topic with its type and field")

    @property
    def limits(self) -> Limits:
        """The limits beyond which it is a fault; those of the warning where there are no others."""
        limits = self.fault or self.warn
        assert limits is not None
        return limits
