"""The ledger of test evaluations."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import EvaluateOptions
from sim import commands, paths
from sim.evaluation.ledger import append_to_ledger, is_held_out, ledger_entries, require_ledger


@pytest.mark.parametrize(
    ("scenario", "held_out"),
    [
        ("arm/mixed:test", True),
        ("arm/mixed:test_kinds", True),
        ("arm/mixed:train", False),
        ("arm/mixed:validation", False),
        # nobody else's test set is ours to count
        ("/home/me/arm.yaml:test", False),
        ("cartpole/weak_motor", False),
    ],
)
def test_test_parts_of_shipped_splits_are_held_out(scenario: str, held_out: bool):
    assert is_held_out(scenario) == held_out
    assert bool(ledger_entries(["a"], scenario, 2, 0)) == held_out


def test_entries_are_appended_below_one_head(tmp_path: Path):
    path = tmp_path / "new" / "ledger.csv"

    append_to_ledger(path, [])
    assert not path.exists()
    append_to_ledger(path, ledger_entries(["arm", "arm", "runs/a, b"], "arm/mixed:test", 20, 7))
    append_to_ledger(path, ledger_entries(["arm_multitask"], "arm/mixed:test", 5, 0))

    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(r["checkpoint"], r["scenario"], r["episodes"], r["seed"]) for r in rows] == [
        ("arm", "arm/mixed:test", "20", "7"),
        ("runs/a, b", "arm/mixed:test", "20", "7"),
        ("arm_multitask", "arm/mixed:test", "5", "0"),
    ]
    assert all(len(r["date"]) == 10 and r["revision"] is not None for r in rows)


def test_a_line_says_why_one_looked(tmp_path: Path):
    path = tmp_path / "ledger.csv"

    append_to_ledger(path, ledger_entries(["arm"], "arm/mixed:test", 5, 0, "a table, of a page"))

    (row,) = csv.DictReader(path.read_text().splitlines())
    assert row["reason"] == "a table, of a page"


def test_a_file_of_before_there_were_reasons_gets_the_column(tmp_path: Path):
    path = tmp_path / "ledger.csv"
    path.write_text("date,revision,checkpoint,scenario,episodes,seed\n2026-01-31,abc,arm,arm/mixed:test,5,0\n")

    require_ledger(path)
    append_to_ledger(path, ledger_entries(["arm"], "arm/mixed:test", 5, 7, "again"))

    rows = [(row["checkpoint"], row["seed"], row["reason"]) for row in csv.DictReader(path.read_text().splitlines())]
    assert rows == [("arm", "0", ""), ("arm", "7", "again")]


def test_a_file_with_other_columns_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "ledger.csv"
    path.write_text("date,revision,checkpoint\n2026-01-31,abc,arm\n")

    with pytest.raises(ConfigError, match=r"ledger.csv: its columns are date, revision, checkpoint; allowed: date, revision, "):
        require_ledger(path)

    assert path.read_text() == "date,revision,checkpoint\n2026-01-31,abc,arm\n"


def test_an_evaluation_writes_down_its_models(
    make_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The split is called as shipped ones are; running it would take long."""
    short = tmp_path / "short"
    shutil.copytree(paths.config_root(), short)
    part = "test: {change: {at: 4, alternatives: [{actuator_gain: 0.5}]}}"
    (short / "scenarios" / "cartpole" / "mass_gain.yaml").write_text(f"robot: cartpole\nsteps: 8\n{part}\n")
    monkeypatch.setattr(paths, "config_root", lambda: short)
    place, ledger, report = str(make_checkpoint(tmp_path / "meta")), tmp_path / "ledger.csv", tmp_path / "report.json"

    commands.evaluate(
        EvaluateOptions(
            place, "cartpole/mass_gain:test", 1, seed=3, oracle=False, json=report, ledger=ledger, reason="a test", device="cpu"
        )
    )

    (row,) = csv.DictReader(ledger.read_text().splitlines())
    assert (row["checkpoint"], row["scenario"], row["seed"]) == (place, "cartpole/mass_gain:test", "3")
    assert row["reason"] == "a test"
    assert [{**entry, "episodes": "1", "seed": "3"} for entry in json.loads(report.read_text())["ledger"]] == [row]
