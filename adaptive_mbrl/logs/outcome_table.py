"""What an import kept of a recording and what it left out, as a table for the user."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from adaptive_mbrl.console import make_console
from adaptive_mbrl.logs.grid import NO_COMMANDS, Stretch

MAX_ROWS = 40
"""Stretches of which each has a row of its own; of more of them, those with the same outcome share one."""


def print_stretches(stretches: Sequence[Stretch], dt: float, notes: Sequence[str]) -> None:
    """Print a table of the stretches that are kept and those that are left out.

    Args:
        stretches: the stretches of one recording, in the order of time.
        dt: control period [s].
        notes: sentences for the user, which are printed below the table.
    """
    console = make_console()
    steps = [0 if s.reason == NO_COMMANDS else round((s.end - s.begin) / dt) for s in stretches]
    console.print(_every_stretch(stretches, steps) if len(stretches) <= MAX_ROWS else _by_outcome(stretches, steps))
    for note in notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)
    without = sum(s.end - s.begin for s in stretches if s.reason == NO_COMMANDS)
    not_counted = f"; {without:.2f} s more have no commands, and are dropped" if without else ""
    console.print(f"{sum(len(s.action) for s in stretches)} of {sum(steps)} control steps kept{not_counted}", soft_wrap=True)


def _every_stretch(stretches: Sequence[Stretch], steps: Sequence[int]) -> Table:
    table = _table("from s", "to s", "steps")
    for s, num in zip(stretches, steps, strict=True):
        table.add_row(f"{s.begin:z.2f}", f"{s.end:z.2f}", str(num or ""), _outcome(s))
    return table


def _by_outcome(stretches: Sequence[Stretch], steps: Sequence[int]) -> Table:
    table = _table("stretches", "first at s", "steps")
    for reason in sorted({s.reason for s in stretches}):
        same = [(s, num) for s, num in zip(stretches, steps, strict=True) if s.reason == reason]
        table.add_row(str(len(same)), f"{same[0][0].begin:z.2f}", str(sum(num for _, num in same) or ""), _outcome(same[0][0]))
    return table


def _table(*headers: str) -> Table:
    table = Table(box=SIMPLE)
    for header in headers:
        table.add_column(header, justify="right")
    table.add_column("")
    return table


def _outcome(stretch: Stretch) -> Text:
    # a plain string would be read as markup
    return Text(f"dropped: {stretch.reason}" if stretch.reason else "kept")
