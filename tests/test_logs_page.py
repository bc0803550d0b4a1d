"""docs/logs.md explains every key of a log's YAML file with its default, and its examples are those that are shipped."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from adaptive_mbrl.logs.bags.files import STORAGE
from adaptive_mbrl.logs.columns import LogAction, LogChannel, NumberColumn, TimeColumn
from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.logs.tables import FORMATS
from adaptive_mbrl.logs.tags import RESERVED, TagsConfig

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
SECTIONS = {
    "The YAML file": LogConfig,
    "Observations": LogChannel,
    "Actions": LogAction,
    "Time": TimeColumn,
    "Tags and situations": TagsConfig,
}


def rows(title: str) -> dict[str, str]:
    """The default of every key in the table of a section, as it is written."""
    section = re.split(rf"^##+ {title}$", PAGE, flags=re.M)[1].split("\n#")[0]
    table = section.split("| key | meaning | default |\n")[1].split("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[1:]]
    return {key.strip("`"): default for key, _, default in cells}


@pytest.mark.parametrize("title", SECTIONS)
def test_the_table_has_every_key_and_no_other(title: str):
    assert set(rows(title)) == {field.name for field in dataclasses.fields(SECTIONS[title])}


@pytest.mark.parametrize("title", SECTIONS)
def test_the_defaults_are_those_of_the_program(title: str):
    for field in dataclasses.fields(SECTIONS[title]):
        written = rows(title)[field.name]
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        assert (written == "required") == required, field.name
        if isinstance(field.default, bool | int | float | str):
            assert yaml.safe_load(written.strip("`")) == field.default, field.name


def test_the_keys_of_a_goal_and_the_endings_of_files_are_named():
    sentence = re.search(r"An entry of `goal` has the keys (.*?), which", PAGE)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == [field.name for field in dataclasses.fields(NumberColumn)]
    assert all(f"`{ending}`" in PAGE for ending in (*FORMATS, *STORAGE) if not ending.endswith(".gz"))


def test_the_tags_that_are_refused_are_named():
    sentence = re.search(r"Some names are refused, because they have a meaning of their own:([^.]*)", PAGE)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == list(RESERVED)


def test_the_examples_are_those_that_are_shipped():
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)]
    files = [ROOT / "examples" / "logs" / name for name in ("logs.yaml", "bag.yaml")]
    assert examples == [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
