"""`sweep`: trials are trainings, go on after a kill, are given up when others are better, and the best one can be trained."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.sweeps.space import PruningConfig, SweepConfig
from adaptive_mbrl.sweeps.study import SweepError, Trials, folder_number
from adaptive_mbrl.sweeps.trial import Interrupted, Pruned, TrialError, run_trial
from adaptive_mbrl.sweeps.workers import SECONDS_UNTIL_DEAD, Worker
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.job import Job
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import RoundRecord
from tests.core.point_recordings import SMALL, write_recordings

FIGURE = "validation/adapted_loss"
CONFIG = SweepConfig(FIGURE, {"window": {"low": 1, "high": 9, "integer": True}}, pruning=PruningConfig(0, 0))
EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/sweep/space.yaml"


def trials_of(folder: Path, worker: Worker, num: int = 3, **changes: object) -> Trials:
    folder.mkdir(exist_ok=True)
    arguments = {"storage": None, "config": CONFIG, "asked_for": {"a": 1}, "num": num, "seed": 0, "worker": worker} | changes
    return Trials(folder, **arguments)


# --- which trial comes next ---------------------------------------------------------------------------------------------------


def test_a_trial_of_a_dead_worker_is_taken_up_again_in_its_folder(tmp_path: Path):
    dead, worker = Worker(tmp_path), Worker(tmp_path)
    before = trials_of(tmp_path, dead)
    with dead.alive():
        first = before.next()
        window = first.suggest_int("window", 1, 9)

        with worker.alive():
            # while it lives, others begin trials of their own
            trials = trials_of(tmp_path, worker)
            other = trials.next()
            assert folder_number(other) == 1

    with worker.alive():
        again = trials.next()
        assert (again.number, folder_number(again)) == (2, 0)
        assert again.suggest_int("window", 1, 9) == window
        trials.complete(again, 0.5)
        trials.complete(other, 0.7)
        third = trials.next()
        assert folder_number(third) == 3
        # the one that died counts once
        assert trials.next() is None
        trials.fail(third, "why")
    assert [folder_number(t) for t in trials.ended()] == [0, 1, 3]
    assert folder_number(trials.best()) == 0


def test_an_interrupted_trial_comes_next(tmp_path: Path):
    worker = Worker(tmp_path)
    with worker.alive():
        trials = trials_of(tmp_path, worker, num=1)
        trials.put_back(trials.next().number)
        assert trials.ended() == []
        # somebody else has put it back already
        trials.put_back(0)
        assert folder_number(trials.next()) == 0
        assert trials.next() is None


@pytest.mark.parametrize(("seconds", "dead"), [(SECONDS_UNTIL_DEAD - 20, False), (SECONDS_UNTIL_DEAD + 20, True)])
def test_a_worker_on_another_machine_is_dead_when_it_has_been_silent(tmp_path: Path, seconds: float, dead: bool):
    worker = Worker(tmp_path)
    with worker.alive():
        mine, other = tmp_path / "workers" / worker.name, tmp_path / "workers" / "elsewhere.1.abc"
        other.touch()
        then = mine.stat().st_mtime - seconds
        os.utime(other, (then, then))

        assert worker.is_dead("elsewhere.1.abc") == dead
        assert worker.is_dead("elsewhere.2.gone")
        assert not worker.is_dead(worker.name)
    assert not mine.exists()


def test_another_sweep_in_the_same_folder_is_refused(tmp_path: Path):
    trials_of(tmp_path, Worker(tmp_path))
    with pytest.raises(ConfigError, match="begun with another configuration or space; choose another --run folder"):
        trials_of(tmp_path, Worker(tmp_path), asked_for={"a": 2})


def test_a_storage_that_cannot_be_used_is_one_line(tmp_path: Path):
    with pytest.raises(SweepError, match=r"^nonsense: cannot be used as storage: .+$"):
        trials_of(tmp_path, Worker(tmp_path), storage="nonsense")


# --- one trial ----------------------------------------------------------------------------------------------------------------


def job(folder: Path, *steps: str) -> Job:
    """A process that does some steps instead of a training."""
    return Job(folder, TrainConfig("a:train"), (sys.executable, "-c", "\n".join(("import os, signal, sys", *steps))), "trial", "")


def record(folder: Path, *values: float) -> None:
    for index, value in enumerate(values):
        path = folder / "rounds" / f"{index:03d}" / RECORD_FILE
        save_yaml(path, RoundRecord(1, 1, 0, 0, 1, 1.0, {FIGURE: value}))


def test_a_trial_that_is_worse_than_the_others_is_given_up_and_its_process_ended(tmp_path: Path):
    worker, processes = Worker(tmp_path), []
    with worker.alive():
        trials = trials_of(tmp_path, worker)
        good, bad = trials.next(), trials.next()
        for index, value in enumerate((2.0, 1.0)):
            good.report(value, index)
        trials.complete(good, 1.0)
        # two rounds, the second of which is worse than the good one's
        record(tmp_path / "bad", 1.5, 1.4)

        with pytest.raises(Pruned, match=r"given up after round 1, validation/adapted_loss 1\.4"):
            run_trial(bad, job(tmp_path / "bad", "signal.pause()"), FIGURE, 1, processes.append, Event())

    assert processes[0].returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (["print('some line')", "sys.exit('error: no such thing')"], TrialError, "error: no such thing"),
        (["os.kill(os.getpid(), signal.SIGKILL)"], TrialError, "ended by signal 9"),
        (["os.kill(os.getpid(), signal.SIGTERM)"], Interrupted, "^$"),
        (["sys.exit(130)"], Interrupted, "^$"),
        (["sys.exit(0)"], Interrupted, "^$"),
    ],
    ids=["fails", "is killed", "is terminated", "is interrupted", "ends early"],
)
def test_a_training_that_does_not_reach_its_end(tmp_path: Path, steps: list[str], error: type[Exception], message: str):
    worker = Worker(tmp_path)
    with worker.alive():
        trial = trials_of(tmp_path, worker).next()
        with pytest.raises(error, match=message):
            run_trial(trial, job(tmp_path / "trial", *steps), FIGURE, 1, lambda process: None, Event())


@pytest.mark.parametrize(
    ("values", "why"), [([], f"no round has the figure {FIGURE}"), ([1.0, float("inf")], "expected a finite number, got inf")]
)
def test_a_training_without_the_figure_has_no_result(tmp_path: Path, values: list[float], why: str):
    worker = Worker(tmp_path)
    record(tmp_path / "trial", *values)
    (tmp_path / "trial/checkpoint").mkdir(parents=True)
    (tmp_path / "trial/checkpoint/checkpoint.yaml").touch()
    with worker.alive():
        trial = trials_of(tmp_path, worker).next()
        with pytest.raises(TrialError, match=why):
            run_trial(trial, job(tmp_path / "trial"), FIGURE, 1, lambda process: None, Event())


# --- the command --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_yaml(tmp_path / "space.yaml", SweepConfig(FIGURE, {"outer.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}))
    return write_recordings(Path("logs"))


def words(space: str = "space.yaml", trials: int = 2, *settings: str) -> list[str]:
    flags = ["--data", "logs", "--trials", str(trials), "--seed", "0", "--run", "sweep", "--logger", "none", "--device", "cpu"]
    return ["sweep", "--space", space, *flags, "--set", *SMALL, *settings]


@pytest.mark.slow
def test_the_example_is_searched_and_its_best_configuration_can_be_trained(recordings: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(words(str(EXAMPLE), 2, "outer.query=10")) == 0

    printed = capsys.readouterr()
    assert "Trials: 2 of 2 ended: 2 complete" in printed.out
    assert re.search(r"^1 of 2, about .* left; trial 0: validation/adapted_error_10_steps ", printed.err, flags=re.M)
    best = Path("sweep/best.yaml").read_text()
    (number,) = re.findall(r"^# The best of 2 trials, trial (\d): validation/adapted_error_10_steps ", best)
    config = load_yaml("sweep/best.yaml", TrainConfig)
    assert config == load_yaml(f"sweep/trial_000{number}/config.yaml", TrainConfig)
    assert 8 <= config.window <= 32
    assert cli.main(["train", "--config", "sweep/best.yaml", "--run", "best", "--device", "cpu"]) == 0
    assert Path("best/checkpoint").is_dir()
    capsys.readouterr()
    assert cli.main(["runs", "."]) == 0
    assert re.search(r"sweep/trial_0001 +done +2/2", capsys.readouterr().out)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_does_not_train_twice_what_is_done(recordings: Path, capsys: pytest.CaptureFixture[str]):
    command = [sys.executable, "-m", "adaptive_mbrl", *words(trials=3)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "up to 3 trials, 1 at once; 0 have ended" in process.stderr.readline()
        assert process.stderr.readline().startswith("1 of 3")
        process.kill()
    done = Path("sweep/trial_0000/checkpoint/weights.safetensors").stat().st_mtime_ns

    assert cli.main(words(trials=3)) == 0

    printed = capsys.readouterr()
    assert "Trials: 3 of 3 ended: 3 complete" in printed.out
    assert "up to 3 trials, 1 at once; 1 have ended" in printed.err
    assert printed.err.count("\n") == 3
    assert Path("sweep/trial_0000/checkpoint/weights.safetensors").stat().st_mtime_ns == done
    # nothing is left to do, and more trials can be asked for
    assert cli.main(words(trials=3)) == 0
    assert cli.main(words(trials=4)) == 0
    assert "Trials: 4 of 4 ended: 4 complete" in capsys.readouterr().out


def test_a_sweep_without_a_result_says_why(recordings: Path, capsys: pytest.CaptureFixture[str]):
    # no round has a figure without held-out episodes
    for file in sorted(Path("logs").glob("[0-9]*"))[3:]:
        file.unlink()

    assert cli.main(words("space.yaml", 1, "data.validation_fraction=0")) == 2

    err = capsys.readouterr().err
    assert err.endswith(
        "error: sweep: no trial has reached its end; 1 of 1 ended: 1 failed, the first because: "
        "no round has the figure validation/adapted_loss\n"
    )


def test_without_optuna_no_folder_is_made(recordings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert cli.main(words()) == 2
    assert capsys.readouterr().err == "error: package 'optuna' is not installed; pip install 'adaptive-mbrl[sweep]'\n"
    assert not Path("sweep").exists()


def take_all(folder: Path) -> None:
    """Take trials of a sweep of six until there are no more."""
    worker = Worker(folder)
    with worker.alive():
        trials = trials_of(folder, worker, num=6, seed=None)
        while (trial := trials.next()) is not None:
            trials.complete(trial, 1.0)


def test_processes_that_begin_at_the_same_moment_share_one_sweep(tmp_path: Path):
    program = (
        "import sys, optuna; from pathlib import Path; from tests.core.test_sweep import take_all\n"
        "print(flush=True); sys.stdin.read(); take_all(Path(sys.argv[1]))\n"
    )
    folder = tmp_path / "shared"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        # it has loaded everything
        other.stdout.readline()
        other.stdin.close()
        take_all(folder)

    assert other.returncode == 0
    assert len(trials_of(folder, Worker(folder), num=6).ended()) == 6


def test_missing_recordings_are_told_before_any_trial(recordings: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["sweep", "--space", "space.yaml", "--data", "nowhere", "--run", "sweep"]) == 2
    assert "error: --data: nowhere holds no episodes" in capsys.readouterr().err
    assert not Path("sweep").exists()


def test_a_wrong_configuration_is_named(recordings: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(words("space.yaml", 1, "windw=3")) == 2
    assert "--data: unknown key 'windw' (did you mean 'window'?)" in capsys.readouterr().err
