"""A small table of what is the case, with a colour for what is not as it should be."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adaptive_mbrl.viewing.colours import LEVELS, NEUTRAL

if TYPE_CHECKING:
    import viser

_COLOURS = {"normal": NEUTRAL, **LEVELS}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what it is about.
        text: what is the case.
        level: `normal`, `good`, `warning` or `bad`, which is the colour of the dot before the name.
    """

    name: str
    text: str
    level: str = "normal"


class StatusTable:
    """The table on a page.

    Args:
        gui: viser's elements of the page.
        rows: what is shown at first.
    """

    def __init__(self, gui: viser.GuiApi, rows: Sequence[Row] = ()) -> None:
        self._element = gui.add_html(status_html(rows))

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows instead."""
        content = status_html(rows)
        if content != self._element.content:
            self._element.content = content


def status_html(rows: Sequence[Row]) -> str:
    """The table as HTML."""
    cells = "".join(
        f'<div><span style="color:{_COLOURS[row.level]}">●</span> {html.escape(row.name)}</div>'
        f'<div data-name="{html.escape(row.name)}" style="overflow-wrap:anywhere;font-variant-numeric:tabular-nums">'
        f"{html.escape(row.text)}</div>"
        for row in rows
    )
    return (
        '<div style="display:grid;grid-template-columns:max-content 1fr;gap:3px 12px;padding:2px 10px 6px 10px;font-size:13px">'
        f"{cells}</div>"
    )
