"""A whole benchmark with untrained models: cells, what makes one run again, interruptions, and the three reports."""

from __future__ import annotations

import copy
import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_mbrl.file_lock import locked_file
from adaptive_mbrl.options import BenchmarkOptions
from sim import paths
from sim.benchmark import run_cell as run_cell_module
from sim.benchmark import runner, statistics
from sim.benchmark.cells import Cell, Field, Plan
from sim.benchmark.command import IN_USE, BenchmarkError, benchmark
from sim.benchmark.plan import make_plan
from sim.benchmark.run_cell import read_result, run_cell
from sim.benchmark.suite import load_suite
from sim.evaluation.evaluate import evaluate
from sim.evaluation.setup import prepare
from sim.paths import config_root

MakeCheckpoint = Callable[..., Path]
EPISODES, SEEDS, FIRST_SEED = 3, (0, 1), 5


@pytest.fixture(scope="module", autouse=True)
def _quick_intervals() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 300)
        yield


@pytest.fixture(scope="module")
def suite(make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods with two training seeds each, on a cart-pole whose motor weakens."""
    folder = tmp_path_factory.mktemp("suite")
    for seed in SEEDS:
        make_checkpoint(folder / f"meta_{seed}", seed=seed)
        make_checkpoint(folder / f"multitask_{seed}", rule="none", seed=seed)
    (folder / "weak.yaml").write_text("robot: cartpole\nsteps: 40\nchanges:\n  - {at: 12, actuator_gain: 0.3}\n")
    (folder / "tiny.yaml").write_text(
        f"episodes: {EPISODES}\nseed: {FIRST_SEED}\nprotocols:\n  - name: weak motor\n    scenarios: [weak.yaml]\n    methods:\n"
        f"      - {{name: meta, checkpoint: '{folder}/meta_{{seed}}', seeds: [0, 1]}}\n"
        f"      - {{name: plain, checkpoint: '{folder}/multitask_{{seed}}', seeds: [0, 1]}}\n"
    )
    return folder / "tiny.yaml"


@pytest.fixture
def small(suite: Path, tmp_path: Path) -> Path:
    """A copy with one training seed and six cells."""
    return small_suite(suite, tmp_path / "small")


@pytest.fixture(scope="module")
def small_results(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of another copy, which are those of every copy; do not change them."""
    folder = tmp_path_factory.mktemp("small_results")
    run(small_suite(suite, folder / "small"), folder / "out")
    return folder / "out"


def small_suite(suite: Path, folder: Path) -> Path:
    shutil.copytree(suite.parent, folder)
    (folder / "weak.yaml").write_text("robot: cartpole\nsteps: 16\nchanges:\n  - {at: 4, actuator_gain: 0.3}\n")
    (folder / "small.yaml").write_text(
        "episodes: 2\narms: [adaptive, multitask, oracle, random]\nprotocols:\n  - name: weak motor\n    scenarios: [weak.yaml]\n"
        f"    methods: [{{name: meta, checkpoint: {folder}/meta_0}}, {{name: plain, checkpoint: {folder}/multitask_0}}]\n"
    )
    return folder / "small.yaml"


def run(suite: Path, out: Path, **options: Any) -> dict[str, Any]:
    benchmark(BenchmarkOptions(str(suite), out, processes=1, **options))
    return json.loads((out / "report.json").read_text())


def plan_of(suite: Path) -> Plan:
    return make_plan(load_suite(suite), Path("runs"))


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    report = copy.deepcopy(report)
    # somebody may commit, or a day may end, while the tests run
    del report["config"]["cell_seconds"], report["config"]["git_revisions"], report["config"]["date"]
    for protocol in report["protocols"]:
        for line in protocol["leaderboard"]:
            del line["adapt_ms"], line["plan_ms"]
    return report


@pytest.fixture(scope="module")
def finished(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark")
    run(suite, out)
    return out


@pytest.fixture
def report(finished: Path) -> dict[str, Any]:
    return json.loads((finished / "report.json").read_text())


def test_oracle_and_random_run_once_for_all_methods(suite: Path, finished: Path):
    cells = plan_of(suite).cells()
    arms = [cell.arm for cell in cells]

    assert {arm: arms.count(arm) for arm in arms} == {
        "oracle": 1,
        "random": 1,
        "adaptive": 2,
        "frozen": 2,
        "multitask": 2,
        "prediction": 4,
    }
    assert len(list((finished / "cells").rglob("*.json"))) == len(cells)


def test_every_cell_ran_the_episodes_of_an_evaluation(suite: Path, finished: Path):
    """The rewards are those that `evaluate` gives with the same checkpoint, scenario and seeds."""
    setup = prepare(suite.parent / "meta_1", suite.parent / "weak.yaml", episodes=EPISODES, seed=FIRST_SEED)
    expected = evaluate(setup)
    model = next(m for m in plan_of(suite).fields[0].models if (m.method, m.seed) == ("meta", 1))

    for arm, cell in (*model.arms.items(), ("oracle", model.oracle), ("random", plan_of(suite).fields[0].random)):
        result = read_result(cell, finished)
        np.testing.assert_allclose(result["rewards"], expected.arms[arm].rewards, rtol=1e-4, atol=1e-5)
        assert [s["seed"] for s in result["scenarios"]] == [5, 6, 7]


def test_the_leaderboard_holds_what_the_cells_say(suite: Path, finished: Path, report: dict[str, Any]):
    (protocol,) = report["protocols"]
    lines = {line["arm"]: line for line in protocol["leaderboard"]}
    fields = plan_of(suite).fields[0]

    assert list(lines) == ["meta", "meta, frozen", "plain"]
    for label, method, arm in (("meta", "meta", "adaptive"), ("meta, frozen", "meta", "frozen"), ("plain", "plain", "multitask")):
        results = [read_result(m.arms[arm], finished) for m in fields.models if m.method == method]
        after = np.array([[np.sum(rewards[12:]) for rewards in result["rewards"]] for result in results])
        line = lines[label]
        assert line["return_after_change"]["value"] == pytest.approx(after.mean(), abs=1e-5)
        low, high = line["return_after_change"]["ci95"]
        assert low < after.mean() < high
        assert line["training_seeds"] == [0, 1]
        assert "2 training seeds" in line["covers"]
        assert line["plan_ms"] == pytest.approx(np.mean([result["plan_ms"]["median"] for result in results]), abs=1e-5)
    assert [(pair["ours"], pair["theirs"]) for pair in protocol["comparisons"]] == [("meta", "meta, frozen"), ("meta", "plain")]
    difference = protocol["comparisons"][1]["return_after_change"]["value"]
    assert difference == pytest.approx(
        lines["meta"]["return_after_change"]["value"] - lines["plain"]["return_after_change"]["value"], abs=1e-4
    )
    gained = protocol["comparisons"][1]["after_minus_before"]
    assert gained["value"] == pytest.approx(difference - 28 / 12 * ahead_before(fields, finished), abs=1e-4)
    low, high = gained["ci95"]
    assert low < gained["value"] < high


def ahead_before(fields: Field, finished: Path) -> float:
    """By how much `meta` has earned more than `plain` when the change comes, which is in step 12 of 40; the mean."""
    earned = {}
    for method, arm in (("meta", "adaptive"), ("plain", "multitask")):
        results = [read_result(m.arms[arm], finished) for m in fields.models if m.method == method]
        earned[method] = np.mean([np.sum(rewards[:12]) for result in results for rewards in result["rewards"]])
    return float(earned["meta"] - earned["plain"])


def test_more_evidence_changes_the_predictions_of_what_adapts_only(report: dict[str, Any]):
    evidence = report["protocols"][0]["scenarios"][0]["evidence"]

    # 28 steps after the change have room for 10 predicted ones and at most 16 transitions before
    assert evidence["transitions"] == [0, 1, 2, 4, 8, 16]
    meta, plain = (np.array(evidence["methods"][name]["mean"]) for name in ("meta", "plain"))
    assert len(np.unique(plain)) == 1
    # the window of these models has 4 transitions
    assert len(np.unique(meta[:4])) == 4
    assert len(np.unique(meta[3:])) == 1


def test_two_benchmarks_in_one_folder_do_not_meet(small: Path, tmp_path: Path):
    """The second one would take the unfinished results of the first one for leftovers."""
    held = locked_file(tmp_path / "out", IN_USE)
    with held, pytest.raises(BenchmarkError, match=r"process \d+ on .* is running a benchmark in this folder; .* another --out"):
        run(small, tmp_path / "out")

    assert not (tmp_path / "out" / "report.json").exists()


def test_an_interrupted_benchmark_goes_on_and_ends_with_the_same_report(
    small: Path, small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    expected = run(small, shutil.copytree(small_results, tmp_path / "whole"))
    out, ran = tmp_path / "out", []

    def interrupted(cell: Cell, out: Path) -> None:
        if len(ran) == 4:
            raise KeyboardInterrupt
        ran.append(cell)
        run_cell(cell, out)

    monkeypatch.setattr(runner, "run_cell", interrupted)
    with pytest.raises(SystemExit) as stopped:
        run(small, out)
    assert stopped.value.code == 130
    assert f"go on with: adaptive-mbrl benchmark --suite {small} --out {out}" in capsys.readouterr().err
    assert not (out / "report.json").exists()
    # a file that was damaged counts as not there
    ran[-1].path(out).write_text("{")

    again: list[Cell] = []
    monkeypatch.setattr(runner, "run_cell", lambda cell, out: (again.append(cell), run_cell(cell, out)))
    report = run(small, out)

    assert len(again) == len(plan_of(small).cells()) - 3
    assert without_times(report) == without_times(expected)


def test_a_finished_benchmark_runs_nothing_again(suite: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    before = (finished / "report.json").read_text()
    monkeypatch.setattr(runner, "run_cell", lambda cell, out: pytest.fail(f"{cell.arm} ran again"))

    run(suite, finished)

    assert "0 to run, 1 at once; 12 are there from before" in capsys.readouterr().err
    assert (finished / "report.json").read_text() == before


def test_what_changed_has_another_key_and_nothing_else(suite: Path, tmp_path: Path):
    text = suite.read_text().replace(str(suite.parent), str(tmp_path))
    shutil.copytree(suite.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tiny.yaml").write_text(text)

    def keys() -> dict[str, str]:
        plan = plan_of(tmp_path / "tiny.yaml")
        return {label: key for key, label in plan.labels().items()}

    def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
        return {label.partition(", ")[2] for label in before if before[label] != after.get(label)}

    before = keys()
    # a copy in another place is the same
    assert sorted(before.values()) == sorted(cell.key for cell in plan_of(suite).cells())

    weights = load_file(tmp_path / "meta_1" / "weights.safetensors")
    weights["model.net.weight_0"] += 0.01
    save_file(weights, tmp_path / "meta_1" / "weights.safetensors")
    new_weights = keys()
    assert changed(before, new_weights) == {"meta seed 1, adaptive", "meta seed 1, frozen", "meta seed 1, prediction"}

    description = tmp_path / "multitask_1" / "checkpoint.yaml"
    description.write_text(description.read_text().replace("num_samples: 8", "num_samples: 9"))
    new_planner = keys()
    # another planner has an oracle of its own
    assert changed(new_weights, new_planner) - {"oracle"} == {"plain seed 1, multitask", "plain seed 1, prediction"}
    assert len(plan_of(tmp_path / "tiny.yaml").cells()) == len(new_planner) == 13
    assert sum(", oracle (icem, " in label for label in new_planner) == 2

    (tmp_path / "meta_0" / "value.safetensors").write_bytes(b"a terminal value")
    new_value = keys()
    assert changed(new_planner, new_value) == {"meta seed 0, adaptive", "meta seed 0, frozen", "meta seed 0, prediction"}

    description.write_text(description.read_text().replace("mean: {}", "worst: {}"))
    new_risk = keys()
    # the oracle's dynamics are certain
    assert changed(new_value, new_risk) == {"plain seed 1, multitask", "plain seed 1, prediction"}

    scenario = tmp_path / "weak.yaml"
    scenario.write_text(scenario.read_text().replace("0.3", "0.4"))
    assert len(set(new_risk.values()) & set(keys().values())) == 0


def test_the_robot_that_a_variant_extends_counts(small: Path):
    (small.parent / "base.yaml").write_text("extends: cartpole\nreset: {qvel_noise: 0.05}\n")
    (small.parent / "variant.yaml").write_text("extends: base.yaml\n")
    scenario = small.parent / "weak.yaml"
    scenario.write_text(scenario.read_text().replace("robot: cartpole", "robot: variant.yaml"))
    before = {cell.key for cell in plan_of(small).cells()}

    (small.parent / "base.yaml").write_text("extends: cartpole\nreset: {qvel_noise: 0.06}\n")

    assert before & {cell.key for cell in plan_of(small).cells()} == set()


def test_a_changed_checkpoint_runs_again(small: Path, small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = run(small, shutil.copytree(small_results, tmp_path / "out"))
    weights = load_file(small.parent / "meta_1" / "weights.safetensors")
    save_file(weights, small.parent / "meta_0" / "weights.safetensors")
    ran: list[str] = []
    monkeypatch.setattr(runner, "run_cell", lambda cell, out: (ran.append(cell.arm), run_cell(cell, out)))

    after = run(small, tmp_path / "out")

    assert ran == ["adaptive", "prediction"]
    new, old = (report["protocols"][0]["leaderboard"] for report in (after, before))
    assert new[0]["return_after_change"] != old[0]["return_after_change"]
    assert new[1] == old[1]


def test_a_cell_that_fails_does_not_stop_the_others(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(cell: Cell, out: Path) -> None:
        if cell.arm == "adaptive":
            raise ZeroDivisionError("of all\nthings")
        run_cell(cell, out)

    monkeypatch.setattr(runner, "run_cell", failing)
    with pytest.raises(
        BenchmarkError, match=r"1 of 6 cells failed, the first was .*meta seed 0, adaptive: ZeroDivisionError: of all things"
    ):
        run(small, tmp_path / "out")

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (line,) = report["protocols"][0]["leaderboard"]
    assert line["arm"] == "plain"
    assert "does not cover training seeds" in line["covers"]
    assert "Failed: " in (tmp_path / "out" / "report.md").read_text()


def test_the_html_report_needs_nothing_else(finished: Path):
    page = (finished / "report.html").read_text()

    assert page.count("<svg") == 5
    # no picture, style or script from elsewhere
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', page) == []
    assert "<script" not in page
    assert "url(http" not in page
    for words in ("weak motor", "meta, frozen", "probability of improvement", "Performance profiles", "K-shot", "Recovery"):
        assert words in page
    # the colour of the text is the page's own in both schemes
    assert "prefers-color-scheme: dark" in page
    assert "#010203" not in page


def test_the_markdown_report_has_a_row_for_every_arm(finished: Path):
    text = (finished / "report.md").read_text()

    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines()}) == 1
    assert all(f"| {arm} | " in text for arm in ("meta", "meta, frozen", "plain"))
    assert "| meta - plain | " in text


def test_only_test_parts_of_shipped_splits_are_in_the_ledger(finished: Path, report: dict[str, Any]):
    assert report["ledger"] == []
    assert not (finished / "test_ledger.csv").exists()


def short_split(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A split that is called as a shipped one is, and short."""
    part = "test: {change: {at: 4, alternatives: [{actuator_gain: 0.5}]}}"
    shutil.copytree(config_root(), short)
    (short / "scenarios" / "cartpole" / "mass_gain.yaml").write_text(f"robot: cartpole\nsteps: 8\n{part}\n")
    monkeypatch.setattr(paths, "config_root", lambda: short)


def test_a_look_at_held_out_changes_is_in_the_ledger(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The split is called as shipped ones are; running it would take long."""
    place = str(suite.parent / "multitask_0")
    (tmp_path / "s.yaml").write_text(
        "episodes: 2\nseed: 9\narms: [multitask]\nprotocols:\n  - name: p\n    scenarios: ['cartpole/mass_gain:test']\n"
        f"    methods: [{{name: plain, checkpoint: {place}}}]\n"
    )
    ledger = tmp_path / "ledger.csv"
    short_split(tmp_path / "short", monkeypatch)

    reports = [run(tmp_path / "s.yaml", tmp_path / "out", ledger=ledger, reason="a test") for _ in range(2)]

    (row,) = csv.DictReader(ledger.read_text().splitlines())
    assert row["reason"] == "a test"
    assert (row["checkpoint"], row["scenario"], row["episodes"], row["seed"]) == (place, "cartpole/mass_gain:test", "2", "9")
    assert [{**entry, "episodes": "2", "seed": "9"} for entry in reports[1]["ledger"]] == [row]
    # without oracle and random arm there is no score, and the reports say so instead of failing
    assert reports[0]["protocols"][0]["leaderboard"][0]["normalized"]["mean"]["value"] is None


def test_an_interruption_loses_no_look_and_doubles_none(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One line for each of two models, however often the benchmark is interrupted between the cells of one of them."""
    short_split(tmp_path / "short", monkeypatch)
    (tmp_path / "s.yaml").write_text(
        "episodes: 1\narms: [adaptive, immediate, multitask]\n"
        "protocols:\n  - name: p\n    scenarios: ['cartpole/mass_gain:test']\n"
        f"    methods:\n      - {{name: meta, checkpoint: {suite.parent}/meta_0}}\n"
        f"      - {{name: plain, checkpoint: {suite.parent}/multitask_0}}\n"
    )
    ledger, models = tmp_path / "ledger.csv", []

    def one_more(cell: Cell, out: Path) -> None:
        if models:
            raise KeyboardInterrupt
        run_cell(cell, out)
        models.append(cell.checkpoint)

    monkeypatch.setattr(runner, "run_cell", one_more)
    for expected in (["meta_0"], ["meta_0"], ["meta_0", "multitask_0"]):
        models.clear()
        if len(expected) == 1:
            with pytest.raises(SystemExit):
                run(tmp_path / "s.yaml", tmp_path / "out", ledger=ledger)
        else:
            run(tmp_path / "s.yaml", tmp_path / "out", ledger=ledger)
        assert [Path(row["checkpoint"]).name for row in csv.DictReader(ledger.read_text().splitlines())] == expected

    # an arm that is run again with other code is another look, though the other arm's result stays
    (again,) = (tmp_path / "out").glob("cells/*/immediate-*.json")
    again.unlink()
    models.clear()
    monkeypatch.setattr(run_cell_module, "_revision", lambda: "0123456789ab")
    run(tmp_path / "s.yaml", tmp_path / "out", ledger=ledger)
    looks = [(Path(row["checkpoint"]).name, row["revision"]) for row in csv.DictReader(ledger.read_text().splitlines())]
    assert len(looks) == 3
    assert looks[2] == ("meta_0", "0123456789ab")


def test_a_moved_suite_can_be_reported(small: Path, small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(small_results, tmp_path / "out")
    moved = tmp_path / "moved"
    small.write_text(small.read_text().replace(str(small.parent), str(moved)))
    small.parent.rename(moved)
    monkeypatch.setattr(runner, "run_cell", lambda cell, out: pytest.fail(f"{cell.arm} ran again"))

    assert run(moved / "small.yaml", tmp_path / "out")["failed"] == []


def test_an_oracle_whose_episodes_were_deleted_runs_again_when_they_are_needed(
    small: Path, small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(small_results, tmp_path, dirs_exist_ok=True)
    cells = {cell.arm: cell for cell in plan_of(small).cells()}
    ran: list[str] = []
    monkeypatch.setattr(runner, "run_cell", lambda cell, out: (ran.append(cell.arm), run_cell(cell, out)))
    shutil.rmtree(cells["oracle"].episodes_folder(tmp_path))
    run(small, tmp_path)
    assert ran == []

    cells["prediction"].path(tmp_path).unlink()
    run(small, tmp_path)

    assert ran == ["oracle", "prediction"]


@pytest.mark.slow
def test_several_processes_give_the_same_results(suite: Path, finished: Path, tmp_path: Path):
    benchmark(BenchmarkOptions(str(suite), tmp_path, processes=2))

    expected = json.loads((finished / "report.json").read_text())
    assert without_times(json.loads((tmp_path / "report.json").read_text())) == without_times(expected)


@pytest.mark.slow
def test_the_smoke_suite(tmp_path: Path):
    # in the suite's own two episodes under a mild change, either arm may be ahead
    report = run(Path("smoke"), tmp_path, episodes=12)

    lines = {line["arm"]: line for line in report["protocols"][0]["leaderboard"]}
    assert lines["adaptive"]["normalized"]["mean"]["value"] > lines["multitask"]["normalized"]["mean"]["value"]
    assert lines["adaptive"]["open_loop_10"]["value"] < lines["adaptive, frozen"]["open_loop_10"]["value"]
    assert torch.get_num_threads() == 1
