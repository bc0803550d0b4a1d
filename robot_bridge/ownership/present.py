"""The command that the actuators obey at the moment, as far as it can be observed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from robot_bridge.middleware.fields import number_in
from robot_bridge.middleware.messages import Message
from robot_bridge.middleware.transport import Transport
from robot_bridge.ownership.config import PresentCommand

Array = NDArray[np.float64]


class PresentReader:
    """Reads it from the robot's messages: a driver's echo of its command, or measured efforts.

    Args:
        places: where each action channel is read.
        topics: topic and class of the messages of each input, by its name.
        action_names: the action channels.
        max_age: how old a value may be [s].
        transport: the transport whose topics are subscribed to in the constructor.
        clock: monotonic time [s].
    """

    def __init__(
        self,
        places: Mapping[str, PresentCommand],
        topics: Mapping[str, tuple[str, type[Message]]],
        action_names: tuple[str, ...],
        max_age: float,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = {action_names.index(name): place for name, place in places.items()}
        self._max_age, self._clock = max_age, clock
        self._values = np.full(len(action_names), math.nan)
        self._heard = np.full(len(action_names), -math.inf)
        for name in sorted({place.input for place in places.values()}):
            transport.subscribe(*topics[name], partial(self.receive, name))

    def receive(self, name: str, message: Message, received: float) -> None:
        """Take over the values in a message of an input."""
        for index, place in self._places.items():
            if place.input == name:
                value = number_in(message, place.field, place.joint)
                if math.isfinite(value):
                    self._values[index], self._heard[index] = value, received

    def __call__(self) -> Array | None:
        """The present command, (action_dim,), with NaN where it is not known; None where nothing is."""
        age = self._clock() - self._heard
        known = np.where((age >= 0) & (age <= self._max_age), self._values, math.nan)
        return known if np.isfinite(known).any() else None


def moves_fast(velocities: Array, stds: Array, threshold: float) -> bool:
    """Whether a robot moves so fast that it must not wait for a ramp.

    Args:
        velocities: the velocity channels, (n,); NaN where one is not known.
        stds: their standard deviations in the training data, (n,).
        threshold: the root mean square above which it is fast [training stds].
    """
    known = np.isfinite(velocities) & (stds > 0)
    return bool(known.any() and np.sqrt(np.mean((velocities[known] / stds[known]) ** 2)) > threshold)
