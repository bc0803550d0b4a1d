"""Shows the checks of a preflight as a table for a person and as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.preflight.checks import Check, Verdict, failed

WIDTH = 130
"""Columns of the table if the output is no terminal."""
_STYLES = {Verdict.PASS: "green", Verdict.INFO: "cyan", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


def print_checks(checks: Sequence[Check], title: str, console: Console) -> None:
    """Print the table, and a line that sums it up."""
    table = Table(title=Text(title), box=SIMPLE, title_style="bold", title_justify="left")
    for header in ("check", "", "measured", "what to do"):
        table.add_column(header, overflow="fold")
    for check in checks:
        # as Text: brackets in a plain string would be read as markup
        verdict = Text(check.verdict.value, style=_STYLES[check.verdict])
        table.add_row(Text(check.name), verdict, Text(check.measured), Text(check.advice))
    console.print(table)
    counts = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    console.print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count), markup=False)


def write_checks(path: Path, checks: Sequence[Check], about: Mapping[str, str]) -> None:
    """Write the checks as JSON: `passed`, `checks` with name, verdict, measured and advice, and the entries of `about`."""
    content = {
        **about,
        "passed": not failed(checks),
        "checks": [{"name": c.name, "verdict": c.verdict.value, "measured": c.measured, "advice": c.advice} for c in checks],
    }
    write_text_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
