"""Does the robot come to rest? A reaction that does not work is followed by the next one of a ladder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from robot_bridge.safety.reactions import Reaction, severity, stops

LONGEST_REST = 0.5
"""A robot must be at rest for so long [s], or for `seconds` if that is shorter: one that swings is slow at each end, too."""
Outcome = Literal["", "under_way", "succeeded", "failed"]


@dataclass(frozen=True)
class StoppingConfig:
    """How a stop is watched.

    Attributes:
        at_rest: by channel of the kind `velocity`, the speed below which the robot counts as at rest [the channel's unit], once
            all have been below for half a second, or for `seconds` if that is shorter.
        seconds: how long a reaction may take to bring the robot to rest [s].
        then: the reactions that follow one another when it does not, from mild to severe.
    """

    at_rest: Mapping[str, float]
    seconds: float = bounded(1.0, low=0.0, high=60.0)
    then: tuple[Reaction, ...] = ()

    def __post_init__(self) -> None:
        if not self.at_rest:
            raise ConfigError("key 'at_rest': empty; allowed: the largest speed at rest, by channel")
        for name, speed in self.at_rest.items():
            if not speed > 0:
                raise ConfigError(f"key 'at_rest.{name}': {speed:g} is out of range; allowed: above 0")
        rungs = [severity(reaction) for reaction in self.then]
        if rungs != sorted(set(rungs)) or not all(stops(reaction) for reaction in self.then):
            raise ConfigError(
                f"key 'then': got {', '.join(self.then)}; allowed: some of hold, return, damping, zero, in this order"
            )


class StopWatch:
    """Watches one stop after the other.

    Args:
        config: when the robot is at rest, and what follows.
        channels: names of all observation channels.

    Attributes:
        outcome: how the present stop goes; empty while the robot is not being stopped.
    """

    def __init__(self, config: StoppingConfig, channels: tuple[str, ...]) -> None:
        self._config = config
        self._index = [channels.index(name) for name in config.at_rest]
        self._limit = np.array(list(config.at_rest.values()))
        self._seconds = self._at_rest = 0.0
        self.outcome: Outcome = ""

    def end(self) -> None:
        """The robot is not being stopped any more."""
        self.outcome = ""
        self._seconds = self._at_rest = 0.0

    def look(self, values: NDArray[np.float64], known: NDArray[np.bool_], passed: float, reaction: Reaction) -> Reaction:
        """Look at the robot while it is being stopped.

        Args:
            values: the observation, (obs_dim,).
            known: which channels are fresh and finite, (obs_dim,); a speed that is not known counts as motion.
            passed: time since the last look [s].
            reaction: the reaction in effect.

        Returns:
            The reaction to use from now on.
        """
        if self.outcome == "":
            self.outcome, self._seconds, self._at_rest = "under_way", 0.0, 0.0
        is_at_rest = (known[self._index] & (np.abs(values[self._index]) <= self._limit)).all()
        self._at_rest = self._at_rest + passed if is_at_rest else 0.0
        if is_at_rest and self._at_rest >= min(self._config.seconds, LONGEST_REST):
            self.outcome, self._seconds = "succeeded", 0.0
        if self.outcome == "succeeded" and is_at_rest:
            return reaction
        if self.outcome == "succeeded":
            self.outcome = "under_way"
        self._seconds += passed
        if is_at_rest or self._seconds < self._config.seconds:
            return reaction
        following = [rung for rung in self._config.then if severity(rung) > severity(reaction)]
        if not following:
            self.outcome = "failed"
            return reaction
        self._seconds = 0.0
        return following[0]
