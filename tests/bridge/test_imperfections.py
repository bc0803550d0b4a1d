"""The YAML of a simulated robot's imperfections, and whose noise is whose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from robot_bridge.simulated.imperfections import Imperfections, TransmissionLineConfig, load_imperfections
from sim.paths import known_configs
from sim.robot.robot import load_robot

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "configs" / "simulated_robot").glob("*.yaml"))
CARTPOLE = load_robot("cartpole").spec


def load(tmp_path: Path, text: str) -> Imperfections:
    path = tmp_path / "imperfections.yaml"
    path.write_text(text)
    return load_imperfections(path, CARTPOLE)


@pytest.mark.parametrize("robot", known_configs("robots"))
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_files_serve_every_robot(path: Path, robot: str):
    spec = load_robot(robot).spec

    assert (load_imperfections(path, spec).noise_std(spec) > 0).all()


def test_without_a_file_the_robot_is_perfect():
    perfect = load_imperfections(None, CARTPOLE)

    assert perfect.sensors == perfect.commands == TransmissionLineConfig(0.0, 0.0, 0.0)
    assert not perfect.noise_std(CARTPOLE).any()


def test_a_channels_name_goes_before_its_unit(tmp_path: Path):
    noise = load(tmp_path, "noise: {rad: 0.1, pole_velocity: 0.3, rad/s: 0.2}").noise_std(CARTPOLE)

    expected = {"pole_angle": 0.1, "pole_velocity": 0.3}
    np.testing.assert_array_equal(noise, [expected.get(name, 0.0) for name in CARTPOLE.obs_names])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "noise: {pole_angel: 0.1}",
            r"yaml: key 'noise': unknown channel or unit 'pole_angel'; channels of robot 'cartpole': cart_pos",
        ),
        ("noise: {rad: -0.1}", r"yaml: key 'noise.rad': -0.1 is out of range; allowed: at least 0"),
        ("sensors: {loss: 1.5}", r"yaml: key 'sensors.loss': 1.5 is out of range; allowed: 0 to 1"),
        ("commands: {latency: -1}", r"yaml: key 'commands.latency': -1.0 is out of range"),
        ("sensors: {delay: 0.1}", r"yaml: unknown key 'sensors.delay'.*allowed keys: latency, jitter, loss"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)
