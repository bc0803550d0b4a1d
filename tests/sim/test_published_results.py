"""The committed report of the standard benchmark is what the committed results of its cells say."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sim.benchmark.plan import make_plan
from sim.benchmark.run_cell import read_result
from sim.benchmark.suite import load_suite
from sim.benchmark.summary import summarize

ROOT = Path(__file__).resolve().parent.parent.parent
PUBLISHED = ROOT / "benchmarks" / "standard"


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """All numbers and words by their place."""
    if isinstance(value, dict):
        return {place: leaf for key, entry in value.items() for place, leaf in flat(entry, f"{path}/{key}").items()}
    if isinstance(value, list):
        return {place: leaf for i, entry in enumerate(value) for place, leaf in flat(entry, f"{path}/{i}").items()}
    return {path: value}


def numbers_and_words(value: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """The numbers, and all else."""
    numbers = {place: leaf for place, leaf in flat(value).items() if isinstance(leaf, float)}
    return numbers, {place: leaf for place, leaf in flat(value).items() if place not in numbers}


@pytest.mark.slow
def test_the_report_of_the_standard_benchmark_follows_from_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    committed = json.loads((ROOT / "docs" / "results" / "standard.json").read_text(encoding="utf-8"))
    with tarfile.open(PUBLISHED / "cells.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(ROOT)
    suite = load_suite("standard", committed["config"]["episodes"])

    plan = make_plan(suite, PUBLISHED / "runs", skip_missing=True)
    without = [cell.path(Path()).as_posix() for cell in plan.cells() if read_result(cell, tmp_path) is None]
    assert not without, "a checkpoint, a scenario, a robot or MuJoCo has changed since these ran"

    report = summarize(suite, plan, tmp_path, {})

    assert [protocol["name"] for protocol in report["protocols"]] == [protocol.name for protocol in suite.protocols]
    for found, expected in zip(report["protocols"], committed["protocols"], strict=True):
        for part in ("leaderboard", "comparisons", "scenarios"):
            (numbers, words), (same_numbers, same_words) = numbers_and_words(found[part]), numbers_and_words(expected[part])
            assert words == same_words
            # another processor adds in another order
            assert numbers == pytest.approx(same_numbers, rel=1e-3, abs=1e-6)
