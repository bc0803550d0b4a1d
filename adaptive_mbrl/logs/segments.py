"""Cuts the rows of a log where time does not go on, or where a column says that another episode begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.logs.rows import Rows


@dataclass(frozen=True)
class Segments:
    """The segments of a log.

    Attributes:
        rows: the rows of each segment, in the order of time.
        gaps: begin and end of each time without any row [s].
        notes: sentences that a user should read.
    """

    rows: tuple[Rows, ...]
    gaps: tuple[tuple[float, float], ...]
    notes: tuple[str, ...]


def segments_of(rows: Rows, config: LogConfig) -> Segments:
    """Cut a log into segments; within one, stamps differ by `max_gap` at most, and no label changes.

    A stamp that is a little before the one of the row above is of a row that came late. One that is before it by more than
    `max_gap` is of a clock that was set back, as where two logs were put into one file.

    Args:
        rows: the rows in the order of the file; those without a time are left out.
        config: the labels, and the longest gap.
    """
    timed = np.isfinite(rows.times)
    notes = [f"{(~timed).sum()} rows without a time left out"] if not timed.all() else []
    rows = rows.part(timed)
    steps = np.diff(rows.times)
    breaks = (np.abs(steps) > config.longest_gap) | rows.ended[:-1]
    for name, label in rows.labels.items():
        changes = label[1:] != label[:-1]
        breaks |= changes
        if changes.sum() * config.min_steps > len(rows):
            notes.append(f"'{name}' changes {changes.sum()} times in {len(rows)} rows, and each change begins another episode")
    edges = [0, *(int(i) + 1 for i in np.flatnonzero(breaks)), len(rows)]
    segments = [rows.part(slice(a, b)).in_order() for a, b in pairwise(edges)]
    notes += _notes_on_order(rows, segments, int((steps < -config.longest_gap).sum()))
    gaps = [(float(rows.times[i]), float(rows.times[i + 1])) for i in np.flatnonzero(steps > config.longest_gap)]
    return Segments(tuple(segments), tuple(gaps), tuple(notes))


def _notes_on_order(rows: Rows, segments: Sequence[Rows], set_back: int) -> list[str]:
    notes = [f"the clock is set back {set_back} times, and each time another episode begins"] if set_back else []
    joined = len(rows) - sum(len(segment) for segment in segments)
    if joined:
        notes.append(f"{joined} rows have the time of another row, or come too late; only what is new in them is used")
    return notes
