"""The simulated robot's side of the command topic."""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import OutputConfig
from robot_bridge.control.outputs import command_values
from robot_bridge.middleware.messages import Message
from robot_bridge.simulated.transmission_line import TransmissionLine

Array = NDArray[np.float64]
LATE_PERIODS = 1.5
"""A command is late if it comes more than this many control periods after the one before."""


class CommandInput:
    """Keeps the newest command. `receive` runs on the transport's thread, `mean` on the simulation's.

    When commands stop coming, the actuators get zeros after a while, as with most drivers.

    Args:
        spec: the robot's channels.
        config: the output part of the bridge file, which gives the order of the values.
        line: the line from the network to the actuators.
        timeout: age at which a command is no longer obeyed [s].

    Attributes:
        count: number of valid commands that were received.
        refused: number of messages of the wrong size or without finite numbers.
        late: number of late commands, by `LATE_PERIODS`.
        timeouts: number of times that a command became too old.
    """

    def __init__(self, spec: RobotSpec, config: OutputConfig, line: TransmissionLine[Array], timeout: float) -> None:
        self._order = [spec.action_names.index(name) for name in config.order or spec.action_names]
        self._line, self._timeout, self._late_after = line, timeout, LATE_PERIODS * spec.dt
        self._lock = threading.Lock()
        self._command, self._arrival, self._timed_out = np.zeros(spec.action_dim), -math.inf, False
        self.count = self.refused = self.late = self.timeouts = 0

    @property
    def due(self) -> float:
        """Time at which the next command reaches the actuators, monotonic [s]; infinity if none is under way."""
        with self._lock:
            return self._line.due

    @property
    def lost(self) -> int:
        """Number of commands that the line lost."""
        return self._line.lost

    def receive(self, message: Message, received: float) -> None:
        """Take a command over; a message of the wrong size or without finite numbers is refused."""
        values = command_values(message)
        is_command = len(values) == len(self._order) and bool(np.isfinite(values).all())
        command = np.zeros(len(self._order))
        with self._lock:
            self.count += is_command
            self.refused += not is_command
            if is_command:
                command[self._order] = values
                self._line.send(command, received)

    def mean(self, begin: float, end: float) -> Array:
        """The mean command at the actuators from `begin` to `end`, monotonic [s], (action_dim,).

        A command that arrives in between counts for the rest of the time. The times of successive calls must not decrease.
        """
        with self._lock:
            arrived = list(self._line.arrived(end))
        total, since = np.zeros_like(self._command), begin
        for arrival, command in arrived:
            total += self._share(since, arrival) * self._command
            since = max(since, arrival)
            self.late += bool(self._late_after < arrival - self._arrival < math.inf)
            self._command, self._arrival, self._timed_out = command, arrival, False
        total += self._share(since, end) * self._command
        return total / (end - begin)

    def _share(self, since: float, until: float) -> float:
        """How long the newest command is obeyed between two times [s]."""
        expiry = self._arrival + self._timeout
        if math.isfinite(expiry) and until > expiry and not self._timed_out:
            self._timed_out = True
            self.timeouts += 1
        return max(0.0, min(until, expiry) - since)
