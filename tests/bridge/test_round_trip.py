"""From the robot back to training: a changed cart-pole is recorded, imported, and the model fine-tuned on it is better there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from robot_bridge.bag import BagRecorder
from robot_bridge.dds import DdsTransport
from robot_bridge.messages import Float64MultiArray, JointState
from robot_bridge.recording_transport import RecordingTransport
from sim.robot import load_robot
from sim.scenario import Scenario, parse_scenario
from tests.bridge.recorded import bridge_config, record

PATIENCE = 60.0
DOMAIN = 200 + os.getpid() % 30
CHANGED = {"robot": "cartpole", "steps": 250, "changes": [{"at": 0, "body_mass": {"pole_1": 3.5}, "actuator_gain": 0.55}]}
"""A heavier pole and a weaker motor than in any training episode."""


def open_loop_error(checkpoint: Path | str, episodes: Path) -> float:
    """Of the adapted model, eight steps ahead, on all of the episodes [target stds]."""
    loaded = load_checkpoint(checkpoint)
    d = loaded.description
    trainer = MetaTrainer(d.spec, d.model, d.adaptation, OuterConfig(query=8), 0, torch.device("cpu"))
    trainer.adapter.load_state_dict(loaded.adapter.state_dict())
    sampler = WindowSampler(EpisodeStore.open(episodes).episodes, d.adaptation.window, 8)
    return trainer.validate(sampler)["validation/adapted_error_8_steps"]


def test_a_recording_makes_the_model_better_on_that_robot(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    robot, bridge = load_robot("cartpole"), tmp_path / "bridge.yaml"
    save_yaml(bridge, bridge_config("cartpole"))
    changed = parse_scenario(CHANGED, tmp_path / "changed.yaml")
    assert isinstance(changed, Scenario)
    true = {}
    for name, seed, num in (("first", 0, 3), ("second", 100, 1)):
        true[name] = record(tmp_path / name, robot, changed.episodes(num, seed), states=["inactive"] * 2 + ["ramp"] * 10)
        assert (
            cli.main(["import-bag", str(tmp_path / name), "--bridge", str(bridge), "--out", str(tmp_path / f"{name}_eps")]) == 0
        )

    imported = EpisodeStore.open(tmp_path / "first_eps").episodes
    assert [len(e) for e in imported] == [247, 247, 247]  # without the steps up to the first one that is told to ramp
    for found, simulated in zip(imported, true["first"], strict=True):
        np.testing.assert_allclose(found.obs, simulated.obs[-248:], atol=1e-4)
        np.testing.assert_allclose(found.action, simulated.action[-247:], atol=1e-6)

    arguments = ["fine-tune", "cartpole", "--episodes", str(tmp_path / "first_eps"), "--out", str(tmp_path / "tuned")]
    assert cli.main([*arguments, "--updates", "30", "--learning-rate", "1e-3"]) == 0

    assert "Note:" not in capsys.readouterr().out
    errors = {"before": open_loop_error("cartpole", tmp_path / "second_eps")}
    errors["after"] = open_loop_error(tmp_path / "tuned", tmp_path / "second_eps")
    assert errors["after"] < 0.8 * errors["before"], errors
    held_out = load_checkpoint(tmp_path / "tuned").description.provenance
    assert held_out["held_out_after"]["validation/adapted_loss"] < held_out["held_out_before"]["validation/adapted_loss"]


SCENARIO = "robot: cartpole\nsteps: 60\n"


def test_a_robot_behind_real_sockets_is_recorded(tmp_path: Path):
    """A simulated robot in another process; this one answers every state with a command, and records."""
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    bridge, bag = tmp_path / "bridge.yaml", tmp_path / "bag"
    save_yaml(bridge, bridge_config("cartpole"))
    transport = RecordingTransport(DdsTransport(DOMAIN), BagRecorder(bag))
    send = transport.publisher("/effort_controller/commands", Float64MultiArray)
    rng, enough, count = np.random.default_rng(0), threading.Event(), [0]

    def answer(message: JointState, received: float) -> None:
        send(Float64MultiArray(data=[float(rng.uniform(-1, 1))]))
        count[0] += 1
        if count[0] > 55:
            enough.set()

    transport.subscribe("/joint_states", JointState, answer)
    command = [sys.executable, "-m", "adaptive_mbrl", "simulated-robot", "--bridge", str(bridge)]
    command += ["--scenario", str(tmp_path / "scenario.yaml"), "--domain", str(DOMAIN)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as robot:
        assert enough.wait(PATIENCE)
        assert robot.wait(PATIENCE) == 0
    transport.close()

    arguments = ["import-bag", str(bag), "--bridge", str(bridge), "--out", str(tmp_path / "episodes"), "--min-steps", "5"]
    assert cli.main(arguments) == 0
    episodes = EpisodeStore.open(tmp_path / "episodes").episodes
    assert sum(map(len, episodes)) > 20
    for e in episodes:
        # where the cart goes is what its velocity says: the channels belong to the same times
        travelled = 0.04 * (e.obs[1:, 2] + e.obs[:-1, 2]) / 2
        assert np.median(np.abs(np.diff(e.obs[:, 0]) - travelled)) < 0.1 * np.abs(np.diff(e.obs[:, 0])).max()
