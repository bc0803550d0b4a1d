"""`train --seeds`: one run for each seed, resumable, and a table over them; one that fails does not stop the others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.options.seeds import parse_seeds
from adaptive_mbrl.training import side_by_side
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.run_folder import claimed
from adaptive_mbrl.training.seed_table import figures_over
from adaptive_mbrl.training.side_by_side import child_processes
from adaptive_mbrl.training.stopping import Stopped, exit_after
from adaptive_mbrl.training.words import words_of
from tests.core.point_recordings import SMALL, write_recordings


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0..4", (0, 1, 2, 3, 4)), ("0,3,7", (0, 3, 7)), ("5", (5,)), ("2..3,9,3", (2, 3, 9)), ("4..4, 1", (4, 1))],
)
def test_seeds_are_written_as_ranges_and_lists(text: str, seeds: tuple[int, ...]):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0-4", "got '0-4'; allowed: seeds such as 0..4 or 0,3,7"),
        ("", "got ''; allowed: seeds such as 0..4 or 0,3,7"),
        ("4..0", "'4..0' ends before it begins; allowed: 0..4"),
        ("0..2147483648", "'0..2147483648' is out of range; allowed: 1000 seeds from 0 to 2147483647"),
    ],
)
def test_other_seeds_are_one_line(text: str, problem: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["train", "--config", "c", "--seeds", text]) == 2
    assert capsys.readouterr().err == f"error: --seeds: {problem}\n"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--jobs 2", "--jobs: got 2 without --seeds; allowed: 1, or several seeds, such as --seeds 0..4"),
        ("--seeds 0..1 --jobs 0", "--jobs: 0 is out of range; allowed: at least 1"),
        ("--seeds 0..1 --set seed=3", "--set seed=3: --seeds says which seeds are trained; allowed: one of the two"),
    ],
)
def test_flags_that_contradict_each_other_are_one_line(flags: str, problem: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["train", "--config", "c", *flags.split()]) == 2
    assert capsys.readouterr().err == f"error: {problem}\n"


def test_the_words_of_a_training_are_its_options():
    options = TrainOptions(
        "c", set=("a=1",), run=Path("r"), seeds="0..4", jobs=2, logger=("none",), device="cpu", threads=3, compare=False
    )
    assert cli.parse(words_of(options)) == options
    assert words_of(TrainOptions(data=Path("logs"))) == ["train", "--data", "logs", "--run", "runs/train/logs"]


def test_under_torchrun_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(["train", "--data", str(write_recordings(tmp_path / "logs")), "--seeds", "0..1"]) == 2
    assert (
        capsys.readouterr().err == "error: several trainings are started as processes of their own; allowed: without torchrun\n"
    )


def train(*flags: str) -> int:
    words = ["train", "--data", "logs", "--no-compare", "--run", "run", "--device", "cpu", "--seeds", "1,3", *flags]
    return cli.main([*words, "--set", *SMALL])


@pytest.mark.slow
def test_a_seed_that_fails_does_not_stop_the_others_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(side_by_side, "SECONDS_TO_SAVE", 0.0)
    write_recordings(Path("logs"))
    config = TrainConfig(data=TrainConfig("a:train").data, scenarios="a:train")
    with claimed(Path("run/seed_1"), config, {}, "abc"):
        # somebody else is training in the folder of the first seed, but not with this configuration
        (Path("run/seed_1/config.yaml")).unlink()

        assert train() == 2

        printed = capsys.readouterr()
        message = (
            r"error: 1 of 2 trainings failed, the first was run seed 1: error: .*process \d+ on .* is training in this folder"
        )
        assert re.search(message, printed.err)
        assert "seed_1.log" in printed.err
        assert re.search(r"validation/adapted_loss +1 ", printed.out)
    done = Path("run/seed_3/checkpoint/weights.safetensors")
    before = done.read_bytes()
    assert load_yaml("run/seed_3/config.yaml", TrainConfig).seed == 3

    assert train("--jobs", "2") == 0

    assert done.read_bytes() == before
    assert Path("run/seed_1/checkpoint").is_dir()
    printed = capsys.readouterr()
    assert "1 to run, 2 at once; 1 are there from before" in printed.err
    assert re.search(r"validation/adapted_loss +2 ", printed.out)
    assert printed.out.endswith("Written: run/seeds.yaml\n")
    stored = yaml.safe_load(Path("run/seeds.yaml").read_text())["validation/adapted_loss"]
    assert stored["seeds"] == ["seed_1", "seed_3"]
    assert stored["low"] < stored["mean"] < stored["high"]

    monkeypatch.setattr(side_by_side, "_train", lambda *_: pytest.fail("a finished training ran again"))
    assert train("--resume") == 0
    assert cli.main(["train", "--data", "logs", "--no-compare", "--run", "run", "--seeds", "3", "--set", "window=5"]) == 2
    assert "seed_3/config.yaml: this run was trained with another configuration than '--data'" in capsys.readouterr().err


def test_resume_needs_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    write_recordings(Path("logs"))
    assert train("--resume") == 2
    assert capsys.readouterr().err == "error: --resume: no run to go on with in run; leave --resume out to start one\n"


def record(run: Path, index: int, **scalars: float) -> None:
    figures = {name.replace("__", "/"): value for name, value in scalars.items()}
    save_yaml(run / "rounds" / f"{index:03d}" / RECORD_FILE, RoundRecord(1, 1, 0, 0, 1, 1.0, figures))


def test_figures_are_the_newest_ones_with_students_interval(tmp_path: Path):
    for seed, loss in enumerate((1.0, 2.0, 3.0)):
        run = tmp_path / f"seed_{seed}"
        record(run, 0, validation__adapted_loss=99.0, collect__return=10.0 * seed, gradient__cosine=1.0)
        record(run, 1, validation__adapted_loss=loss)
        if seed == 0:
            record(run / "multitask", 0, validation__adapted_loss=5.0, validation__prior_loss=5.0)

    figures = figures_over(sorted(tmp_path.iterdir()))

    assert list(figures) == ["validation/adapted_loss", "collect/return", "multitask validation/adapted_loss"]
    loss = figures["validation/adapted_loss"]
    assert (loss.values, loss.mean) == ((1.0, 2.0, 3.0), 2.0)
    # 4.3027 is the 97.5 % quantile of Student's t with 2 degrees of freedom; the standard error is 1 / sqrt(3)
    assert (loss.low, loss.high) == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), rel=1e-5)
    assert figures["collect/return"].mean == 10.0
    alone = figures["multitask validation/adapted_loss"]
    assert (alone.mean, alone.low, alone.high) == (5.0, None, None)


def test_sigterm_ends_the_trainings_before_it_leaves():
    before = signal.getsignal(signal.SIGTERM)
    children = []

    def train_until_terminated() -> None:
        with child_processes(1) as (pool, started):
            children.append(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]))
            started(children[0])
            waiting = pool.submit(children[0].wait)
            os.kill(os.getpid(), signal.SIGTERM)
            waiting.result()

    with pytest.raises(Stopped):
        train_until_terminated()

    assert children[0].returncode == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("error", "code", "word"), [(KeyboardInterrupt(), 130, "interrupted"), (Stopped(signal.SIGTERM), 0, "stopped")]
)
def test_a_scheduler_that_ends_it_finds_exit_code_0(
    error: BaseException, code: int, word: str, capsys: pytest.CaptureFixture[str]
):
    assert exit_after(error, ["adaptive-mbrl", "train"]).code == code
    assert capsys.readouterr().err == f"\n{word}; what is done is kept, go on with: adaptive-mbrl train\n"


def test_a_shipped_configuration_is_checked_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--config", "cartpole", "--seeds", "0..1", "--set", "windw=3"]) == 2
    assert "unknown key 'windw' (did you mean 'window'?)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
