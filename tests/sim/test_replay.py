"""A step that was not finite is written to a file, and the sub-command `replay` runs it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.dump import read_dump
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.dump import replay_simulation_step

ABSURD = Change(external_force={"pole_1": (1e5, 0.0, 1e5)}, body_mass=0.01, actuator_gain=10.0)


@pytest.fixture
def unstable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dump of a cart-pole that breaks, beside one that does not."""
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    robot = load_robot("cartpole")
    scenarios = [Scenario("cartpole", 20, 0), Scenario("cartpole", 20, 1, (ScheduledChange(6, ABSURD),))]
    policy = RandomPolicy(robot.spec, 0, 20)
    healthy, broken = run_scenarios(robot, scenarios, policy, source="random", dump_folder=tmp_path / "dumps").instabilities

    assert healthy is None
    assert broken is not None
    (written,) = (tmp_path / "dumps").iterdir()
    assert broken.dump == written
    return written


def test_an_unstable_step_becomes_unstable_again(unstable: Path):
    dump = read_dump(unstable)

    again, before, after = replay_simulation_step(dump)

    assert again
    assert before.shape == after.shape == (2,)
    assert dump.about["change"] == ABSURD.to_changes()


def test_replay_says_what_happens(unstable: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["replay", str(unstable)]) == 0

    printed = capsys.readouterr().out
    assert "simulation step of revision" in printed
    assert "cartpole under" in printed
    assert "the physics becomes unstable again" in printed


def test_what_is_no_dump_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")

    assert cli.main(["replay", str(tmp_path / "x.safetensors")]) == 2
    assert cli.main(["replay", str(tmp_path / "y.safetensors")]) == 2

    first, second = capsys.readouterr().err.splitlines()
    assert "not a dump" in first
    assert "no such file" in second
