"""A comparison as tables: on the terminal, and as rows for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adaptive_mbrl.compare.figures import Figure
from adaptive_mbrl.compare.result import Result

Rows = list[tuple[str, ...]]
EXPLANATION = (
    "Collections are made with exploration noise. Errors are on held-out episodes, in stds of one step's target.",
    "Brackets are 95 % intervals: over the seeds where a group has several, else over episodes.",
)


def print_result(result: Result, console: Console) -> None:
    """Print the tables."""
    for title, (header, rows) in tables_of(result):
        table = Table(box=SIMPLE, title=title, title_justify="left", title_style="bold")
        for i, column in enumerate(header):
            table.add_column(Text(column), justify="left" if i == 0 else "right", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
    for line in (*EXPLANATION, *result.notes):
        console.print(line, markup=False, soft_wrap=True)


def tables_of(result: Result) -> Iterator[tuple[str, tuple[Sequence[str], Rows]]]:
    """The titles of the tables, their headers and their rows."""
    labels = [group.label for group in result.groups]
    settings: Rows = [(key, *map(_value, values)) for key, values in result.settings.items()]
    if settings:
        yield "What differs", (("setting", *labels), settings)
    figures: Rows = [
        (name, *("" if name not in found else words(found[name]) for found in result.figures)) for name in result.rows
    ]
    yield "What they reach", (("figure", *labels), figures)
    paired: Rows = [
        (f"{d.ours} minus {d.theirs}", d.what, words(d.figure, sign=True), f"{d.figure.num} {d.figure.over}")
        for d in result.paired
    ]
    if paired:
        yield "Paired differences", (("groups", "figure", "difference [95 %]", "over"), paired)


def words(figure: Figure, *, sign: bool = False) -> str:
    """A figure with its interval."""
    ends = figure.ci95
    text = _number(figure.value, sign)
    return text if ends is None else f"{text} [{_number(ends[0], sign)}, {_number(ends[1], sign)}]"


def _number(value: float, sign: bool) -> str:
    plus = "+" if sign else ""
    if (value == int(value) and abs(value) >= 10) or abs(value) >= 1000:
        return f"{value:{plus},.0f}"
    return f"{value:{plus}.1f}" if abs(value) >= 100 else f"{value:{plus}.3g}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
