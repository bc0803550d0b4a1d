"""The simulated robot's battery and temperatures, and how they come to the monitors of a bridge, in virtual time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.control.monitor_inputs import MonitorInput
from robot_bridge.safety.monitor_config import Limits, MonitorConfig
from robot_bridge.simulated.imperfections import Imperfections
from robot_bridge.simulated.power import Power, PowerConfig
from robot_bridge.simulated.robot import SimulatedRobot
from sim.robot.robot import load_robot
from sim.scenarios.scenario import Scenario
from sim.simulation.substeps import SubstepSimulation
from tests.bridge.test_simulated_robot import BEGIN, ROOT, VirtualTime

SPEC = load_robot("half_cheetah").spec
STEPS = 40
ANY = Limits(low=-1e9)


def test_a_battery_at_full_effort_lasts_as_long_as_it_says_and_longer_without():
    full, idle = (Power(SPEC, PowerConfig(seconds=10.0, idle=0.1)) for _ in range(2))
    for _ in range(50):
        full.advance(np.ones(6), 0.1)
        idle.advance(np.zeros(6), 0.1)

    assert full.charge == pytest.approx(0.5)
    assert idle.charge == pytest.approx(0.95)
    assert 19.2 < full.voltage < idle.voltage < 25.2


def test_an_actuator_warms_up_towards_what_its_effort_makes_of_it():
    power = Power(SPEC, PowerConfig(ambient=20.0, rise=40.0, time_constant=5.0))
    effort = np.array([1.0, -1.0, 0.5, 0.0, 0.0, 0.0])
    power.advance(effort, 5.0)
    assert power.temperatures[0] == pytest.approx(20 + 40 * 0.632, abs=0.1)

    power.advance(effort, 1000.0)
    np.testing.assert_allclose(power.temperatures, [60, 60, 30, 20, 20, 20], atol=1e-6)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 100)), max_size=30))
def test_a_charge_only_falls_and_no_temperature_leaves_its_range(course: list[tuple[float, float]]):
    power = Power(SPEC, PowerConfig(seconds=50.0, ambient=20.0, rise=40.0))
    for action, seconds in course:
        before = power.charge
        power.advance(np.full(6, action), seconds)

        assert 0.0 <= power.charge <= before
        assert (power.temperatures >= 20 - 1e-9).all()
        assert (power.temperatures <= 60 + 1e-9).all()


def monitor(kind: str, message: str, field: str, topic: str = "/health", **of: Any) -> MonitorConfig:
    return MonitorConfig(kind, topic=topic, type=message, field=field, fault=ANY, **of)


MONITORS = {
    "charge": monitor("battery", "sensor_msgs/msg/BatteryState", "percentage", "/battery"),
    "volts": monitor("battery", "sensor_msgs/msg/BatteryState", "voltage", "/battery"),
    "thigh": monitor("temperature", "sensor_msgs/msg/Temperature", "temperature", "/temperatures", frame="bthigh"),
    "shin": monitor("temperature", "sensor_msgs/msg/Temperature", "temperature", "/temperatures", frame="bshin"),
    "foot": monitor("temperature", "control_msgs/msg/DynamicJointState", "temperature", "/dynamic_joint_states", joint="bfoot"),
    "motors": monitor("temperature", "diagnostic_msgs/msg/DiagnosticArray", "temperature", "/drivers", status="motor bthigh"),
    "hottest": monitor("temperature", "std_msgs/msg/Float32", "data", "/hottest"),
    "effort": monitor("load", "sensor_msgs/msg/JointState", "effort", "/joint_states", joint="bshin"),
    "tilt": monitor("fall", "sensor_msgs/msg/Imu", "orientation.tilt", "/imu/data"),
}


def run(monitors: dict[str, MonitorConfig]) -> tuple[SimulatedRobot, dict[str, float]]:
    """A half-cheetah under constant commands, and what each monitor reads of it in the end."""
    world = VirtualTime()
    config = dataclasses.replace(load_bridge_config(ROOT / "configs" / "bridge" / "half_cheetah.yaml"), monitors=monitors)
    simulation = SubstepSimulation(load_robot("half_cheetah"), Scenario("half_cheetah", STEPS, 3, ()))
    power = PowerConfig(seconds=20.0, idle=0.0, ambient=20.0, rise=40.0, time_constant=1.0)
    robot = SimulatedRobot(simulation, config, world, world, imperfections=Imperfections(power=power))
    for i in range(STEPS):
        world.command(BEGIN + 0.5 + i * 0.05, 1.0, -0.5, 0.0, 0.0, 0.0, 0.0)
    robot.run()
    readers = {name: MonitorInput(config) for name, config in monitors.items()}
    for name, reader in readers.items():
        for at, message in world.published[monitors[name].topic]:
            reader.receive(message, at)
    return robot, {name: reader.reading.value for name, reader in readers.items()}


def test_what_monitors_read_comes_in_whatever_message_they_ask_for():
    robot, read = run(MONITORS)

    power = robot.power
    spent = (1.0 + 0.25) / 6 * STEPS * 0.05 / 20.0
    assert power.charge == pytest.approx(1 - spent, abs=1e-6)
    # a topic is up to a tenth of a second old
    assert read["charge"] == pytest.approx(power.charge, abs=1e-2)
    assert read["volts"] == pytest.approx(power.voltage, abs=1e-2)
    assert read["thigh"] == pytest.approx(power.temperatures[0], abs=1.0)
    assert read["motors"] == pytest.approx(read["thigh"], abs=1e-2)
    assert 45 < read["thigh"] < 60
    assert 25 < read["shin"] < 30
    assert read["foot"] == 20.0
    assert read["hottest"] == pytest.approx(read["thigh"], abs=1e-3)
    assert read["effort"] == -0.5
    pitch = robot.simulation.observe()[SPEC.obs_names.index("pitch")]
    assert read["tilt"] == pytest.approx(abs(np.arctan2(np.sin(pitch), np.cos(pitch))), abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            monitor("fall", "sensor_msgs/msg/Imu", "orientation.tilt", "/other_imu"),
            "key 'monitors.x.type': a simulated robot sends sensor_msgs/msg/Imu as an input only",
        ),
        (monitor("other", "std_msgs/msg/Float64", "data"), "key 'monitors.x.kind': a simulated robot cannot measure it"),
        (
            monitor("load", "sensor_msgs/msg/JointState", "effort", joint="tail"),
            "key 'monitors.x.joint': a simulated robot knows the loads of its actuators only: bthigh",
        ),
        (
            monitor("other", "sensor_msgs/msg/Imu", "linear_acceleration.x", "/imu/data"),
            "key 'monitors.x.field': a simulated robot does not measure it; allowed on /imu/data: what is observed, and",
        ),
    ],
)
def test_a_monitor_of_something_that_is_not_simulated_is_refused(wrong: MonitorConfig, message: str):
    with pytest.raises(ConfigError) as error:
        run({"x": wrong})
    assert message in str(error.value)
