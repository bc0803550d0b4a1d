"""The commands of README and docs can be typed as they are, and their links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from adaptive_mbrl.cli import COMMANDS, parse

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.S | re.M)


def commands_of(page: Path) -> list[str]:
    """The lines `adaptive-mbrl COMMAND ...` of the page's code blocks, without those that need a shell's variables."""
    blocks = [text for language, text in BLOCK.findall(page.read_text(encoding="utf-8")) if language in ("sh", "bash", "")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("adaptive-mbrl ") and "$" not in line]


LINES = [(page, line) for page in (ROOT / "README.md", *DOCS) for line in commands_of(page)]


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page.name}-{i}" for i, (page, _) in enumerate(LINES)])
def test_every_command_parses(page: Path, line: str) -> None:
    name, *words = shlex.split(line, comments=True)[1:]
    given = parse([name, *words])
    assert type(given) in [c.options for c in COMMANDS if c.name in (name, f"{name} {words[0] if words else ''}")]


def test_the_pages_have_commands() -> None:
    assert {page.name for page, _ in LINES} >= {
        "README.md",
        "baselines.md",
        "benchmark.md",
        "protocols.md",
        "robot.md",
        "training.md",
    }


def anchors_of(page: Path) -> set[str]:
    """What links to headings of a page end with, as GitHub makes it from their text."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link} is not there"
        assert not anchor or anchor in anchors_of(target), f"{page.name}: {link} is no heading"
