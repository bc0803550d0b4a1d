"""A robot of MuJoCo under random commands, recorded through a transport within the process, by the clock of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.data.episode import Episode
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.bags.recording_transport import RecordingTransport
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, OutputConfig, TopicConfig
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import command_sender
from robot_bridge.middleware.messages import Header, JointState, Message, String, Time
from robot_bridge.safety.config import SafetyConfig
from sim.episodes.policies import RandomPolicy
from sim.robot.robot import Robot
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import start

WALL = 1.7e9
"""Since the epoch [s], when the simulated clock stands at 0."""
JOINTS = {"cart_position": ("position", "slider"), "pole_angle": ("position", "hinge_1")}
JOINTS |= {"cart_velocity": ("velocity", "slider"), "pole_velocity": ("velocity", "hinge_1")}


def bridge_config(checkpoint: str) -> BridgeConfig:
    return BridgeConfig(
        checkpoint=checkpoint,
        inputs={"joints": TopicConfig("/joint_states", JointState.ros_type)},
        obs={name: ChannelInput("joints", field, joint) for name, (field, joint) in JOINTS.items()},
        output=OutputConfig("/effort_controller/commands"),
        safety=SafetyConfig({"slide": 100.0}, max_age=0.15),
    )


class Loopback:
    """A transport within a process: what is published is received at once, by the clock that it is given."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.closed = clock, False
        self.receivers: dict[str, list[Callable[[Any, float], None]]] = {}

    def publisher(
        self, topic: str, message_type: type[Message], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[Any], None]:
        def publish(message: Any) -> None:
            for receive in self.receivers.get(topic, ()):
                receive(message, self.clock())

        return publish

    def subscribe(self, topic: str, message_type: type[Message], receive: Any, **options: Any) -> None:
        self.receivers.setdefault(topic, []).append(receive)

    def serve(self, name: str, request_type: Any, answer: Any) -> None:
        self.receivers[name] = [answer]

    def now(self) -> float:
        return WALL + self.clock()

    def close(self) -> None:
        self.closed = True


def record(bag: Path, robot: Robot, scenarios: Sequence[Scenario], states: Sequence[str] = ()) -> list[Episode]:
    """Run scenarios one after the other, ten seconds apart, and record what passes between controller and robot.

    Args:
        bag: folder of the bag.
        robot: the cart-pole.
        scenarios: what happens to it.
        states: states of the supervisor at the first steps of each scenario; `running` afterwards.

    Returns:
        What the simulation itself says.
    """
    now = [0.0]

    def clock() -> float:
        return now[0]

    wire = Loopback(clock)
    recorder = BagRecorder(bag, capacity=10**6, clock=clock, wall=wire.now)
    controller = RecordingTransport(wire, recorder, clock)
    Inputs(robot.spec, bridge_config(""), controller)
    send = command_sender(robot.spec, bridge_config("").output, controller)
    tell = controller.publisher("/adaptive_mpc/state", String)
    publish = wire.publisher("/joint_states", JointState)
    episodes = []
    for scenario in scenarios:
        simulation = BatchSimulation(robot, 1)
        obs, begun = [start(simulation, [scenario])], now[0]
        policy = RandomPolicy(robot.spec, scenario.seed, scenario.steps)
        policy.reset(simulation)
        actions = []
        for step in range(scenario.steps):
            now[0] = begun + robot.spec.dt * step
            publish(joint_state(now[0], obs[-1][0]))
            action, _ = policy.act(obs[-1], np.zeros((1, 0)), None)
            send(action[0].astype(np.float64))
            now[0] += 0.001
            tell(String(states[step] if step < len(states) else "running"))
            obs.append(simulation.step(action))
            actions.append(simulation.clip(action))
        now[0] = begun + robot.spec.dt * scenario.steps
        publish(joint_state(now[0], obs[-1][0]))
        now[0] += 10.0
        episodes.append(Episode(np.stack(obs, 1)[0], np.stack(actions, 1)[0], np.zeros(scenario.steps, np.float32)))
    controller.close()
    recorder.close()
    assert wire.closed
    assert recorder.dropped == {}
    assert recorder.failure == ""
    return episodes


def joint_state(now: float, obs: np.ndarray) -> JointState:
    x, theta, v, omega = map(float, obs)
    return JointState(Header(Time.of(WALL + now)), ["hinge_1", "slider"], [theta, x], [omega, v], [])
