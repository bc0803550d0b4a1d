"""Bars of the page: commands and observations within their limits, and the belief about each motor."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.viewing.bars import Bar
from robot_bridge.safety.supervisor import SafetySupervisor
from robot_bridge.streams.readings import MOTOR, MOTOR_RANGE, UNCERTAINTY_STDS, Readings
from robot_bridge.streams.watched import Watched
from robot_bridge.viewing.heard import Snapshot
from robot_bridge.viewing.state import silent_after

NEAR = 0.1
"""Share of a range at either end in which a value is near its limit."""


class Limits:
    """What the safety supervisor of the bridge allows, by the bridge file.

    Args:
        watched: the robot and its node.

    Raises:
        ConfigError: the limits are not about this robot.
    """

    def __init__(self, watched: Watched) -> None:
        # the bridge's own supervisor says what its limits are, margins included
        self._supervisor, self._watched = SafetySupervisor(watched.spec, watched.config.safety), watched
        self._readings = Readings(watched)

    def command_bars(self, heard: Snapshot) -> list[Bar]:
        """A bar for each action, from its lower to its upper limit; without a value if no command is heard."""
        topic, spec = self._watched.config.output.topic, self._watched.spec
        is_fresh = heard.age(topic) <= silent_after(self._watched)
        sent = self._readings.numbers(topic, heard.messages[topic][0]) if is_fresh else {}
        values = [sent.get(f"commands/{name}", math.nan) for name in spec.action_names]
        return [
            _bar(action.name, value, (low, high), "" if action.unit == "1" else action.unit)
            for action, value, low, high in zip(spec.action, values, self._supervisor.low, self._supervisor.high, strict=True)
        ]

    def observation_bars(self, heard: Snapshot) -> list[Bar]:
        """A bar for each observation channel with limits; without a value if what is known is too old to be acted on."""
        fresh = self._supervisor.is_fresh(heard.now, heard.observed)
        values: NDArray[np.float64] = np.where(fresh, heard.observed.values, math.nan)
        ends = zip(*self._supervisor.obs_range, strict=True)
        return [
            _bar(channel.name, value, (low, high), channel.unit)
            for channel, value, (low, high) in zip(self._watched.spec.obs, values, ends, strict=True)
            if math.isfinite(low) and math.isfinite(high)
        ]


def belief_bars(watched: Watched, heard: Snapshot, readings: Readings) -> list[Bar]:
    """A bar for each physical parameter, with its uncertainty; without values if the node is silent."""
    topic = watched.own_topic("diagnosis")
    is_fresh = heard.age(topic) <= silent_after(watched)
    said = readings.diagnosis(heard.messages[topic][0]) if is_fresh else {}
    return [_belief_bar(name, *said.get(name, (math.nan, math.nan))) for name in watched.diagnosis_names]


def _belief_bar(name: str, mean: float, std: float) -> Bar:
    interval = (mean - UNCERTAINTY_STDS * std, mean + UNCERTAINTY_STDS * std)
    if name.startswith(MOTOR):
        return Bar(name.removeprefix(MOTOR), mean, *MOTOR_RANGE, interval=interval)
    ends = [x for x in (0.0, 2.0, *interval) if math.isfinite(x)]
    return Bar(name, mean, min(ends), max(ends), interval=interval)


def _bar(name: str, value: float, limits: tuple[float, float], unit: str) -> Bar:
    """A bar whose colour says how near the value is to a limit."""
    low, high = map(float, limits)
    if not math.isfinite(value) or not low <= value <= high:
        level = "bad"
    else:
        level = "warning" if min(value - low, high - value) < NEAR * (high - low) else "good"
    return Bar(name, float(value), low, high, unit=unit, level=level)
