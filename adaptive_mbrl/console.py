"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console

WIDTH = 100
"""Columns of a table if the output is no terminal, which has a width of its own."""


def make_console(width: int = WIDTH, *, stderr: bool = False) -> Console:
    """A console that does not fold tables at 80 columns when the output goes into a file.

    Args:
        width: columns where the output is no terminal.
        stderr: whether it is standard error's instead of standard output's.
    """
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=width)
