"""The files that `evaluate` writes on request: a plot and a video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imageio.v2 as imageio
import pytest

from adaptive_mbrl import cli
from sim import commands
from sim.evaluation import drawing_process

MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def evaluate(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> Callable[..., int]:
    """Evaluates an untrained checkpoint for a few steps, in the middle of which the motor weakens."""
    checkpoint, scenario = make_checkpoint(tmp_path / "meta"), tmp_path / "weak_motor.yaml"
    scenario.write_text("robot: cartpole\nsteps: 8\nchanges:\n  - {at: 4, actuator_gain: 0.3}\n")

    def run(*flags: str) -> int:
        named = ["--checkpoint", str(checkpoint), "--scenario", str(scenario)]
        return cli.main(["evaluate", *named, "--episodes", "1", "--no-oracle", "--device", "cpu", *flags])

    return run


def test_evaluate_draws_a_plot(evaluate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "recovery.png"

    assert evaluate("--plot", str(out)) == 0

    assert capsys.readouterr().out.splitlines()[-1] == f"Written: {out}"
    assert imageio.imread(out).ndim == 3


@pytest.mark.usefixtures("renderer")
def test_evaluate_renders_the_first_episode(evaluate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "rollout.mp4"

    assert evaluate("--video", str(out)) == 0

    assert capsys.readouterr().out.splitlines()[-1] == f"Written: {out}"
    with imageio.get_reader(out) as reader:
        assert reader.count_frames() == 8


def forbid_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise AssertionError("the evaluation ran")

    monkeypatch.setattr(commands, "run_evaluation", run)


def test_without_a_renderer_a_video_is_refused_before_anything_runs(
    evaluate: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(drawing_process, "available_renderers", list)
    forbid_running(monkeypatch)

    assert evaluate("--video", str(tmp_path / "new" / "rollout.mp4")) == 2

    assert capsys.readouterr() == ("", f"error: --video: {drawing_process.NO_RENDERER}\n")
    assert not (tmp_path / "new").exists()


def test_a_video_that_fails_costs_neither_the_table_nor_the_plot(
    evaluate: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(*_: object) -> None:
        raise drawing_process.VideoError("the renderer 'egl' failed: no memory")

    monkeypatch.setattr(commands, "require_renderer", lambda flag: None)
    monkeypatch.setattr(commands, "render_first_episode", fail)

    assert evaluate("--plot", str(tmp_path / "a.png"), "--video", str(tmp_path / "a.mp4")) == 2

    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == f"Written: {tmp_path / 'a.png'}"
    assert printed.err.splitlines()[-1] == "error: the renderer 'egl' failed: no memory"


@pytest.mark.parametrize(("flag", "name"), [("--plot", "a.png"), ("--video", "a.mp4")])
def test_a_path_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, flag: str, name: str, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("not a folder")
    target = tmp_path / "file" / name

    assert cli.main(["evaluate", "--checkpoint", "nowhere", "--scenario", "nowhere", flag, str(target)]) == 2

    wanted = f"error: {flag}: {target} cannot be written; allowed: a file in a folder that you may write to\n"
    assert capsys.readouterr() == ("", wanted)


@pytest.mark.parametrize(("flag", "name", "ending"), [("--plot", "a.pdf", ".png"), ("--video", "a", ".mp4")])
def test_a_file_of_another_kind_is_refused(flag: str, name: str, ending: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["evaluate", "--checkpoint", "nowhere", "--scenario", "nowhere", flag, name]) == 2

    assert capsys.readouterr().err == f"error: {flag}: {name} is no {ending} file; allowed: a name that ends in {ending}\n"
