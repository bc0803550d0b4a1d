"""Write the table of commands and the list of files in docs/command_line.md from the code: nothing there is typed by hand.

Usage: python benchmarks/make_command_line.py
"""

from __future__ import annotations

import re
from pathlib import Path

from adaptive_mbrl.cli import COMMANDS
from adaptive_mbrl.file_kinds import FILE_KINDS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "command_line.md"
_EXAMPLE = re.compile(r"^ *Example: (.+)$", flags=re.M)


def main() -> None:
    """Replace the parts between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def written(text: str) -> str:
    """The page with its parts as they should be."""
    for name, lines in (("commands", commands()), ("kinds", kinds())):
        text = re.sub(
            rf"<!-- begin {name} -->.*?<!-- end {name} -->",
            f"<!-- begin {name} -->\n{lines}\n<!-- end {name} -->",
            text,
            flags=re.S,
        )
    return text


def commands() -> str:
    """What each command does, with its example."""
    parts = []
    for command in COMMANDS:
        doc = command.options.__doc__ or ""
        (example,) = _EXAMPLE.findall(doc)
        parts.append(f"**{command.name}**: {doc.partition(chr(10))[0]}\n\n```sh\n{example}\n```\n")
    return "\n".join(parts).rstrip()


def kinds() -> str:
    """The kinds of files, where they are shipped and what reads them."""
    lines = ["| kind | what it is | shipped in | read by |", "|---|---|---|---|"]
    for kind in FILE_KINDS:
        folder = f"`configs/{kind.folder}`" if kind.folder else ""
        lines.append(f"| `{kind.name}` | {kind.title} | {folder} | {kind.read_by} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
