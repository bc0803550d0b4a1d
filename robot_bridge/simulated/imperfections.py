"""Sensor noise and faults of the lines of a simulated robot, from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import MAX_SEED, bounded, load_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.simulated.power import PowerConfig

UNITS = ("m", "rad", "m/s", "rad/s", "m/s^2", "N", "N m", "1")
"""Units that noise may be given for, so that one file can be used with several robots."""


@dataclass(frozen=True)
class TransmissionLineConfig:
    """What happens to messages on their way. Messages of one topic do not overtake each other.

    Attributes:
        latency: shortest time from sending to arrival [s].
        jitter: a further delay of up to this much, uniformly distributed [s].
        loss: probability that a message never arrives.
    """

    latency: float = bounded(0.0, low=0.0, high=10.0)
    jitter: float = bounded(0.0, low=0.0, high=10.0)
    loss: float = bounded(0.0, low=0.0, high=1.0)


@dataclass(frozen=True)
class Imperfections:
    """The default is a perfect robot.

    Attributes:
        noise: standard deviation of the white noise on published observations, in the channel's unit. A key is the name of a
            channel, or a unit for all channels of that unit which are not named.
        sensors: the lines from the sensors to the network, a separate one for each topic.
        commands: the line from the network to the actuators.
        seed: random seed of noise and lines, which is combined with the scenario's seed.
        power: battery and temperatures, for the monitors of a bridge file.
    """

    noise: Mapping[str, float] = field(default_factory=dict)
    sensors: TransmissionLineConfig = TransmissionLineConfig()
    commands: TransmissionLineConfig = TransmissionLineConfig()
    seed: int = bounded(0, low=0, high=MAX_SEED)
    power: PowerConfig = PowerConfig()

    def __post_init__(self) -> None:
        for name, std in self.noise.items():
            if std < 0:
                raise ConfigError(f"key 'noise.{name}': {std:g} is out of range; allowed: at least 0")

    def noise_std(self, spec: RobotSpec) -> NDArray[np.float64]:
        """Standard deviation of the noise on each channel, (obs_dim,).

        Raises:
            ConfigError: a key of `noise` is neither a channel of this robot nor a unit.
        """
        for name in self.noise:
            if name not in spec.obs_names and name not in UNITS:
                raise ConfigError(
                    f"key 'noise': unknown channel or unit '{name}'; channels of robot '{spec.name}': "
                    f"{', '.join(spec.obs_names)}; units: {', '.join(UNITS)}"
                )
        return np.array([self.noise.get(c.name, self.noise.get(c.unit, 0.0)) for c in spec.obs])


def load_imperfections(path: Path | None, spec: RobotSpec) -> Imperfections:
    """Read a file and check it against a robot's channels; without a file the robot is perfect."""
    if path is None:
        return Imperfections()
    imperfections = load_yaml(path, Imperfections)
    try:
        imperfections.noise_std(spec)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return imperfections
