"""The sub-command `list`."""

from __future__ import annotations

import json

from rich.table import Table
from rich.text import Text

from adaptive_mbrl.console import make_console
from adaptive_mbrl.options import ListOptions
from sim.catalog.card import table_of, write
from sim.catalog.entries import ENTRIES, names_of

COLUMNS = {
    "robots": ("channels", "period [s]"),
    "scenarios": ("parts",),
    "checkpoints": ("robot", "rule", "env steps"),
    "rules": (),
    "planners": (),
}
"""The facts that stand in the line of each thing; JSON has all of them."""


def list_(options: ListOptions) -> None:
    """Print the names of everything, or a line for each thing of one kind."""
    if options.what == "all" and not options.json:
        end = "'adaptive-mbrl list robots' tells more about each; 'adaptive-mbrl show NAME' shows one."
        write(make_console(), _names(), end)
        return
    wanted = ENTRIES if options.what == "all" else {options.what: ENTRIES[options.what]}
    found = {kind: list(entries()) for kind, entries in wanted.items()}
    if options.json:
        content = {kind: [{"name": e.name, **e.facts, "about": e.about} for e in entries] for kind, entries in found.items()}
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return
    one, columns = options.what.removesuffix("s"), COLUMNS[options.what]
    rows = [{one: e.name, **{name: e.facts[name] for name in columns}, "about": e.about} for e in found[options.what]]
    write(make_console(), table_of(rows))


def _names() -> Table:
    grid = Table.grid(padding=(0, 2, 1, 0))
    for kind in ENTRIES:
        grid.add_row(Text(kind, style="bold"), Text(", ".join(names_of(kind))))
    return grid
