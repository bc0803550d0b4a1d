"""What a simulated robot's sensors and lines get wrong, from a YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import MAX_SEED, bounded, load_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec

UNITS = ("m", "rad", "m/s", "rad/s", "m/s^2", "N", "N m", "1")
"""Units that noise may be given for, so that one file serves several robots."""


@dataclass(frozen=True)
class TransmissionLineConfig:
    """What happens to messages on their way; none overtakes another one of its topic.

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
        noise: standard deviation of the white noise on each published observation, by channel or, for all channels of a unit that
            are not named, by unit; in the channel's unit.
        sensors: from the sensor to the network, for each topic by itself.
        commands: from the network to the actuator.
        seed: of all of it, together with the scenario's.
    """

    noise: Mapping[str, float] = field(default_factory=dict)
    sensors: TransmissionLineConfig = TransmissionLineConfig()
    commands: TransmissionLineConfig = TransmissionLineConfig()
    seed: int = bounded(0, low=0, high=MAX_SEED)

    def __post_init__(self) -> None:
        for name, std in self.noise.items():
            if std < 0:
                raise ConfigError(f"key 'noise.{name}': {std:g} is out of range; allowed: at least 0")

    def noise_std(self, spec: RobotSpec) -> NDArray[np.float64]:
        """Noise of each channel, (obs_dim,).

        Raises:
            ConfigError: noise for something that is neither a channel of this robot nor a unit.
        """
        for name in self.noise:
            if name not in spec.obs_names and name not in UNITS:
                raise ConfigError(
                    f"key 'noise': unknown channel or unit '{name}'; channels of robot '{spec.name}': "
                    f"{', '.join(spec.obs_names)}; units: {', '.join(UNITS)}"
                )
        return np.array([self.noise.get(c.name, self.noise.get(c.unit, 0.0)) for c in spec.obs])


def load_imperfections(path: Path | None, spec: RobotSpec) -> Imperfections:
    """Read and check a file for a robot; without one the robot is perfect."""
    if path is None:
        return Imperfections()
    imperfections = load_yaml(path, Imperfections)
    try:
        imperfections.noise_std(spec)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return imperfections
