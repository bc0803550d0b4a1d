"""The guard's process: it starts the controller, passes its commands on, and watches its memory and its end."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import BridgeError
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import command_sender
from robot_bridge.guard.guard import Guard, Watch
from robot_bridge.guard.line import LINE, MAX_BYTES, Hello, Release, Said, understood
from robot_bridge.machine.memory import resident_memory
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.observation_checks import Observed, TrainingRange
from robot_bridge.urdf import with_urdf_limits

LONGEST_WAIT = 0.05
"""Longest time between two looks at the controller's memory and at signals [s]."""
LONGEST_END = 30.0
"""Time that the controller gets to bring the robot to rest and to end, after it has been asked to [s]."""
OOM_SCORE, OWN_OOM_SCORE = 500, -500
"""The controller's score and the guard's, so that the kernel ends the controller first when memory runs out. To lower a score
needs the capability CAP_SYS_RESOURCE; without it the guard keeps the score that it was started with."""


class GuardProcess:
    """Runs a controller under guard.

    Args:
        config: the bridge file.
        transport: the guard's own transport.
        stop: an event that asks to end.
        memory_limit: largest resident memory of the controller's process [MiB]; 0 for no limit.

    Attributes:
        failures: number of exceptions in the guard itself, after each of which it went on.
    """

    def __init__(self, config: BridgeConfig, transport: Transport, stop: threading.Event, memory_limit: float = 0.0) -> None:
        self._config, self._transport, self._stop, self._memory_limit = config, transport, stop, memory_limit
        self._guard: Guard | None = None
        self.failures = 0

    def run(self, arguments: Sequence[str]) -> int:
        """Start `adaptive-mbrl` with these arguments and guard it until it ends, as `run_command` does."""
        return self.run_command([sys.executable, "-m", "adaptive_mbrl", *arguments])

    def run_command(self, command: Sequence[str]) -> int:
        """Start a controller and guard it until it ends; it finds its end of the line by `GuardLine.of_this_process`.

        If it dies while the robot is under control, the safe action is sent until `stop` is set.

        Returns:
            The exit code of the controller.

        Raises:
            BridgeError: the controller died while the robot was under control.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = os.environ | {LINE: str(theirs.fileno())}
        # a process group of its own, so that Ctrl-C asks this process alone, which asks the controller
        controller = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], start_new_session=True)
        theirs.close()
        # the controller would inherit a lower score, so its own is set first
        for process, score in ((str(controller.pid), OOM_SCORE), ("self", OWN_OOM_SCORE)):
            with suppress(OSError):
                Path(f"/proc/{process}/oom_score_adj").write_text(str(score))
        try:
            code = self._pass_on(ours, controller)
        finally:
            ours.close()
            if controller.poll() is None:
                controller.kill()
        if self._guard is None or self._guard.watch is Watch.RELEASED:
            return code
        return self._go_on_without(code)

    def _pass_on(self, line: socket.socket, controller: subprocess.Popen[bytes]) -> int:
        """Pass commands on until the controller ends; returns its exit code."""
        asked = math.inf
        is_too_large, is_open = False, True
        while controller.poll() is None or is_open:
            if self._stop.is_set() and asked == math.inf:
                controller.send_signal(signal.SIGTERM)
                asked = time.monotonic()
            if time.monotonic() > asked + LONGEST_END:
                controller.kill()
            if not is_too_large and 0 < self._memory_limit < resident_memory(controller.pid):
                is_too_large = True
                print(f"error: the controller takes more than {self._memory_limit:g} MiB of memory; it is ended", flush=True)
                controller.kill()
                # a large process takes a while to end, and its last commands must not be followed
                is_open = False
                self._take_over()
            # whatever goes wrong with one message or one command, the next one must be tried
            try:
                if is_open:
                    is_open = self._hear(line)
                else:
                    time.sleep(self._patience())
            except Exception as error:
                self._count(error)
            self._look()
        return controller.wait()

    def _hear(self, line: socket.socket) -> bool:
        """Take what the controller says; of several commands the newest one counts. Returns whether the line is open."""
        line.settimeout(self._patience())
        newest = None
        try:
            while True:
                message = line.recv(MAX_BYTES)
                if not message:
                    # what is under control must not wait for the process to be gone
                    self._take_over()
                    return False
                said = understood(message)
                line.settimeout(0.0)
                newest = self._taken(said, newest)
        except (TimeoutError, BlockingIOError):
            pass
        if newest is not None and self._guard is not None:
            if self._guard.watch is Watch.GUARDING:
                print("the controller's commands are passed on again", flush=True)
            self._guard.command(newest)
        return True

    def _taken(self, said: Said, newest: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        """Take a message that is no command; returns the newest command."""
        if isinstance(said, Hello):
            self._guard = self._guard_of(said)
        elif isinstance(said, TrainingRange):
            if self._guard is not None:
                self._guard.trained_on(said)
        elif isinstance(said, Release):
            if self._guard is not None:
                if newest is not None:
                    # the command that brings the actuators to rest must not be left out
                    self._guard.command(newest)
                self._guard.release()
            return None
        else:
            return said
        return newest

    def _look(self) -> None:
        try:
            if self._guard is not None and self._guard.look():
                print("no command from the controller: the guard sends the safe action", flush=True)
        except Exception as error:
            self._count(error)

    def _take_over(self) -> None:
        try:
            if self._guard is not None:
                self._guard.take_over()
        except Exception as error:
            self._count(error)

    def _count(self, error: Exception) -> None:
        if not self.failures:
            print(f"error: the guard: {type(error).__name__}: {error}; it goes on", flush=True)
        self.failures += 1

    def _patience(self) -> float:
        due = LONGEST_WAIT if self._guard is None else self._guard.due - time.monotonic()
        return min(LONGEST_WAIT, max(1e-4, due))

    def _guard_of(self, hello: Hello) -> Guard:
        spec = hello.spec
        config = with_urdf_limits(self._config, spec, "the bridge file")
        send = command_sender(spec, self._config.output, self._transport)
        # observations cost this process time, and only damping needs them
        if self._config.safety.safe_action == "damping":
            observe = Inputs(spec, self._config, self._transport).snapshot
        else:
            nothing = Observed(np.full(spec.obs_dim, np.nan), np.full(spec.obs_dim, -np.inf))
            observe = lambda: nothing  # noqa: E731
        return Guard(spec, config, send, observe, time.monotonic, hello.training)

    def _go_on_without(self, code: int) -> int:
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        print(
            f"error: the controller has ended {how} while the robot was under control; "
            "the safe action is sent until this process is stopped",
            flush=True,
        )
        guard = self._guard
        while guard is not None and not self._stop.wait(max(0.0, min(LONGEST_WAIT, guard.due - time.monotonic()))):
            self._look()
        raise BridgeError(f"the controller had ended {how} while the robot was under control")
