"""A step that was not finite is written to a file, and the sub-command `replay` runs it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dump import read_dump, write_dump
from adaptive_mbrl.errors import DivergenceError
from adaptive_mbrl.meta.dump import write_training_step
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.transitions import Transitions
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.dump import replay_simulation_step
from tests.sim.conftest import MakeCheckpoint

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


@pytest.fixture
def broken(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> Path:
    """A checkpoint whose adapted predictions are not finite, and that loads all the same."""
    loaded = load_checkpoint(make_checkpoint(tmp_path / "sound"))
    with torch.no_grad():
        loaded.adapter.model.net.weight_1.fill_(3e38)
    save_checkpoint(tmp_path / "broken", loaded)
    return tmp_path / "broken"


def test_a_control_step_is_replayed(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    robot = load_robot("cartpole")
    controller = AdaptiveController.load(broken, objective=robot.planning_objective, dump_folder=tmp_path / "dumps")
    controller.step(np.zeros(4))
    controller.step(np.full(4, 0.1))
    (written,) = (tmp_path / "dumps").iterdir()

    assert cli.main(["replay", str(written)]) == 0

    printed = capsys.readouterr().out
    assert "control step of revision" in printed
    assert "weights: all finite" in printed, "the limits of angles are infinite and no fault"
    assert "adapted error: [nan]" in printed or "predicted return: [-1" in printed


def test_a_training_step_is_replayed(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    loaded = load_checkpoint(broken)
    trainer = MetaTrainer(loaded.adapter, OuterConfig(query=3))
    generator = torch.Generator().manual_seed(0)
    obs, action = (torch.randn(5, 4 + n, d, generator=generator) for n, d in ((4, 4), (3, 1)))
    recent = Transitions(obs[:, :4], action[:, :4], obs[:, 1:5], torch.ones(5, 4, dtype=torch.bool))
    with pytest.raises(DivergenceError) as caught:
        trainer.step(Windows(recent, obs[:, 4:], action[:, 4:], torch.zeros(5, dtype=torch.int64)))
    written = write_training_step(tmp_path, "not finite", loaded.description, trainer, caught.value.windows)

    assert cli.main(["replay", str(written)]) == 0

    printed = capsys.readouterr().out
    assert "training step of revision" in printed
    assert "5 of 5 windows are not finite" in printed
    assert "gradient: norm nan; not finite in" in printed


def test_a_dump_that_does_not_fit_this_code_is_one_line(unstable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    dump = read_dump(unstable)
    about = {key: value for key, value in dump.about.items() if key != "change"}
    other = write_dump(tmp_path, dump.kind, dump.reason, about, dump.tensors, revision="older")

    assert cli.main(["replay", str(other)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be replayed with this code; it was written by revision older" in line


def test_what_is_no_dump_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")

    assert cli.main(["replay", str(tmp_path / "x.safetensors")]) == 2
    assert cli.main(["replay", str(tmp_path / "y.safetensors")]) == 2

    first, second = capsys.readouterr().err.splitlines()
    assert "not a dump" in first
    assert "no such file" in second
