"""The way back to training: a changed cart-pole is recorded and imported, and a model fine-tuned on it predicts it better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from sim.robot.robot import load_robot
from sim.scenarios.loading import parse_scenario
from sim.scenarios.scenario import Scenario
from tests.bridge.recorded import bridge_config, record

CHANGED = {"robot": "cartpole", "steps": 250, "changes": [{"at": 0, "body_mass": {"pole_1": 3.5}, "actuator_gain": 0.55}]}
"""A heavier pole and a weaker motor than in any training episode."""


def open_loop_error(checkpoint: Path | str, episodes: Path) -> float:
    """Error of the adapted model eight steps ahead, on all of the episodes [target stds]."""
    loaded = load_checkpoint(checkpoint)
    d = loaded.description
    recorded = EpisodeStore.open(episodes).episodes
    dataset = EpisodeDataset(d.spec, recorded, recorded, d.window, 8)
    return MetaTrainer(loaded.adapter, OuterConfig(query=8)).validate(dataset)["validation/adapted_error_8_steps"]


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

    capsys.readouterr()
    arguments = ["fine-tune", "cartpole", "--episodes", str(tmp_path / "first_eps"), "--out", str(tmp_path / "tuned")]
    assert cli.main([*arguments, "--updates", "30", "--learning-rate", "1e-3"]) == 0

    assert "Note:" not in capsys.readouterr().out
    errors = {"before": open_loop_error("cartpole", tmp_path / "second_eps")}
    errors["after"] = open_loop_error(tmp_path / "tuned", tmp_path / "second_eps")
    assert errors["after"] < 0.8 * errors["before"], errors
    held_out = load_checkpoint(tmp_path / "tuned").description.provenance
    assert held_out["held_out_after"]["validation/adapted_loss"] < held_out["held_out_before"]["validation/adapted_loss"]
