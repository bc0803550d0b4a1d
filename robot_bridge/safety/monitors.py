"""Numbers that must stay within limits most of the time: a battery's charge, temperatures, loads, how far a robot is tipped.

A limit counts as exceeded once the number has been beyond it for the monitor's `seconds`, and no longer once it has been within
it for as long. Time beyond counts up and time within counts down, so that a number that flickers around its limit is judged by
where it is most of the time. PX4's failure detector asks for such a time, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.circle import on_circle
from robot_bridge.safety.faults import Fault, FaultKind
from robot_bridge.safety.monitor_config import FAULTS_OF, Limits, MonitorConfig
from robot_bridge.safety.observation_checks import Observed


@dataclass(frozen=True)
class Reading:
    """The newest number of a monitor.

    Attributes:
        value: the number; NaN before the first one.
        heard: when it came, monotonic [s]; -inf before the first one.
    """

    value: float = math.nan
    heard: float = -math.inf


class Reader(Protocol):
    """Where a monitor's newest number comes from."""

    @property
    def reading(self) -> Reading:
        """The newest finite number, and when it came."""


class LimitWatch:
    """Watches one limit of one monitor.

    Args:
        name: the monitor's name.
        kind: the fault beyond the limit.
        limits: the allowed range.
        seconds: for how long it must be exceeded [s].
    """

    def __init__(self, name: str, kind: FaultKind, limits: Limits, seconds: float) -> None:
        self._name, self._kind, self._limits, self._seconds = name, kind, limits, seconds
        self._beyond, self._value = 0.0, math.nan
        self._is_exceeded = False

    def look(self, value: float, passed: float) -> list[Fault]:
        """Take over a number that has been valid for the time that passed [s]; NaN if it is not known, which changes nothing."""
        if math.isfinite(value):
            self._value, is_within = value, self._limits.contains(value)
            self._beyond = min(max(self._beyond + (-passed if is_within else passed), 0.0), self._seconds)
            if self._beyond == (0.0 if is_within else self._seconds):
                self._is_exceeded = not is_within
        if not self._is_exceeded:
            return []
        again = f", and not yet for {self._seconds:g} s" if self._limits.contains(self._value) else ""
        words = f"monitor '{self._name}' is {self._value:.4g}; allowed: {self._limits}{again}"
        return [Fault(self._kind, words, self._name)]


class Monitor:
    """One monitor with its limits.

    Args:
        name: its name in the bridge file.
        config: its limits.
    """

    def __init__(self, name: str, config: MonitorConfig) -> None:
        self.name, self.config = name, config
        levels = zip(FAULTS_OF[config.kind], (config.warn, config.fault), strict=True)
        self._watches = [LimitWatch(name, kind, limits, config.seconds) for kind, limits in levels if limits is not None]

    def look(self, now: float, reading: Reading, passed: float) -> list[Fault]:
        """The faults at `now`, monotonic [s].

        Args:
            now: the present time.
            reading: the newest number.
            passed: time since the last look [s].
        """
        silent = now - reading.heard
        is_lost = not silent <= self.config.max_age
        value = math.nan if is_lost else reading.value
        faults = [fault for watch in self._watches for fault in watch.look(value, passed)]
        return [self._lost(silent), *faults] if is_lost else faults

    def _lost(self, silent: float) -> Fault:
        since = "has no number" if silent == math.inf else f"has had no number for {silent:.2f} s"
        words = f"monitor '{self.name}' {since}; allowed: {self.config.max_age:g} s"
        return Fault("monitor_lost", words, self.name)


class Monitors:
    """All monitors of a bridge file; for the control loop's thread only.

    Args:
        spec: the robot's channels.
        configs: the monitors by name.
        readers: where the numbers come from of those that are not channels, by name.

    Attributes:
        readings: the numbers at the last look, by name.
        faults: what was found at the last look.
    """

    def __init__(self, spec: RobotSpec, configs: Mapping[str, MonitorConfig], readers: Mapping[str, Reader]) -> None:
        self._monitors = [Monitor(name, config) for name, config in configs.items()]
        self._readers, self._longest = readers, 2 * spec.dt
        self._channels = {name: spec.obs_index(config.channel) for name, config in configs.items() if config.channel}
        self._angles = {name for name, i in self._channels.items() if spec.obs[i].kind == "angle"}
        self._last = math.nan
        self.readings: dict[str, Reading] = {name: Reading() for name in configs}
        self.faults: tuple[Fault, ...] = ()

    def look(self, now: float, observed: Observed) -> tuple[Fault, ...]:
        """The faults at a tick.

        Args:
            now: monotonic time [s].
            observed: the observation of the tick.
        """
        passed = min(max(now - self._last, 0.0), self._longest) if math.isfinite(self._last) else 0.0
        self._last = now
        self.readings = {monitor.name: self._reading(monitor.name, now, observed) for monitor in self._monitors}
        found = (fault for monitor in self._monitors for fault in monitor.look(now, self.readings[monitor.name], passed))
        self.faults = tuple(found)
        return self.faults

    def _reading(self, name: str, now: float, observed: Observed) -> Reading:
        if name not in self._channels:
            return self._readers[name].reading
        value = float(observed.values[self._channels[name]])
        if name in self._angles and math.isfinite(value):
            # an angle may count turns
            value = float(on_circle(value))
        # whether a channel is fresh and finite is the supervisor's business
        return Reading(value, now)
