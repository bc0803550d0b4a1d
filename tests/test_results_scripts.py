"""The scripts that write the tables of docs/ say what their reports say, whatever the checkpoints of today are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.benchmark_scripts import ROOT, script


@pytest.mark.parametrize(
    ("value", "ci95", "below", "verdict"),
    [
        (0.9, [0.85, 0.95], False, "yes"),
        (0.9, [0.7, 0.95], False, "on average; the interval holds the bar"),
        (0.7, [0.6, 0.9], False, "no"),
        (0.9, None, False, "on average; no interval"),
        (0.7, None, False, "no"),
        (float("inf"), None, False, "on average; no interval"),
        (None, None, False, "no figure"),
        (None, None, True, "no figure"),
        (0.5, [0.4, 0.8], True, "yes"),
        (0.5, [0.4, None], True, "on average; the interval holds the bar"),
        (0.9, [0.4, None], True, "no"),
    ],
)
def test_a_goal_is_reached_only_where_a_whole_interval_is_beyond_the_bar(
    value: Any, ci95: Any, below: bool, verdict: str
) -> None:
    assert script("claims").reached({"value": value, "ci95": ci95}, 0.8, below=below) == verdict


def test_a_protocol_without_an_arm_has_no_figure() -> None:
    claims = script("claims")
    empty: dict[str, Any] = {"leaderboard": [], "comparisons": []}
    for find in {find for _, _, find, _ in claims.CLAIMS}:
        found, _ = find(empty)
        assert claims.reached(found, 0.0, below=False) == "no figure"
        assert claims.interval(found, 2) == "-"


def test_a_training_that_is_read_from_a_report_has_the_costs_of_the_report() -> None:
    found = script("privileges").about(str(ROOT / "docs" / "results" / "cartpole.json"))
    assert found == {
        "env_steps": 17600,
        "branch_steps": 70000,
        "oracle_steps": 2560000,
        "updates": 4600,
        "seconds": 281.1,
        "checkpoint": "cartpole",
    }


@pytest.mark.parametrize("page", script("make_results").PAGES)
def test_the_tables_are_those_of_the_reports_and_checkpoints(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    marked = r"<!-- begin (\S+) -->.*?<!-- end \1 -->"
    assert re.sub(marked, script("make_results")._replacement, text, flags=re.S) == text
