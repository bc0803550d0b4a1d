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
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import yaml
from numpy.typing import NDArray

from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.runtime import end_with_parent
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.observation_checks import TrainingRange

LINE = "ADAPTIVE_MBRL_GUARD_LINE"
"""Environment variable with the number of the controller's end of the line."""
MAX_BYTES = 1 << 20
SEND_BUFFER = 1
"""Asked of the kernel, which gives its smallest buffer: a guard that hangs is noticed after a few commands."""
HELLO_BUFFER = 1 << 20
"""Size that is asked of the kernel for messages about training data, which are longer than commands."""
_HELLO, _COMMAND, _RELEASE, _TRAINED = b"H", b"C", b"R", b"T"


@dataclass(frozen=True)
class Hello:
    """Which robot it is.

    Attributes:
        spec: its channels.
        training: what the training data of its checkpoint were like.
    """

    spec: RobotSpec
    training: TrainingRange


class Release:
    """The actuators are at rest, and no more commands follow."""


Said = Hello | NDArray[np.float64] | Release | TrainingRange
"""What comes out of the line; an array is a command, a training range that of a checkpoint that is taken up."""


class GuardLine:
    """The controller's end.

    Args:
        end: the connected socket.
        guard: the guard's process; None where it is not to be ended.
    """

    def __init__(self, end: socket.socket, guard: int | None = None) -> None:
        self._end, self._guard = end, guard

    @classmethod
    def of_this_process(cls) -> GuardLine | None:
        """The line to the guard that has started this process; None without one. The process is asked to end with the guard."""
        number = os.environ.pop(LINE, None)
        if number is None:
            return None
        end_with_parent(signal.SIGTERM)
        return cls(socket.socket(fileno=int(number)), os.getppid())

    def hello(self, spec: RobotSpec, training: TrainingRange) -> None:
        """Say which robot it is."""
        said = {"spec": to_mapping(spec), "mean": training.mean.tolist(), "std": training.std.tolist()}
        self._end.send(_HELLO + yaml.safe_dump(said).encode())
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def trained_on(self, training: TrainingRange) -> None:
        """Say what the training data of another checkpoint are like; a guard that is gone need not know."""
        numbers = np.concatenate([training.mean, training.std]).astype("<f8")
        with suppress(OSError):
            self._end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELLO_BUFFER)
            self._end.send(_TRAINED + numbers.tobytes(), socket.MSG_DONTWAIT)
            self._end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def command(self, values: list[float]) -> None:
        """Pass a command on, in the order of the low-level controller.

        Raises:
            OSError: nobody takes it: the guard has died, or it hangs, and has been ended so that it cannot wake up and command.
        """
        try:
            self._end.send(_COMMAND + struct.pack(f"<{len(values)}d", *values), socket.MSG_DONTWAIT)
        except BlockingIOError:
            if self._guard is not None:
                os.kill(self._guard, signal.SIGKILL)
            raise

    def release(self) -> None:
        """Say that no more commands follow; a guard that is gone need not know."""
        with suppress(OSError):
            self._end.send(_RELEASE, socket.MSG_DONTWAIT)


def understood(message: bytes) -> Said:
    """What a message on the line says.

    Raises:
        ValueError: nothing.
    """
    kind, content = message[:1], message[1:]
    if kind == _HELLO:
        said = yaml.safe_load(content.decode())
        spec = from_mapping(RobotSpec, said["spec"], source="the controller's hello")
        return Hello(spec, TrainingRange(np.array(said["mean"]), np.array(said["std"])))
    if kind == _COMMAND:
        return np.frombuffer(content, dtype="<f8").astype(np.float64)
    if kind == _TRAINED:
        return TrainingRange(*np.split(np.frombuffer(content, dtype="<f8").astype(np.float64), 2))
    if message == _RELEASE:
        return Release()
    raise ValueError(f"no message of the controller: {message[:20]!r}")
