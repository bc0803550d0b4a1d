"""The simulated robot's side of the topics that a bridge's inputs read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig, ChannelInput
from robot_bridge.middleware.fields import ANGLES
from robot_bridge.middleware.messages import Message
from robot_bridge.middleware.transport import Transport
from robot_bridge.monitor_values import TILT
from robot_bridge.simulated.imperfections import Imperfections
from robot_bridge.simulated.sensor_messages import SensorMessage
from robot_bridge.simulated.transmission_line import TransmissionLine

Publish = Callable[[Message], None]


class SensorOutput:
    """Publishes observations; each topic has a transmission line of its own.

    Args:
        spec: the robot's channels.
        config: the bridge file whose inputs are published.
        transport: the transport between robot and bridge.
        imperfections: sensor noise and faults of the lines.
        seed: random seed of the noise and the lines.
    """

    def __init__(
        self, spec: RobotSpec, config: BridgeConfig, transport: Transport, imperfections: Imperfections, seed: tuple[int, ...]
    ) -> None:
        self._std = imperfections.noise_std(spec)
        self._rng = np.random.default_rng([*seed, 0])
        self._topics: list[tuple[SensorMessage, TransmissionLine[Message], Publish]] = []
        for stream, (name, topic) in enumerate(config.inputs.items(), start=1):
            channels = [(spec.obs_index(c), source) for c, source in config.obs.items() if source.input == name]
            channels += efforts_of(spec, config, name)
            line: TransmissionLine[Message] = TransmissionLine(imperfections.sensors, np.random.default_rng([*seed, stream]))
            publish = transport.publisher(topic.topic, topic.message_type, reliable=False)
            self._topics.append((SensorMessage(topic.message_type, channels), line, publish))

    @property
    def due(self) -> float:
        """Time at which the next message leaves its line, monotonic [s]; infinity if none is under way."""
        return min(line.due for _, line, _ in self._topics)

    @property
    def lost(self) -> int:
        """Number of messages that the lines lost."""
        return sum(line.lost for _, line, _ in self._topics)

    def sample(
        self, obs: NDArray[np.floating], action: NDArray[np.float64], noise_std: NDArray[np.float64], now: float, stamp: float
    ) -> None:
        """Measure once, and put a message of every topic on its line.

        Args:
            obs: the true observation, (obs_dim,).
            action: the command at the actuators, which monitors may read as efforts, (action_dim,).
            noise_std: standard deviation of the noise of the robot's own sensors, (obs_dim,); the configured noise adds to it.
            now: the present time, monotonic [s].
            stamp: the present time since the epoch [s].
        """
        measured = obs + np.hypot(self._std, noise_std) * self._rng.standard_normal(len(obs))
        for compose, line, _ in self._topics:
            line.send(compose(np.concatenate([measured, action]), stamp), now)

    def deliver(self, now: float) -> None:
        """Publish the messages that have left their line by `now`, monotonic [s]."""
        for _, line, publish in self._topics:
            for _, message in line.arrived(now):
                publish(message)


def efforts_of(spec: RobotSpec, config: BridgeConfig, name: str) -> list[tuple[int, ChannelInput]]:
    """The efforts that monitors read in an input's messages, as further channels behind those of the observation.

    Args:
        spec: the robot's channels.
        config: the bridge file.
        name: the input's name.

    Raises:
        ConfigError: a monitor reads something in this input's messages that a simulated robot does not measure.
    """
    found, topic = [], config.inputs[name].topic
    measured = {(source.field, source.joint) for source in config.obs.values() if source.input == name}
    turned = {field.rpartition(".")[0] for field, _ in measured if field.rpartition(".")[2] in ANGLES}
    for key, monitor in config.monitors.items():
        parents, _, last = monitor.field.rpartition(".")
        is_turned = parents in turned and last in (TILT, *ANGLES)
        if monitor.topic != topic or is_turned or (monitor.field, monitor.joint) in measured:
            continue
        if monitor.field != "effort" or monitor.joint not in spec.action_names:
            raise ConfigError(
                f"key 'monitors.{key}.field': a simulated robot does not measure it; allowed on {topic}: what is observed, and "
                f"the effort of {', '.join(spec.action_names)}"
            )
        found.append((spec.obs_dim + spec.action_names.index(monitor.joint), ChannelInput(name, "effort", monitor.joint)))
    return found
