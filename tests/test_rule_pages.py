"""Every adaptation rule has a page with its mathematics, its picture and the file that it is in."""

from __future__ import annotations

import re
import typing
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from adaptive_mbrl.adaptation import RuleConfig
from benchmarks.make_rule_pictures import RULES

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "rules"
TAGS = [config.TAG for config in typing.get_args(RuleConfig)]


def test_there_is_a_page_for_every_rule_and_none_for_what_is_no_rule():
    assert {page.stem for page in PAGES.glob("*.md")} == {*TAGS, "index", "composition", "physics"}


@pytest.mark.parametrize("name", [*TAGS, "composition"])
def test_a_page_has_an_equation_a_picture_and_the_rules_file(name: str):
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")

    assert text.startswith(f"# {name}: ")
    assert "$$" in text
    (picture,) = re.findall(r"\]\((\S+\.svg)\)", text)
    assert ET.parse(PAGES / picture).getroot().tag.endswith("svg")
    (file,) = re.findall(r"^Code: `(\S+)`", text, flags=re.M)
    assert (ROOT / file).is_file()


def test_the_index_names_every_page():
    index = (PAGES / "index.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| \[\w+\]\((\w+)\.md\)", index, flags=re.M)) == {p.stem for p in PAGES.glob("*.md")} - {"index"}


def test_a_picture_can_be_made_of_every_rule():
    assert set(RULES) == {*TAGS, "composition"}
