"""The line from the controller's process to the guard's: a socket on this machine that keeps messages whole.

hello     the robot's channels, as YAML; once, before the first command
command   the numbers of a command, in the order of the low-level controller
release   the actuators are at rest, and no more commands follow
"""

from __future__ import annotations

import os
import signal
import socket
import struct

import numpy as np
import yaml
from numpy.typing import NDArray

from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.runtime import end_with_parent
from adaptive_mbrl.spec import RobotSpec

LINE = "ADAPTIVE_MBRL_GUARD_LINE"
"""Environment variable with the number of the controller's end of the line."""
MAX_BYTES = 1 << 16
_HELLO, _COMMAND, _RELEASE = b"H", b"C", b"R"
Said = RobotSpec | NDArray[np.float64] | None
"""What comes out of the line: the robot's channels, a command, or None for a release."""


class GuardLine:
    """The controller's end.

    Args:
        end: the connected socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def of_this_process(cls) -> GuardLine | None:
        """The line to the guard that has started this process; None without one. The process is asked to end with the guard."""
        number = os.environ.pop(LINE, None)
        if number is None:
            return None
        end_with_parent(signal.SIGTERM)
        return cls(socket.socket(fileno=int(number)))

    def hello(self, spec: RobotSpec) -> None:
        """Say which robot it is."""
        self._end.send(_HELLO + yaml.safe_dump(to_mapping(spec)).encode())

    def command(self, values: list[float]) -> None:
        """Pass a command on, in the order of the low-level controller."""
        self._end.send(_COMMAND + struct.pack(f"<{len(values)}d", *values))

    def release(self) -> None:
        """Say that no more commands follow."""
        self._end.send(_RELEASE)


def understood(message: bytes) -> Said:
    """What a message on the line says."""
    kind, content = message[:1], message[1:]
    if kind == _HELLO:
        return from_mapping(RobotSpec, yaml.safe_load(content.decode()), source="the controller's hello")
    if kind == _COMMAND:
        return np.frombuffer(content, dtype="<f8").astype(np.float64)
    return None
