"""The scripts that write the tables of docs/ say what their reports say, whatever the checkpoints of today are."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.training.config import TrainConfig
from tests.benchmark_scripts import ROOT, script
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_RULES, POINT_WINDOW, point_episodes


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


def test_what_there_is_to_gain_from_adapting_is_measured_on_a_run_of_any_changes(tmp_path: Path) -> None:
    """On windows whose parameters are known, and were in training: the last of the held-out episodes has another one."""
    outer = dataclasses.replace(POINT_OUTER, query=5)
    scenarios = "cartpole/mass_gain:train"
    config = TrainConfig(scenarios=scenarios, model=POINT_MODEL, window=POINT_WINDOW, adaptation=POINT_RULES, outer=outer)
    save_yaml(tmp_path / "config.yaml", config)
    episodes = [
        dataclasses.replace(e, tags={"validation": i >= 4, "situation": {"wind": 1.0} if i == 6 else e.tags})
        for i, e in enumerate(point_episodes(7, seed=0))
    ]
    EpisodeStore.open(tmp_path / "episodes", POINT).append(episodes)
    out = tmp_path / "report.json"

    script("adaptation_ceiling").main(tmp_path, updates=2, out=out)

    report = json.loads(out.read_text())
    assert report["windows"] == pytest.approx(2 / 3 * script("adaptation_ceiling").HELD_OUT, rel=0.02)
    assert [list(model["errors"]) for model in report["models"].values()] == [["1", "5"]] * 3
    head, *rows = [line for line in script("learning_tables").ceiling_table(report).splitlines() if line.startswith("|")]
    assert head == "| model | rule | 1 step ahead | 5 steps ahead | part of the gap that is closed |"
    assert [row.split(" | ")[:2] for row in rows[1:]] == [
        ["| multitask", "`none`"],
        ["| adaptive", "`gradient`"],
        ["| known", "`known_parameters`"],
    ]


def test_the_part_of_the_gap_that_a_model_closes() -> None:
    tables = script("learning_tables")
    errors = {"multitask": (0.5, 0.8), "adaptive": (0.4, 0.9), "known": (0.25, 0.9)}
    models = {
        name: {"adaptation": [{"context": {}}, {"gradient": {}}], "errors": dict(zip(("1", "10"), found, strict=True))}
        for name, found in errors.items()
    }
    about = dict.fromkeys(("run", "members", "seed", "machine", "threads", "git_revision"), "x")
    table = tables.ceiling_table({**about, "updates": 3000, "episodes": 10, "windows": 2048, "models": models})

    assert "| adaptive | `context`, then `gradient` | 0.400 | 0.900 | 40%, - |" in table
    assert "| multitask | `context`, then `gradient` | 0.500 | 0.800 | 0%, - |" in table


@pytest.mark.parametrize("page", script("make_results").PAGES)
def test_the_tables_are_those_of_the_reports_and_checkpoints(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    marked = r"<!-- begin (\S+) -->.*?<!-- end \1 -->"
    assert re.sub(marked, script("make_results")._replacement, text, flags=re.S) == text
