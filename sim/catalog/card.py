"""A card of one thing, and how it is printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Card:
    """What `show` tells.

    Attributes:
        kind: robot, scenario, checkpoint, rule or planner.
        name: its name.
        about: what it is, in sentences.
        facts: single facts, by what they are called.
        tables: rows of equal keys, by the heading of the table.
        text: longer texts, by their heading.
    """

    kind: str
    name: str
    about: str
    facts: Mapping[str, Any]
    tables: Mapping[str, Rows] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)


def as_json(card: Card) -> str:
    """A card for scripts: one object with the facts, the tables and the texts beside each other."""
    content = {"kind": card.kind, "name": card.name, "about": card.about, **card.facts, **card.tables, **card.text}
    return json.dumps(content, indent=2, ensure_ascii=False, default=str)


def print_card(card: Card, console: Console) -> None:
    """Print a card for people."""
    write(console, Text(f"{card.kind} {card.name}", style="bold"))
    if card.about:
        write(console, Text(card.about))
    facts = Table.grid(padding=(0, 2, 0, 0))
    for name, value in card.facts.items():
        facts.add_row(Text(name), Text(cell(value)))
    write(console, Text(""), facts)
    for heading, rows in card.tables.items():
        if rows:
            write(console, Text(f"\n{heading}", style="bold"), table_of(rows))
    for heading, text in card.text.items():
        write(console, Text(f"\n{heading}", style="bold"), Text(text))


def write(console: Console, *parts: RenderableType) -> None:
    """Print tables and texts; into a file or a pipe without the blanks that fill their lines."""
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    shown = captured.get()
    print(shown if console.is_terminal else "\n".join(line.rstrip() for line in shown.split("\n")), end="")


def table_of(rows: Rows) -> Table:
    """A table whose columns are the keys of its rows; numbers stand right, and long texts are folded."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    first = next(iter(rows[0]))
    for key in rows[0]:
        numbers = all(isinstance(row[key], int | float | None) and not isinstance(row[key], bool) for row in rows)
        table.add_column(Text(key), justify="right" if numbers else "left", overflow="fold", no_wrap=key == first)
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row.values()))
    return table


def cell(value: Any) -> str:
    """A value in words: lists with commas, large numbers with separators, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return str(value)
