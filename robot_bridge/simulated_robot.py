"""A simulated robot behind the topics of a real one: it reads commands and publishes what a bridge's inputs read, in real time.

Commands that stop coming are answered as most drivers do: after `command_timeout` the actuators get zeros.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import SimulatedRobotOptions
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, load_bridge_config, require_spec
from robot_bridge.dds import DdsTransport
from robot_bridge.fields import EULER_AXES, write_field
from robot_bridge.messages import MESSAGES, Float64MultiArray, Header, JointState, JointTrajectory, Message, Time
from robot_bridge.stopping import stop_on_signals
from robot_bridge.transport import Transport
from sim.batch import BatchSimulation
from sim.robot import load_robot
from sim.rollout import episode_rewards
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
        self._true_obs = [simulation.true_obs]
        self._actions: list[NDArray[np.float32]] = []

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
        self.obs = self.simulation.step(command[None])
        self._true_obs.append(self.simulation.true_obs)
        self._actions.append(self.simulation.clip(command[None]))

    def rewards(self) -> Array:
        """Of the steps so far, (T,); not computed while the robot runs in real time."""
        if not self._actions:
            return np.zeros(0)
        goals = self.simulation.goals(self.scenario.steps)[:, : len(self._actions)]
        obs, actions = np.stack(self._true_obs, 1), np.stack(self._actions, 1)
        return episode_rewards(self.simulation.robot, obs, actions, goals)[0].astype(np.float64)

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
    try:
        simulated.run(stop_on_signals())
    finally:
        transport.close()
    rewards = simulated.rewards()
    print(
        f"{len(rewards)} steps, {simulated.commands} commands, "
        f"return {rewards.sum():.1f}, after the last change {rewards[scenario.last_change :].sum():.1f}"
    )


class _Composer:
    """Builds the message of one input from an observation; joints that several channels share are one entry."""

    def __init__(self, message_type: type[Message], channels: list[tuple[int, ChannelInput]]) -> None:
        self.message_type, self.channels = message_type, channels
        self.joints = list(dict.fromkeys(source.joint for _, source in channels if source.joint))
        paths = [source.field.rpartition(".") for _, source in channels]
        turned = [parent for parent, _, last in paths if last in EULER_AXES]
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
