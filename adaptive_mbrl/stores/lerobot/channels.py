"""Which channels a dataset of somebody else has: by the names of its features, or by a YAML file that knows more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from adaptive_mbrl.config import did_you_mean, load_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.columns import LogAction, LogChannel
from adaptive_mbrl.spec import ActionChannel, Channel, HealthyRange, RobotSpec
from adaptive_mbrl.stores.exchange import print_notes_on_units
from adaptive_mbrl.stores.lerobot.names import Names, Number
from adaptive_mbrl.stores.lerobot.reader import Dataset


@dataclass(frozen=True)
class DatasetConfig:
    """The YAML file of a dataset's robot: a store's `spec.yaml`, in which channels may name the number that they are made of.

    Attributes:
        name: name of the robot.
        obs: observation channels; `column` is a name within the dataset, the channel's own if not given.
        action: action channels.
        dt: control period [s]; that of the dataset if not given.
        healthy: the ranges in which the robot is healthy; without any it always is.
        terminate_when_unhealthy: whether an episode ends with the first step after which the robot is not healthy.
    """

    name: str
    obs: tuple[LogChannel, ...]
    action: tuple[LogAction, ...]
    dt: float | None = None
    healthy: tuple[HealthyRange, ...] = ()
    terminate_when_unhealthy: bool = True

    def spec(self, fps: float) -> RobotSpec:
        """The robot, for a number of frames per second."""
        obs = tuple(Channel(c.name, c.unit, c.kind, c.target) for c in self.obs)
        action = tuple(ActionChannel(a.name, a.unit, a.low, a.high) for a in self.action)
        return RobotSpec(self.name, self.dt or 1 / fps, obs, action, self.healthy, self.terminate_when_unhealthy)


def guessed_spec(dataset: Dataset, names: Names) -> RobotSpec:
    """A robot of which nothing is known but the names of its channels; the limits of its actions are those in the data."""
    found = tuple(names.action.values())
    low, high = np.full(len(found), np.inf), np.full(len(found), -np.inf)
    for file in tqdm(dataset.files, desc="limits", unit="file", leave=False, disable=None):
        for _, columns in dataset.episodes(file, names.features):
            rows = np.stack([number.values(columns) for number in found], axis=1)
            low, high = np.minimum(low, np.nanmin(rows, axis=0)), np.maximum(high, np.nanmax(rows, axis=0))
    margin = np.where(high > low, 0.0, 1.0)
    limits = zip(names.action, (low - margin).tolist(), (high + margin).tolist(), strict=True)
    obs = tuple(Channel(name, "1") for name in names.obs)
    action = tuple(ActionChannel(name, "1", a, b) for name, a, b in limits)
    return RobotSpec(dataset.robot or dataset.root.resolve().name, 1 / dataset.fps, obs, action)


def plain_config(spec: RobotSpec) -> DatasetConfig:
    """The configuration of a robot whose channels are the numbers of their names."""
    obs = tuple(LogChannel(name=c.name, unit=c.unit, kind=c.kind, target=c.target) for c in spec.obs)
    action = tuple(LogAction(name=a.name, unit=a.unit, low=a.low, high=a.high) for a in spec.action)
    return DatasetConfig(spec.name, obs, action, spec.dt, spec.healthy, spec.terminate_when_unhealthy)


def load_dataset_config(path: Path, dataset: Dataset, names: Names) -> DatasetConfig:
    """Read the YAML file of a dataset's robot.

    Raises:
        ConfigError: it names a number that the dataset does not have, or another control period.
    """
    config = load_yaml(path, DatasetConfig)
    print_notes_on_units(config.spec(dataset.fps))
    if config.dt is not None and abs(config.dt * dataset.fps - 1) > 1e-3:
        raise ConfigError(f"{path}: key 'dt': is {config.dt:g}; allowed: {1 / dataset.fps:g}, as {dataset.root} says, or none")
    for key, channels, known in (("obs", config.obs, names.obs), ("action", config.action, names.action)):
        for i, channel in enumerate(channels):
            for column in channel.columns:
                if column not in known:
                    hint = did_you_mean(column, known)
                    raise ConfigError(
                        f"{path}: key '{key}[{i}]': {dataset.root} has no '{column}'{hint}; names: {', '.join(known)}"
                    )
    return config


def channel_values(
    channels: Sequence[LogChannel | LogAction], known: Mapping[str, Number], columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Observations or actions of frames in SI units, (T, d) float32, from the columns of an episode."""
    table = {name: known[name].values(columns) for channel in channels for name in channel.columns}
    return np.stack([_within_circle(channel, channel.values(table)) for channel in channels], axis=1).astype(np.float32)


def _within_circle(channel: LogChannel | LogAction, values: np.ndarray) -> np.ndarray:
    if isinstance(channel, LogChannel) and channel.kind == "angle":
        return np.remainder(values + math.pi, 2 * math.pi) - math.pi
    return values
