"""A simulated robot behind the topics of a real one: it reads commands and publishes what a bridge's inputs read, in real time.

Commands that stop coming are answered as most drivers do: after `command_timeout` the actuators get zeros.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import SimulatedRobotOptions
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, load_bridge_config, require_spec
from robot_bridge.dds import DdsTransport
from robot_bridge.messages import MESSAGES, Float64MultiArray, Header, JointState, JointTrajectory, Message, Quaternion, Time
from robot_bridge.transport import Transport
from sim.batch import BatchSimulation
from sim.robot import load_robot
from sim.scenario import Scenario, apply_changes, load_scenario, start

Array = NDArray[np.float64]


class SimulatedRobot:
    """Runs a scenario behind a transport.

    Args:
        simulation: of one robot.
        scenario: its seed and changes of dynamics; a goal of the objective is the scenario's, for the reward.
        config: the bridge whose inputs it publishes and whose output it reads.
        transport: to the bridge.
        command_timeout: age of a command after which the actuators get zeros [s].
    """

    def __init__(
        self,
        simulation: BatchSimulation,
        scenario: Scenario,
        config: BridgeConfig,
        transport: Transport,
        command_timeout: float = 0.2,
    ) -> None:
        self.simulation, self.scenario, self.command_timeout = simulation, scenario, command_timeout
        spec = simulation.robot.spec
        self._order = [spec.action_names.index(name) for name in config.output.order or spec.action_names]
        self._command = np.zeros(spec.action_dim)
        self._command_at = -math.inf
        self._lock = threading.Lock()
        self.commands = 0
        self._writers: list[tuple[Callable[[Message], None], _Composer]] = []
        for name, topic in config.inputs.items():
            channels = [(spec.obs_names.index(c), source) for c, source in config.obs.items() if source.input == name]
            self._writers.append(
                (transport.publisher(topic.topic, topic.message_type, reliable=False), _Composer(topic.message_type, channels))
            )
        transport.subscribe(config.output.topic, MESSAGES[config.output.type], self._receive, reliable=True)
        self.obs = start(simulation, [scenario])
        self.rewards: list[float] = []
        self._goals = simulation.goals(scenario.steps)

    def run(self, stop: threading.Event) -> None:
        """Publish, from the first command on simulate in real time, until the scenario or `stop` ends it."""
        dt = self.simulation.robot.spec.dt
        while self.commands == 0:
            self.publish()
            if stop.wait(dt):
                return
        tick = time.monotonic()
        for _ in range(self.scenario.steps):
            self.publish()
            tick += dt
            if stop.wait(max(0.0, tick - time.monotonic())):
                return
            self.advance()
        self.publish()

    def publish(self) -> None:
        """Send the present observation on every topic."""
        stamp = Time.of(time.time())
        for write, compose in self._writers:
            write(compose(self.obs[0], stamp))

    def advance(self) -> None:
        """One control step under the newest command."""
        apply_changes(self.simulation, [self.scenario])
        with self._lock:
            fresh = time.monotonic() - self._command_at <= self.command_timeout
            command = self._command.copy() if fresh else np.zeros_like(self._command)
        before, step = self.simulation.true_obs, self.simulation.step_index
        self.obs = self.simulation.step(command[None])
        sent, after = self.simulation.clip(command[None]), self.simulation.true_obs
        goal = self._goals[:, step]
        self.rewards.append(float(self.simulation.robot.objective(*map(torch.from_numpy, (before, sent, after, goal)))[0]))

    def _receive(self, message: Message, received: float) -> None:
        values: list[float] = []
        if isinstance(message, Float64MultiArray):
            values = message.data
        elif isinstance(message, JointTrajectory) and message.points:
            values = message.points[-1].positions
        if len(values) != len(self._order) or not np.isfinite(values).all():
            return
        with self._lock:
            self.commands += 1
            self._command[self._order] = values
            self._command_at = received


def simulated_robot(options: SimulatedRobotOptions) -> None:
    """Run the scenario in real time and say what came of it; Ctrl-C ends it earlier."""
    config = load_bridge_config(options.bridge)
    found = load_scenario(options.scenario)
    scenario = found.episodes(1, found.seed if options.seed is None else options.seed)[0]
    robot = load_robot(scenario.robot)
    require_spec(config, robot.spec, str(options.bridge))
    transport = DdsTransport(options.domain, options.interface)
    simulated = SimulatedRobot(BatchSimulation(robot, 1), scenario, config, transport, options.command_timeout)
    print(f"waiting for commands on {config.output.topic}", flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop.set())
    try:
        simulated.run(stop)
    finally:
        transport.close()
    after = sum(simulated.rewards[scenario.last_change :])
    print(
        f"{len(simulated.rewards)} steps, {simulated.commands} commands, "
        f"return {sum(simulated.rewards):.1f}, after the last change {after:.1f}"
    )


class _Composer:
    """Builds the message of one input from an observation; joints that several channels share are one entry."""

    def __init__(self, message_type: type[Message], channels: list[tuple[int, ChannelInput]]) -> None:
        self.message_type, self.channels = message_type, channels
        self.joints = list(dict.fromkeys(source.joint for _, source in channels if source.joint))
        turned = [source.field.rpartition(".")[0] for _, source in channels if source.field.endswith((".roll", ".pitch", ".yaw"))]
        if len(set(turned)) < len(turned):
            raise ConfigError(f"key 'obs': two angles of one orientation ({turned[0]}) cannot be simulated; allowed: one")

    def __call__(self, obs: NDArray[np.float32], stamp: Time) -> Message:
        message = self.message_type()
        if hasattr(message, "header"):
            message.header = Header(stamp)
        if isinstance(message, JointState):
            message.name = list(self.joints)
            for index, source in self.channels:
                values = getattr(message, source.field) or [0.0] * len(self.joints)
                values[self.joints.index(source.joint)] = float(obs[index])
                setattr(message, source.field, values)
            return message
        for index, source in self.channels:
            write_field(message, source.field, float(obs[index]))
        return message


def write_field(message: Message, path: str, value: float) -> None:
    """Inverse of `robot_bridge.fields.field_of` for one number; arrays grow as needed."""
    *parents, last = path.split(".")
    target: Any = message
    for part in parents:
        target = getattr(target, part)
    if isinstance(target, Quaternion) and last in ("roll", "pitch", "yaw"):
        axis = {"roll": "x", "pitch": "y", "yaw": "z"}[last]
        target.w = math.cos(value / 2)
        setattr(target, axis, math.sin(value / 2))
    elif isinstance(target, list):
        target.extend([0.0] * (int(last) + 1 - len(target)))
        target[int(last)] = value
    else:
        setattr(target, last, value)
