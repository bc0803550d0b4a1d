"""The tutorials do what they say when they are typed from top to bottom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages import ROOT, run_page

DOCS = ROOT / "docs"


def score(report: Path, arm: str) -> float:
    """Mean normalised return of an arm."""
    return float(json.loads(report.read_text(encoding="utf-8"))["arms"][arm]["normalised"]["mean"])


def after_change(report: Path, arm: str) -> float:
    """Mean return of an arm after the last change of dynamics."""
    return float(json.loads(report.read_text(encoding="utf-8"))["summary"][arm]["return_after_change"]["mean"])


def the_pole_stays_up(folder: Path, printed: str) -> None:
    assert after_change(folder / "broken.json", "adaptive") > 80
    assert after_change(folder / "broken.json", "frozen") < 60
    assert (folder / "broken.png").is_file()


def the_pendulum_adapts(folder: Path, printed: str) -> None:
    report = json.loads((folder / "pendulum.json").read_text(encoding="utf-8"))["summary"]
    assert report["adaptive"]["normalized_after_change"]["mean"] > 0.7
    assert report["frozen"]["normalized_after_change"]["mean"] < 0.5
    assert (folder / "pendulum.png").is_file()


def the_crane_goes_on(folder: Path, printed: str) -> None:
    assert after_change(folder / "crane.json", "adaptive") > 0
    assert after_change(folder / "crane.json", "frozen") < -50


def the_rover_is_learned(folder: Path, printed: str) -> None:
    assert "Adapting saves" in printed
    assert (folder / "runs" / "rover" / "model" / "checkpoint" / "README.md").is_file()


def the_robot_is_recorded_and_trained_on(folder: Path, printed: str) -> None:
    assert not re.search(r"\b[1-9]\d* fail\b", printed), printed
    assert (folder / "runs" / "robot_checkpoint").is_dir()


def three_robots_ran(folder: Path, printed: str) -> None:
    for name in ("perfect", "realistic", "slow_network"):
        report = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        assert report["commands"] > 100


def the_small_training_is_complete(folder: Path, printed: str) -> None:
    assert (folder / "runs" / "small" / "checkpoint").is_dir()


RUN: dict[str, Callable[[Path, str], None]] = {
    "get_started.md": the_pole_stays_up,
    "logs.md": the_rover_is_learned,
    "tutorials/own_robot.md": the_pendulum_adapts,
    "tutorials/own_reward.md": the_crane_goes_on,
    "tutorials/bring_up.md": the_robot_is_recorded_and_trained_on,
    "tutorials/hardware_in_the_loop.md": three_robots_ran,
    "tutorials/gpu.md": the_small_training_is_complete,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    printed = run_page(DOCS / name, tmp_path)
    RUN[name](tmp_path, printed)
