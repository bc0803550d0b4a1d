"""`adaptive-mbrl runs` lists what trainings have left, and which of them is running."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.run_folder import claimed
from adaptive_mbrl.training.runs import find_runs, row_of

CONFIG = TrainConfig("cartpole/mass_gain:train", data=DataConfig(iterations=2))
SCALARS = {
    "collect/return": 12.34,
    "validation/adapted_error_5_steps": 0.2,
    "validation/adapted_error_10_steps": 0.31,
    "validation/adapted_error_20_steps": 0.9,
    "validation/prior_error_10_steps": 0.62,
}


def begin(folder: Path, rounds: int) -> Path:
    with claimed(folder, CONFIG, {}, "abc"):
        for i in range(rounds):
            # the last round collects nothing
            scalars = {k: v for k, v in SCALARS.items() if i < 3 or not k.startswith("collect")}
            save_yaml(folder / "rounds" / f"{i:03d}" / RECORD_FILE, RoundRecord(i + 1, 1000 * (i + 1), 0, 0, 50, 90.0, scalars))
    return folder


def test_each_run_has_its_state_and_its_figures(tmp_path: Path):
    begin(tmp_path / "b" / "stopped", 2)
    (begin(tmp_path / "a", 4) / "checkpoint").mkdir()
    begin(tmp_path / "new", 0)

    found = list(find_runs(tmp_path))

    now = max(run.changed for run in found) + 130
    rows = [row_of(run, tmp_path, now) for run in found]
    assert rows[0] == ("a", "done", "4/4", "50", "4,000", "2", "12.3", "0.310", "0.620", "2 min ago")
    assert rows[1][:3] == ("b/stopped", "stopped", "2/4")
    assert rows[2] == ("new", "stopped", "0/4", "", "", "", "", "", "", "2 min ago")


def test_a_run_that_a_process_works_on_is_training(tmp_path: Path):
    with claimed(tmp_path / "run", CONFIG, {}, "abc"):
        assert [run.state for run in find_runs(tmp_path)] == ["training"]
    assert [run.state for run in find_runs(tmp_path)] == ["stopped"]


def test_the_command_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    begin(tmp_path / "mine", 1)

    assert cli.main(["runs", str(tmp_path)]) == 0

    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert "mine" in out
    assert "1/4" in out
    assert "[target stds]" in out


def test_what_cannot_be_read_hides_nothing(tmp_path: Path):
    begin(tmp_path / "a", 1)
    begin(tmp_path / "b", 1)
    (tmp_path / "a" / "config.yaml").write_text("algorithm: {ppo: {}}\n")

    assert [(run.folder.name, run.state) for run in find_runs(tmp_path)] == [("a", "of another kind"), ("b", "stopped")]


def test_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["runs", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: no run is there; a run is a folder that 'adaptive-mbrl train' wrote\n"
