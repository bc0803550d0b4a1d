"""The state behind an observation, and the parameters that a robot has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from sim.identification.parameters import Parameters
from sim.identification.state import StateReader
from sim.robot.robot import Robot
from sim.scenarios.change import Change
from tests.sim.identification import drive, robot_named

ROBOTS = ("cartpole", "half_cheetah", "quadrotor", "arm", "ant", "slim_humanoid", "pendulum", "hopper")


@pytest.mark.parametrize("name", ROBOTS)
def test_an_observation_tells_the_state(name: str):
    robot = robot_named(name)
    simulation, _ = drive(name, [Change()] * 3, 8)

    qpos, qvel = StateReader(robot).state_from_obs(simulation.true_obs)

    invisible = {"half_cheetah": [0], "hopper": [0], "ant": [0, 1], "slim_humanoid": [0, 1]}.get(name, [])
    seen = [i for i in range(robot.model.nq) if i not in invisible]
    real = simulation.physics.arrays["qpos"]
    if name in ("ant", "quadrotor"):
        # a quaternion and its negative are the same rotation
        start = 3
        sign = np.sign((real[:, start : start + 4] * qpos[:, start : start + 4]).sum(1, keepdims=True))
        qpos[:, start : start + 4] *= sign
    np.testing.assert_allclose(qpos[:, seen], real[:, seen], atol=1e-5)
    np.testing.assert_allclose(qvel, simulation.physics.arrays["qvel"], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(qpos[:, invisible], np.tile(robot.model.qpos0[invisible], (3, 1)))


@pytest.mark.parametrize(
    ("robot", "left_out", "missing"),
    [
        ("cartpole", "pole_velocity", "velocity of joint 'hinge_1'"),
        ("cartpole", "pole_angle", "position of joint 'hinge_1'"),
        ("cartpole", "cart_position", "position of joint 'slider'"),
        ("half_cheetah", "x_velocity", "velocity of joint 'rootx'"),
        ("quadrotor", "yaw", "position of joint 'attitude'"),
    ],
)
def test_a_state_that_cannot_be_seen_is_refused_in_one_line(robot: str, left_out: str, missing: str):
    """The mean speed over a step is no substitute for the speed at its end, and the cart's rail has ends."""
    full = robot_named(robot)
    kept = [origin for origin, channel in zip(full.observer.origins, full.spec.obs, strict=True) if channel.name != left_out]
    blind = replace(full, observer=_observer_with(full, kept))

    with pytest.raises(ConfigError, match=f"robot '{robot}': physics needs the whole state.*{missing}") as caught:
        StateReader(blind)
    assert "\n" not in str(caught.value)


def _observer_with(robot: Robot, origins: list[tuple[str, int]]) -> Any:
    class Blind:
        needs_sensors = robot.observer.needs_sensors

        def __init__(self) -> None:
            self.origins = tuple(origins)

        def read(self, arrays: Any, previous_qpos: Any) -> Any:
            return robot.observer.read(arrays, previous_qpos)

    return Blind()


def test_what_has_no_influence_is_left_out():
    cheetah, quadrotor = Parameters(robot_named("half_cheetah")).names, Parameters(robot_named("quadrotor")).names

    assert {"actuator_gain fthigh", "body_mass torso", "friction", "damping", "slope_deg", "external_force x"} <= set(cheetah)
    assert "external_force y" not in cheetah
    assert {"external_force x", "external_force y", "external_force z"} <= set(quadrotor)
    assert "friction" not in quadrotor
    with pytest.raises(ConfigError, match="unknown kind of parameter 'mass'"):
        Parameters(robot_named("cartpole"), ("mass",))
    with pytest.raises(ConfigError, match="none of the parameters friction has an influence"):
        Parameters(robot_named("quadrotor"), ("friction",))


def test_coordinates_mean_a_change():
    parameters = Parameters(robot_named("cartpole"), ("actuator_gain", "body_mass", "damping", "slope_deg"))
    theta = np.array([-0.5, np.log(2.0), np.log(0.5), np.log(3.0), 4.0])

    change = parameters.change(theta)

    assert change.actuator_gain == {"slide": -0.5}
    assert change.body_mass == pytest.approx({"cart": 2.0, "pole_1": 0.5})
    assert change.damping == pytest.approx(3.0)
    assert change.slope_deg == 4.0
    assert parameters.change(parameters.nominal) == Change(actuator_gain={"slide": 1.0}, body_mass={"cart": 1.0, "pole_1": 1.0})
    np.testing.assert_allclose(parameters.stds(theta, np.full(5, 0.1)), [0.1, 0.2, 0.05, 0.3, 0.1])
