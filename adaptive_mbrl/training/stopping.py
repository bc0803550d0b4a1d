"""A training that is asked to stop, by a scheduler (SIGTERM) or at the keyboard (Ctrl-C), saves what it has first."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from adaptive_mbrl.errors import EXIT_INTERRUPTED
from adaptive_mbrl.process import Process
from adaptive_mbrl.runtime import end_with_parent

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
PARENT = "ADAPTIVE_MBRL_PARENT"
"""In the environment of a training: the process that started it, and that it must not outlive."""


class Stopped(BaseException):
    """The training has been asked to stop, and what it has is saved.

    It is no error, and passes by whoever handles those.

    Args:
        number: the signal that asked; SIGTERM if another process of the training got one.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


def exit_after(stop: BaseException, again: Sequence[str], quiet: bool = False) -> SystemExit:
    """Tell how to go on, and give what ends the program: 130 after Ctrl-C, 0 after SIGTERM, which a scheduler wants.

    Args:
        stop: a `Stopped` or a `KeyboardInterrupt`.
        again: the words of the command that goes on.
        quiet: whether another process tells it.
    """
    by_scheduler = isinstance(stop, Stopped) and stop.number == signal.SIGTERM
    if not quiet:
        what = "stopped" if by_scheduler else "interrupted"
        print(f"\n{what}; what is done is kept, go on with: {shlex.join(again)}", file=sys.stderr)
    return SystemExit(0 if by_scheduler else EXIT_INTERRUPTED)


class StopRequest:
    """Whether this process has been asked to stop.

    Within `on_signals`, a signal stops the training at once, and within `deferred` it waits
    until somebody looks at `is_made`. A second Ctrl-C does not wait.
    """

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._waits = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Hear signals in this block; outside the main thread, where Python allows none, nothing changes.

        The death of the process that the environment names as the parent counts as SIGTERM.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        try:
            self._end_with_parent()
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A block in which what is not saved yet would be lost."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def is_made(self, process: Process) -> bool:
        """Whether one of the processes has been asked to stop; all of them have to ask at the same point of the training."""
        return process.any(self.number is not None)

    def obey(self) -> NoReturn:
        """Stop, because this process or another one has been asked to.

        Raises:
            Stopped: always.
        """
        raise Stopped(self.number or signal.SIGTERM)

    def _end_with_parent(self) -> None:
        parent = os.environ.get(PARENT)
        if parent is None or sys.platform != "linux":
            return
        end_with_parent(signal.SIGTERM)
        if str(os.getppid()) != parent:
            # it died before this was settled
            raise Stopped(signal.SIGTERM)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        again, self.number = self.number is not None, signal.Signals(number)
        if self._waits and not (again and number == signal.SIGINT):
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(self.number)
