"""docs/jobs.md shows flags, keys and files as they are."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path

import pytest
import yaml

from adaptive_mbrl.config import read_mapping
from adaptive_mbrl.options.loggers import LoggerNames
from adaptive_mbrl.sweeps.space import Choices, PruningConfig, Range, SweepConfig, load_space
from adaptive_mbrl.sweeps.workers import SECONDS_UNTIL_DEAD
from sim.paths import find_config

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
SPACE = ROOT / "examples/sweep/space.yaml"
TABLES = [dict(re.findall(r"^\| `(\w+)` \| .* \| (\S.*) \|$", table, flags=re.M)) for table in PAGE.split("\n\n")]


@pytest.mark.parametrize("kind", [SweepConfig, PruningConfig])
def test_the_tables_have_every_key_with_its_default(kind: type):
    fields = {field.name: field for field in dataclasses.fields(kind)}
    (table,) = (t for t in TABLES if set(t) == set(fields))
    for name, written in table.items():
        if written == "required":
            assert fields[name].default is dataclasses.MISSING
        elif written != "see below":
            assert yaml.safe_load(written) == fields[name].default


def test_the_page_names_every_kind_of_setting_and_every_logger():
    for field in (*dataclasses.fields(Range), *dataclasses.fields(Choices)):
        assert f"`{field.name}" in PAGE
    literal, _ = typing.get_args(typing.get_args(LoggerNames)[0])
    (table,) = (t for t in TABLES if "trackio" in t)
    assert set(table) == set(typing.get_args(literal))
    assert SECONDS_UNTIL_DEAD == 120, "the page says two minutes"


def test_the_example_is_the_file_and_can_be_searched_as_the_page_says():
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    assert yaml.safe_load(shown) == read_mapping(SPACE)
    config, _ = load_space(SPACE, read_mapping(find_config("train", "cartpole")))
    assert config.pruning == PruningConfig()


def test_every_example_for_clusters_is_on_the_page():
    assert {path.name for path in (ROOT / "examples/cluster").iterdir() if path.is_file()} == set(
        re.findall(r"\.\./examples/cluster/([\w.]+)\)", PAGE)
    )
