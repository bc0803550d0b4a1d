"""Monitors and limits of plans over real sockets: a simulated robot whose battery runs low, one that tumbles, a plan that leaves.

The controllers are untrained, which is enough to be stopped.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from robot_bridge.bridge_config import BridgeConfig, load_bridge_config
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import DiagnosticArray, Float64MultiArray, Header, JointState, String, Time
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.diagnostics import ERROR
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.simulated.imperfections import Imperfections
from robot_bridge.simulated.power import PowerConfig
from robot_bridge.simulated.robot import SimulatedRobot
from robot_bridge.simulated.steady_clock import SteadyClock
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.substeps import SubstepSimulation
from tests.bridge.test_adaptive_mpc import Listener
from tests.cartpole_bridge import BRIDGE

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = 20 + os.getpid() % 40
LONG = 100_000
"""Control periods of a scenario that does not end before its test."""


@pytest.fixture
def transport() -> Iterator[DdsTransport]:
    opened = DdsTransport(DOMAIN)
    yield opened
    opened.close()


@pytest.fixture
def node(transport: DdsTransport, hasty: None) -> Iterator[AdaptiveMpc]:
    made = AdaptiveMpc(transport)
    yield made
    made.clean_up()


@pytest.fixture
def hear(transport: DdsTransport) -> Callable[..., Listener]:
    def subscribe(topic: str, message_type: type) -> Listener:
        listener = Listener()
        transport.subscribe(topic, message_type, listener, reliable=True)
        return listener

    return subscribe


@contextmanager
def simulated(name: str, config: BridgeConfig, power: PowerConfig, *changes: Change) -> Iterator[None]:
    """A simulated robot behind the topics of a bridge file, on a thread and a transport of its own."""
    own, stop = DdsTransport(DOMAIN), threading.Event()
    simulation = SubstepSimulation(load_robot(name), Scenario(name, LONG, 3, tuple(ScheduledChange(0, c) for c in changes)))
    robot = SimulatedRobot(simulation, config, own, SteadyClock(stop), imperfections=Imperfections(power=power), publish_every=2)
    thread = threading.Thread(target=robot.run)
    thread.start()
    yield
    stop.set()
    thread.join()
    own.close()


def test_a_battery_that_runs_low_slows_the_robot_and_then_stops_it(
    node, transport, hear, tmp_path: Path, make_checkpoint: Callable[..., Path]
):
    path, content = tmp_path / "bridge.yaml", yaml.safe_load(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint")))
    battery = {"topic": "/battery_state", "type": "sensor_msgs/msg/BatteryState", "field": "percentage", "max_age": 10.0}
    content["monitors"] = {"battery": {"kind": "battery", **battery, "warn": {"low": 0.8}, "fault": {"low": 0.4}, "seconds": 0.3}}
    content["safety"]["reactions"] = {"battery_low": {"action": "slow"}, "battery_critical": {"action": "zero"}}
    path.write_text(yaml.safe_dump(content))
    reaction, state = hear("/adaptive_mpc/reaction", String), hear("/adaptive_mpc/state", String)
    diagnostics = hear("/diagnostics", DiagnosticArray)

    node.configure(NodeParameters(str(path)), transport)
    # without any effort it would last as long: what happens depends on no plan
    with simulated("cartpole", load_bridge_config(path), PowerConfig(seconds=5.0, idle=1.0)):
        node.activate()
        state.wait_for(lambda m: m.data == "running")
        reaction.wait_for(lambda m: m.data == "slow")
        state.wait_for(lambda m: m.data == "running")
        reaction.wait_for(lambda m: m.data == "zero")
        state.wait_for(lambda m: m.data == "hold")
        assert "monitor 'battery' is " in node.report()
        diagnostics.wait_for(lambda m: (ERROR, "adaptive_mpc: monitors") in [(s.level, s.name) for s in m.status])


def test_a_robot_that_tumbles_is_damped(node, transport, hear, tmp_path: Path, make_checkpoint: Callable[..., Path]):
    path = tmp_path / "bridge.yaml"
    content = yaml.safe_load((ROOT / "configs" / "bridge" / "quadrotor.yaml").read_text())
    tilt = {"topic": "/odom", "type": "nav_msgs/msg/Odometry", "field": "pose.pose.orientation.tilt"}
    rotors = [f"rotor_{i}" for i in range(1, 5)]
    content |= {
        "checkpoint": str(make_checkpoint(tmp_path / "checkpoint", robot="quadrotor")),
        "monitors": {"tilt": {"kind": "fall", **tilt, "fault": {"high": 0.6}, "seconds": 0.05}},
        "safety": {
            "rate_limits": dict.fromkeys(rotors, 100.0),
            "max_age": 5.0,
            "max_missed_deadlines": 1000,
            "max_training_stds": 0,
            "ramp_seconds": 0.05,
            "safe_action": "damping",
            "dampers": {name: {"velocity": "z_velocity", "gain": 0.1} for name in rotors},
        },
    }
    content.pop("plan_limits", None)
    path.write_text(yaml.safe_dump(content))
    reaction, commands = hear("/adaptive_mpc/reaction", String), hear("/effort_controller/commands", Float64MultiArray)
    said = hear("/diagnostics", DiagnosticArray)

    with simulated("quadrotor", load_bridge_config(path), PowerConfig(), Change(actuator_gain={"rotor_1": 0.0})):
        node.configure(NodeParameters(str(path)), transport)
        node.activate()
        said.wait_for(lambda m: any("monitor 'tilt' is " in s.message for s in m.status))
        # it falls, and all rotors brake that alike; no plan of an untrained controller does
        braking = commands.wait_for(lambda m: m.data[0] > 0 and len({round(value, 6) for value in m.data}) == 1)
        assert len(braking.data) == 4
        reaction.wait_for(lambda m: m.data == "damping")


@contextmanager
def standing(transport: DdsTransport) -> Iterator[None]:
    """A robot that stands still and says so."""
    end, publish = threading.Event(), transport.publisher("/joint_states", JointState, reliable=False)

    def stand() -> None:
        while not end.wait(0.01):
            stamp = Header(Time.of(transport.now()))
            publish(JointState(stamp, ["slider", "hinge_1"], [0.0, 0.1], [0.0, 0.0]))

    thread = threading.Thread(target=stand)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.mark.parametrize(("width", "is_sent"), [(1e-9, False), (100.0, True)], ids=["leaves", "stays"])
def test_a_plan_that_leaves_the_box_is_never_sent(
    node, transport, hear, tmp_path: Path, make_checkpoint: Callable[..., Path], width: float, is_sent: bool
):
    path, content = tmp_path / "bridge.yaml", yaml.safe_load(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint")))
    content["plan_limits"] = {"seconds": 0.1, "workspace": {"cart_position": {"low": -width, "high": width}}}
    path.write_text(yaml.safe_dump(content))
    commands, state = hear("/commands", Float64MultiArray), hear("/adaptive_mpc/state", String)
    sent: list[float] = []
    transport.subscribe("/commands", Float64MultiArray, lambda message, received: sent.append(message.data[0]), reliable=True)

    with standing(transport):
        node.configure(NodeParameters(str(path)), transport)
        node.activate()
        if is_sent:
            commands.wait_for(lambda m: m.data != [0.0])
            assert "the plan leads" not in node.report()
            return
        state.wait_for(lambda m: m.data == "hold")
        for _ in range(30):
            commands.wait_for(lambda m: True)
        assert "the plan leads 'cart_position' to " in node.report()
    assert set(sent) == {0.0}
