"""The curves of a training reach each logger, a resumed run goes on with them, and a logger that fails stops nothing."""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from adaptive_mbrl import cli
from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.loggers import make_loggers
from adaptive_mbrl.training.loggers.guard import GuardedLogger
from adaptive_mbrl.training.loggers.tensorboard import TensorBoardLogger
from tests.core.point_recordings import SMALL, write_recordings
from tests.core.wandb_file import history, run_record


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_recordings(Path("logs"))


def train(*flags: str) -> int:
    return cli.main(
        [
            *("train", "--data", "logs", "--run", "run", "--no-compare", "--no-report", "--device", "cpu", *flags),
            *("--set", *SMALL, "updates_final=0"),
        ]
    )


def curves(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_tensorboard_reads_curves_and_configuration(tmp_path: Path):
    config = to_mapping(TrainConfig("cartpole/mass_gain:train"))
    (logger,) = make_loggers(["tensorboard"], tmp_path, config)

    logger.scalars({"a/b": 1.5, "c": 2.0}, 3)
    logger.scalars({"c": 3.0}, 7)
    logger.close()

    found = curves(tmp_path / "tensorboard")
    assert [(p.step, p.value) for p in found.Scalars("c")] == [(3, 2.0), (7, 3.0)]
    assert [(p.step, p.value) for p in found.Scalars("a/b")] == [(3, 1.5)]
    (text,) = found.Tensors("config")
    assert "    scenarios: cartpole/mass_gain:train" in text.tensor_proto.string_val[0].decode().splitlines()


def test_nothing_to_log_leaves_no_file(tmp_path: Path):
    for logger in make_loggers(["tensorboard", "wandb"], tmp_path, {}):
        logger.close()

    assert list(tmp_path.iterdir()) == []


def test_none_logs_nothing_and_another_logger_does_not_make_it_another_run(recordings: Path):
    assert train("--logger", "none") == 0
    assert not Path("run/tensorboard").exists()
    # finished, so nothing is logged either
    assert train("--logger", "tensorboard") == 0
    assert not Path("run/tensorboard").exists()


def test_weights_and_biases_gets_curves_and_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (logger,) = make_loggers(["wandb"], tmp_path, {"window": 4})
    logger.scalars({"loss": 1.0}, 3)
    logger.scalars({"loss": 0.5}, 6)
    logger.close()

    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    about = run_record(file)
    assert about.run_id == (tmp_path / "logger_id").read_text().strip()
    assert {update.key: update.value_json for update in about.config.update}["window"] == "4"
    assert history(file) == [{"loss": 1.0, "updates": 3}, {"loss": 0.5, "updates": 6}]


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_its_run_of_weights_and_biases(recordings: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    for number in range(2):
        # a round less, as if the first process had been killed in between
        with monkeypatch.context() as patch:
            if number == 0:
                patch.setattr("adaptive_mbrl.training.run.Training.publish", lambda self: self.folder)
            assert train("--logger", "tensorboard", "wandb") == 0
        if number == 0:
            (Path("run/rounds/000")).rename(recordings.parent / "gone")

    files = sorted(Path("run/wandb").glob("offline-run-*/run-*.wandb"))
    identity = Path("run/logger_id").read_text().strip()
    assert {file.name for file in files} == {f"run-{identity}.wandb"}
    about = run_record(files[0])
    assert (about.run_id, about.project) == (identity, "adaptive-mbrl")
    assert about.display_name.endswith("/run")
    assert {update.key: update.value_json for update in about.config.update}["window"] == "4"
    rows = history(files[0])
    assert [row["updates"] for row in rows] == [4, 4]
    loss = {"train/query_loss": pytest.approx(rows[0]["train/query_loss"], rel=1e-6)}
    (point,) = curves(Path("run/tensorboard")).Scalars("validation/adapted_loss")[-1:]
    assert rows[0] == {**loss, "updates": 4}
    assert rows[1]["validation/adapted_loss"] == pytest.approx(point.value)


def test_a_run_of_trackio_goes_on(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("trackio", reason="trackio needs an older pillow than the pinned one; see docs/jobs.md")
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    for module in [m for m in sys.modules if m.partition(".")[0] == "trackio"]:
        monkeypatch.setattr(f"{module}.TRACKIO_DIR", tmp_path / "db", raising=False)
    for first in (True, False):
        (logger,) = make_loggers(["trackio"], tmp_path / "run", {"window": 4})
        logger.scalars({"loss": 1.0 if first else 0.5}, 3 if first else 6)
        logger.close()

    (name,) = storage.get_runs("adaptive-mbrl")
    assert name.endswith((tmp_path / "run/logger_id").read_text().strip())
    assert [(row["step"], row["loss"]) for row in storage.get_logs("adaptive-mbrl", name)] == [(3, 1.0), (6, 0.5)]
    assert storage.get_run_config("adaptive-mbrl", name)["window"] == 4


class Failing:
    """A logger that fails where the test says so."""

    def __init__(self, **failures: Exception | None) -> None:
        self.failures, self.logged = failures, []

    def start(self, config: Mapping[str, Any]) -> None:
        self._fail("start")

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        self._fail("scalars")
        self.logged.append(updates)

    def close(self) -> None:
        self._fail("close")
        self.logged.append("closed")

    def _fail(self, where: str) -> None:
        if self.failures.get(where) is not None:
            raise self.failures[where]


def test_a_logger_that_does_not_start_is_told_once_and_left_out(capsys: pytest.CaptureFixture[str]):
    failing = Failing(start=RuntimeError("no key;\n log in."))
    guarded = GuardedLogger("wandb", failing, {})

    guarded.scalars({"a": 1.0}, 1)
    failing.failures.clear()
    guarded.scalars({"a": 1.0}, 2)
    guarded.close()

    assert failing.logged == []
    assert capsys.readouterr().out == (
        "warning: logger wandb: no key; log in; is left out of this training, and the training goes on\n"
    )


def test_one_that_fails_later_is_told_once_and_tried_again(capsys: pytest.CaptureFixture[str]):
    failing = Failing()
    guarded = GuardedLogger("trackio", failing, {})

    guarded.scalars({"a": 1.0}, 1)
    failing.failures = {"scalars": ConnectionError(), "close": ConnectionError()}
    guarded.scalars({"a": 1.0}, 2)
    guarded.scalars({"a": 1.0}, 3)
    failing.failures = {}
    guarded.scalars({"a": 1.0}, 4)
    guarded.close()

    assert failing.logged == [1, 4, "closed"]
    assert capsys.readouterr().out.splitlines() == [
        "warning: logger trackio: ConnectionError; some of its figures are lost, and the training goes on"
    ]


@pytest.mark.parametrize("full", [False, True])
def test_a_full_disk_costs_tensorboard_some_points_and_the_training_nothing(
    recordings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], full: bool
):
    """Whether there is room again for the last figures or not."""
    write, calls = TensorBoardLogger._write, []

    def written(self: TensorBoardLogger, *arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2 or (full and len(calls) > 2):
            # half a record, as it is on a disk that becomes full
            self._file._writer.write(b"half")
            self._file.flush = lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
        write(self, *arguments)

    monkeypatch.setattr(TensorBoardLogger, "_write", written)

    assert train() == 0

    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "logger tensorboard: [Errno 28] No space left on device; some of its figures are lost" in warnings[0]
    tags = curves(Path("run/tensorboard")).Tags()["scalars"]
    assert ("validation/adapted_loss" in tags) == (not full)
    assert Path("run/checkpoint").is_dir()


@pytest.mark.parametrize("package", ["wandb", "trackio"])
def test_without_the_package_no_run_is_begun(
    package: str, recordings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, package, None)

    assert train("--logger", package) == 2

    assert capsys.readouterr().err == f"error: package '{package}' is not installed; pip install 'adaptive-mbrl[{package}]'\n"
    assert not Path("run").exists()


@pytest.mark.parametrize("names", [["none", "wandb"], ["wandb", "wandb"]])
def test_loggers_that_contradict_each_other_are_one_line(names: list[str], capsys: pytest.CaptureFixture[str]):
    assert cli.main(["train", "--config", "c", "--logger", *names]) == 2
    assert capsys.readouterr().err == (
        f"error: --logger: got {' '.join(names)}; allowed: one or more of tensorboard, wandb, trackio, each once, or none alone\n"
    )
