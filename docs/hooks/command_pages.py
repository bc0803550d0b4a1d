"""The reference of the command line: every command with its flags, from the help that it prints."""

from __future__ import annotations

import contextlib
import io
import os
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from adaptive_mbrl.cli import COMMANDS, parse

# so wide that no sentence of a flag is wrapped, yet a flag and its sentence stay apart
COLUMNS = "3000"
ROW = re.compile(r" {1,2}(?P<flag>\S.*?)(?: {2,}(?P<meaning>\S.*?))? *")


def help_of(command: str) -> str:
    """What `adaptive-mbrl COMMAND --help` prints."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            parse([*command.split(), "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return printed.getvalue()


def rows_of(section: str) -> list[str]:
    """The lines of a table of flags, or of what a command takes without a flag."""
    found: list[tuple[str, str]] = []
    for line in section.splitlines():
        row = ROW.fullmatch(line)
        if row and not set(row["flag"]) <= {"-", "─"}:
            found.append((row["flag"], row["meaning"] or ""))
        elif found and not found[-1][1]:
            # the sentence of a long flag stands in a line of its own
            found[-1] = (found[-1][0], line.strip())
    escaped = [(flag.replace("|", "\\|"), meaning.replace("|", "\\|")) for flag, meaning in found]
    return [f"| `{flag}` | {meaning[:1].upper()}{meaning[1:]} |" for flag, meaning in escaped if flag != "-h, --help"]


def section_of(command: str) -> str:
    """A command: what it does, an example, and its flags."""
    text = help_of(command)
    about, *tables = re.split(r"^ *(?:positional arguments|options|\w[\w ]* options) *\n", text, flags=re.M)
    usage, _, about = about.partition("\n\n")
    paragraphs = []
    for paragraph in about.strip().split("\n\n"):
        example, colon, commands = paragraph.partition(": ")
        if colon and example in ("Example", "Examples"):
            paragraphs.append("```sh\n" + "\n".join(" ".join(commands.split()).split("; ")) + "\n```")
        elif paragraph.strip():
            paragraphs.append(" ".join(paragraph.split()))
    rows = [row for table in tables for row in rows_of(table)]
    if not usage.startswith("usage: ") or not about.strip():
        raise PluginError(f"adaptive-mbrl {command} --help prints nothing that a page can be made of")
    table = "| flag | meaning |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else "It has no flags.\n"
    return f"## {command}\n\n" + "\n\n".join(paragraphs) + f"\n\n{table}"


def page() -> str:
    """The page of all commands."""
    return (
        "# Commands\n\n`adaptive-mbrl COMMAND --help` prints the same. A misspelt command or flag is an error of one line, with "
        "exit code 2.\n\n" + "\n".join(section_of(command.name) for command in COMMANDS)
    )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page."""
    files.append(File.generated(config, "reference/commands.md", content=page()))
    return files
