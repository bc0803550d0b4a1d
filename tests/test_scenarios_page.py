"""docs/scenarios.md explains every key of scenarios and splits, and its examples load."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from sim.scenarios.change import Change
from sim.scenarios.distribution import PARTS, ChangeDistribution, Part, ScenarioDistribution
from sim.scenarios.draws import FORMS
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "scenarios.md").read_text(encoding="utf-8")
SCENARIO, SPLIT = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)


def first_cells(head: str) -> list[str]:
    """The first cell of each row of the table whose head begins with `head`."""
    (table,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, flags=re.M)
    return [re.findall(r"`(.+?)`", line)[0] for line in table.splitlines()]


def names(of: type) -> list[str]:
    return [field.name for field in dataclasses.fields(of)]


def test_the_tables_have_every_key():
    assert sorted(first_cells("key of a change")) == sorted(names(Change))
    assert first_cells("part") == list(PARTS)
    changes = {f"change.{name}" for name in names(ChangeDistribution)}
    assert set(first_cells("key of a part")) == {*names(Part), *changes, "weight"} - {"change"}
    assert [re.findall(r"\w+", value)[0] for value in first_cells("value")] == list(FORMS)


def test_the_scenario_loads(tmp_path: Path):
    (tmp_path / "scenario.yaml").write_text(SCENARIO)

    scenario = load_scenario(tmp_path / "scenario.yaml")

    assert isinstance(scenario, Scenario)
    assert [c.at for c in scenario.changes] == [100, 200]


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_each_part_of_the_split_loads(part: str, tmp_path: Path):
    (tmp_path / "split.yaml").write_text(SPLIT)

    distribution = load_scenario(f"{tmp_path / 'split.yaml'}:{part}")

    assert isinstance(distribution, ScenarioDistribution)
    assert len({str(s.changes) for s in distribution.episodes(10)}) > (1 if part != "validation" else 0)
