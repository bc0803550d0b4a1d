"""The sub-command `compare`."""

from __future__ import annotations

import json

from adaptive_mbrl.compare.entries import read_entries
from adaptive_mbrl.compare.page import comparison_page
from adaptive_mbrl.compare.result import as_json, result_of
from adaptive_mbrl.compare.table import print_result
from adaptive_mbrl.console import make_console
from adaptive_mbrl.options import CompareOptions
from adaptive_mbrl.storage import write_text_atomically

WIDTH = 120
"""Columns of the tables if the output is no terminal."""


def compare(options: CompareOptions) -> None:
    """Print runs side by side, and write the files that were asked for."""
    result = result_of(read_entries(options.runs))
    console = make_console(WIDTH)
    print_result(result, console)
    if options.json is not None:
        write_text_atomically(options.json, json.dumps(as_json(result), indent=1, allow_nan=False) + "\n")
        console.print(f"Written: {options.json}", markup=False, soft_wrap=True)
    if options.html is not None:
        write_text_atomically(options.html, comparison_page(result))
        console.print(f"Written: {options.html}", markup=False, soft_wrap=True)
