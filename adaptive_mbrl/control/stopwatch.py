"""How long parts of a control step take, on the host or in a GPU's stream."""

from __future__ import annotations

import time
from typing import Protocol

import torch


class Stopwatch(Protocol):
    """Marks moments; the times between them are read when the last one has passed."""

    def mark(self) -> None:
        """A moment."""

    def seconds(self, index: int) -> float:
        """From mark `index` to the next one [s]."""


def make_stopwatch(device: torch.device) -> Stopwatch:
    """A stopwatch for work on a device."""
    return CudaStopwatch(device) if device.type == "cuda" else HostStopwatch()


class HostStopwatch:
    """Marks on the host."""

    def __init__(self) -> None:
        self._marks: list[float] = []

    def mark(self) -> None:
        """See `Stopwatch`."""
        self._marks.append(time.perf_counter())

    def seconds(self, index: int) -> float:
        """See `Stopwatch`."""
        return self._marks[index + 1] - self._marks[index]


class CudaStopwatch:
    """Marks in a GPU's stream, which the host does not wait for.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.current_stream(device)
        self._marks: list[torch.cuda.Event] = []

    def mark(self) -> None:
        """See `Stopwatch`."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(self._stream)
        self._marks.append(event)

    def seconds(self, index: int) -> float:
        """See `Stopwatch`."""
        return 1e-3 * float(self._marks[index].elapsed_time(self._marks[index + 1]))
