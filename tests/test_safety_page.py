"""docs/safety.md: each row of the table names a test that exists, and the picture shows the states that the code has."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks.make_state_picture import FROM_EVERY_STATE, arrows, main
from robot_bridge.safety.states import Event, State, after

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    table = PAGE.partition("## Failure modes and effects")[2].partition("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")][2:]


def test_every_fault_is_proved_by_a_test_that_exists():
    assert len(rows()) >= 20
    for row in rows():
        assert len(row) == 7, row
        (words, path), *others = re.findall(r"\[([^]]+)\]\(\.\./(tests/\S+\.py)\)", row[-1])
        assert not others
        assert f"def test_{words.replace(' ', '_')}(" in (ROOT / path).read_text(encoding="utf-8"), words


def texts(picture: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(picture).iter() if element.tag.endswith("}text")]


def test_the_picture_is_that_of_the_table_in_the_code(tmp_path: Path):
    main(tmp_path / "supervisor.svg")

    shown = texts(ROOT / "docs" / "images" / "supervisor.svg")
    assert shown == texts(tmp_path / "supervisor.svg")
    assert {state.value for state in State} <= set(shown)
    events = [event for found in arrows().values() for event in found]
    assert sorted(set(shown) - {state.value for state in State}) == sorted({*events, FROM_EVERY_STATE})
    assert all(after(state, Event.ESTOP) is State.ESTOP for state in State)
