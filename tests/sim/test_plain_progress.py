"""What a command shows while it runs and its output goes into a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tqdm import tqdm

from adaptive_mbrl import cli
from adaptive_mbrl.training.plain_progress import BarsAsLines, plain_bars
from sim.evaluation.plain_progress import PlainProgress
from sim.evaluation.terminal import live_progress

MakeCheckpoint = Callable[..., Path]


class Clock:
    """A clock that the test moves [s]."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_arm_is_told_when_it_begins_now_and_then_and_when_it_ends():
    clock, lines = Clock(), []
    progress = PlainProgress(lines.append, clock)

    for name in ("random", "adaptive"):
        advance = progress.begin(name, 4)
        for _ in range(4):
            clock.now += 20.0
            advance()
    progress.end()

    assert lines == [
        "random: started, 4 steps",
        "random: 2 of 4 steps after 40 s",
        "random: 4 of 4 steps after 80 s",
        "random: done after 80 s",
        "adaptive: started, 4 steps",
        "adaptive: 2 of 4 steps after 40 s",
        "adaptive: 4 of 4 steps after 80 s",
        "adaptive: done after 80 s",
    ]


def test_an_arm_that_fails_is_not_called_done():
    out = io.StringIO()

    def fail() -> None:
        with live_progress(Console(file=out)) as begin:
            begin("adaptive", 4)()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert out.getvalue() == "adaptive: started, 4 steps\n"


def test_at_a_terminal_there_are_bars():
    out = io.StringIO()

    with live_progress(Console(file=out, force_terminal=True)) as begin:
        begin("adaptive", 1)()

    assert "1/1" in out.getvalue()
    assert "started" not in out.getvalue()


def test_evaluate_into_a_file_names_each_arm_on_stderr(
    make_checkpoint: MakeCheckpoint, cartpole_scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    named = ["--checkpoint", str(make_checkpoint(tmp_path / "meta")), "--scenario", str(cartpole_scenario)]

    assert cli.main(["evaluate", *named, "--episodes", "1", "--device", "cpu"]) == 0

    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [a for a in ("random", "adaptive", "frozen", "oracle") for _ in "12"]
    assert [": done after " in line for line in lines] == [False, True] * 4
    assert "started" not in printed.out


def test_a_bar_becomes_a_line_now_and_then():
    out, clock = io.StringIO(), Clock()
    stream = BarsAsLines(out, clock)

    for percent in range(0, 60, 10):
        clock.now += 20.0
        stream.write(f"\rfit: {percent}%")
    stream.write("\r        \r")
    stream.write("a warning\n")

    assert out.getvalue() == "fit: 10%\nfit: 30%\nfit: 50%\na warning\n"


def test_within_plain_bars_tqdm_writes_no_carriage_return(capsys: pytest.CaptureFixture[str]):
    with plain_bars():
        for _ in tqdm(range(100), desc="fit", mininterval=0):
            pass
        print("interrupted", file=sys.stderr)

    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"
    with plain_bars():
        tqdm(range(3)).close()
    assert "\r" not in capsys.readouterr().err
