"""The bars of a training as plain lines, for output that goes into a file.

A bar goes back to the start of its line for each update. In a file this makes one line of many thousand characters.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any, TextIO

SECONDS_BETWEEN_LINES = 30.0


class BarsAsLines:
    """A text stream that lets a bar through as a line of its own, once every `SECONDS_BETWEEN_LINES`, and all else as it is.

    Args:
        stream: where the text goes.
        clock: the time [s].
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._last = clock()

    def write(self, text: str) -> int:
        """Write a text; one that begins at the start of the same line again is a bar."""
        if not text.startswith("\r"):
            return self._stream.write(text)
        bar, now = text.strip(), self._clock()
        # a bar that ends writes blanks over itself
        if bar and now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            self._stream.write(f"{bar}\n")
            self._stream.flush()
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_bars() -> Iterator[None]:
    """Within the block, bars that would go into a file are plain lines; at a terminal nothing changes."""
    if sys.stderr.isatty():
        yield
    else:
        with redirect_stderr(BarsAsLines(sys.stderr)):
            yield
