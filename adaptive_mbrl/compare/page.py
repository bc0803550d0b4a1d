"""A comparison as one HTML file that needs nothing else: the tables of the terminal, and overlaid curves."""

from __future__ import annotations

from adaptive_mbrl.compare.pictures import pictures
from adaptive_mbrl.compare.result import Result
from adaptive_mbrl.compare.table import EXPLANATION, tables_of
from adaptive_mbrl.pages.template import render_page


def comparison_page(result: Result) -> str:
    """The text of the page."""
    return render_page(
        __package__ or "",
        "compare.html.j2",
        labels=[group.label for group in result.groups],
        notes=result.notes,
        tables=[(title, header, rows) for title, (header, rows) in tables_of(result)],
        explanation=EXPLANATION,
        pictures=[*pictures(result.groups)],
    )
