"""The demonstration on any robot: which scenario and which arms it takes, and what it writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import adaptive_mbrl
from adaptive_mbrl import cli
from sim import commands
from sim.demo import default_multitask, default_scenario
from sim.evaluation.setup import prepare
from sim.scenarios.loading import load_scenario

MakeCheckpoint = Callable[..., Path]
SHIPPED = sorted(p.name for p in (Path(adaptive_mbrl.__file__).parent / "pretrained").iterdir())


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_checkpoint_has_a_scenario_of_its_robot_and_a_multitask_arm(name: str):
    robot = name.removesuffix("_multitask")

    assert Path(load_scenario(default_scenario(name)).robot).stem == robot
    assert default_scenario(name) == f"{robot}/demo"
    assert default_multitask(name) == f"{robot}_multitask"


def test_the_default_demo_changes_the_half_cheetah(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked: list[dict] = []
    monkeypatch.setattr(commands, "run_demo", lambda out, checkpoint, **rest: asked.append({"checkpoint": checkpoint, **rest}))

    assert cli.main(["demo", "--out", str(tmp_path)]) == 0

    (given,) = asked
    assert given["checkpoint"] == "half_cheetah"
    assert given["scenario"] == "half_cheetah/demo"
    assert given["multitask"] == "half_cheetah_multitask"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arm", "cartpole", "cartpole_multitask", "quadrotor"])
def test_the_demo_runs_with_a_shipped_checkpoint(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sim.demo.EPISODES", 1)
    # the oracle takes most of the time, and is the same for every checkpoint
    monkeypatch.setattr("sim.demo.prepare", partial(prepare, oracle=False))

    assert cli.main(["demo", "--checkpoint", name, "--no-video", "--out", str(tmp_path), "--device", "cpu"]) == 0

    assert sorted(p.name for p in tmp_path.iterdir()) == ["recovery.png", "report.json"]


def test_the_demo_runs_with_a_scenario_of_ones_own(
    make_checkpoint: MakeCheckpoint, cartpole_scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    named = ["--checkpoint", str(make_checkpoint(tmp_path / "mine")), "--scenario", str(cartpole_scenario)]
    out = tmp_path / "demo"

    assert cli.main(["demo", *named, "--no-video", "--out", str(out), "--device", "cpu"]) == 0

    assert "cartpole, 30 steps of 0.04 s; step 12: actuator gain 0.3" in capsys.readouterr().out
    assert sorted(p.name for p in out.iterdir()) == ["recovery.png", "report.json"]


def test_a_robot_without_a_scenario_needs_one_and_the_hint_can_be_followed(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    checkpoint = make_checkpoint(tmp_path / "ant", robot="ant")

    assert cli.main(["demo", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "demo")]) == 2

    message, _, hint = capsys.readouterr().err.strip().partition(", for example --scenario ")
    assert message == f"error: {checkpoint}: no scenario is known for its robot 'ant'; name one with --scenario"
    assert Path(load_scenario(hint).robot).stem == "ant"
    assert not (tmp_path / "demo").exists()


def test_another_robots_scenario_is_refused(cartpole_scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["demo", "--scenario", str(cartpole_scenario), "--out", str(tmp_path / "demo")]) == 2

    assert "half_cheetah: trained on another robot" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
