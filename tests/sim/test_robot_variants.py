"""A robot's file that extends another one, and noise of either distribution at the start of an episode."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import ConfigError
from sim.robot.config import RobotConfig
from sim.robot.robot import load_robot
from sim.robot_file import read_robot, robot_text
from sim.scenarios.loading import files_of_training, load_training_part
from tests.sim.test_robot import MJCF, YAML


@pytest.fixture
def drone(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "drone.xml").write_text(MJCF)
    (tmp_path / "base" / "my_drone.yaml").write_text(YAML)
    return tmp_path / "base" / "my_drone.yaml"


def test_a_variant_has_the_keys_of_its_base_where_it_gives_none(drone: Path):
    variant = drone.parent.parent / "calm.yaml"
    variant.write_text("extends: base/my_drone.yaml\nreset: {keyframe: up}\nsim_dt: 0.01\n")

    calm, base = load_robot(variant), load_robot(drone)

    assert calm.spec == base.spec
    assert calm.name == "my_drone"
    assert (calm.substeps, base.substeps) == (2, 4)
    np.testing.assert_array_equal(calm.initial.sample(0)[1], 0.0)
    assert base.initial.sample(0)[1].any()


def test_variants_of_variants(drone: Path):
    (drone.parent / "second.yaml").write_text("extends: my_drone.yaml\nname: second\nsim_dt: 0.01\n")
    third = drone.parent / "third.yaml"
    third.write_text("extends: second.yaml\nsim_dt: 0.02\n")

    assert (load_robot(third).name, load_robot(third).substeps) == ("second", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: 3\n", r"key 'extends': expected a robot's name or file, got 3"),
        ("extends: half_cheeta\n", r"unknown robot 'half_cheeta' \(did you mean 'half_cheetah'\?\); known robots: ant"),
        ("extends: nowhere.yaml\n", r"nowhere.yaml: no such file"),
        ("extends: itself.yaml\n", r"key 'extends': 'itself.yaml' extends this file itself"),
        ("extends: half_cheetah\nrset: {}\n", r"itself.yaml: unknown key 'rset' \(did you mean 'reset'\?\)"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, message: str):
    path = tmp_path / "itself.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message) as caught:
        load_robot(path)
    assert "\n" not in str(caught.value)


def test_the_text_of_a_variant_stands_alone(drone: Path, tmp_path: Path):
    variant, copy = tmp_path / "calm.yaml", tmp_path / "elsewhere" / "copy.yaml"
    variant.write_text("extends: base/my_drone.yaml\nreset: {keyframe: up}\n")
    copy.parent.mkdir()

    copy.write_text(robot_text(variant))

    loaded, written = (from_mapping(RobotConfig, read_robot(p), source=str(p)) for p in (variant, copy))
    assert dataclasses.replace(loaded, extends=None) == written
    assert robot_text(drone) == YAML


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_noise_has_the_distribution_that_the_file_says(tmp_path: Path, distribution: str):
    path = tmp_path / "noisy.yaml"
    path.write_text(
        "extends: half_cheetah\n"
        f"reset: {{qpos_noise: 0.2, qvel_noise: 0.3, qpos_distribution: {distribution}, qvel_distribution: {distribution}}}\n"
    )
    initial = load_robot(path).initial

    draws = [initial.sample(seed) for seed in range(300)]

    for i, width in enumerate((0.2, 0.3)):
        values = np.concatenate([d[i] for d in draws])
        assert np.std(values) == pytest.approx(width / np.sqrt(3) if distribution == "uniform" else width, rel=0.05)
        assert (np.abs(values).max() <= width) == (distribution == "uniform")


def test_the_cheetah_of_cadm_starts_nearly_the_same_every_time():
    robot = load_robot("half_cheetah_cadm")

    states = [np.concatenate(robot.initial.sample(seed)) for seed in range(200)]

    assert np.std(states) == pytest.approx(0.001, rel=0.05)
    assert robot.spec == load_robot("half_cheetah").spec


def test_a_training_keeps_a_copy_of_a_variant_together_with_what_it_extends():
    name = "half_cheetah/cadm_cripple_reset:train"

    files = files_of_training(name, load_training_part(name))

    assert set(files) == {"robot.yaml", "scenarios.yaml"}
    copied = yaml.safe_load(files["robot.yaml"])
    assert "extends" not in copied
    assert {"mjcf", "obs", "objective"} <= set(copied)
