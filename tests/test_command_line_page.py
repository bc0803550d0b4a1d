"""docs/command_line.md has every command with its example, and every kind of file."""

from __future__ import annotations

import re
from pathlib import Path

from adaptive_mbrl.errors import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, EXIT_MISTAKE
from tests.benchmark_scripts import script

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "command_line.md").read_text(encoding="utf-8")


def test_the_page_is_as_the_code_says():
    assert script("make_command_line").written(PAGE) == PAGE, "run: python benchmarks/make_command_line.py"


def test_the_exit_codes_are_those_of_the_program():
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, flags=re.M)] == [
        0,
        EXIT_MISTAKE,
        EXIT_INTERRUPTED,
        EXIT_BROKEN_PIPE,
    ]
