"""Does a robot's file name channels that the robot has, and can its limits be kept?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.config import Range, SafetyConfig
from robot_bridge.safety.limiter import CommandLimiter
from robot_bridge.safety.observation_checks import without_margin


def require_channels(spec: RobotSpec, config: SafetyConfig) -> None:
    """Refuse names that are no channels of the robot, limits that are missing, and positions where velocities belong."""
    actions, channels = spec.action_names, spec.obs_names
    _require_names("safety.rate_limits", config.rate_limits, actions, complete=True)
    for key in ("acceleration_limits", "jerk_limits", "action_limits", "dampers"):
        _require_names(f"safety.{key}", getattr(config, key), actions)
    _require_names("safety.posture", config.posture, actions, complete=bool(config.posture))
    for key in ("obs_limits", "max_age_of", "derivatives"):
        _require_names(f"safety.{key}", getattr(config, key), channels)
    velocities = {f"dampers.{name}.velocity": damper.velocity for name, damper in config.dampers.items()}
    velocities |= {f"derivatives.{name}.velocity": pair.velocity for name, pair in config.derivatives.items()}
    if config.stopping is not None:
        velocities |= {f"stopping.at_rest.{name}": name for name in config.stopping.at_rest}
    for key, name in velocities.items():
        _require_names(f"safety.{key.partition('.')[0]}", {name: 0.0}, channels)
        if spec.obs[spec.obs_index(name)].kind != "velocity":
            raise ConfigError(f"key 'safety.{key}': '{name}' is no velocity")


def command_limiter(spec: RobotSpec, config: SafetyConfig) -> CommandLimiter:
    """The limits of a robot's commands."""
    low, high = np.array([_action_range(spec, config, i) for i in range(spec.action_dim)]).T
    rate = np.array([config.rate_limits[name] for name in spec.action_names])
    acceleration, jerk = (
        np.array([limits.get(name, math.inf) for name in spec.action_names])
        for limits in (config.acceleration_limits, config.jerk_limits)
    )
    return CommandLimiter(low, high, rate, acceleration, jerk)


def _action_range(spec: RobotSpec, config: SafetyConfig, index: int) -> tuple[float, float]:
    """The smallest and the largest command of an action channel."""
    channel = spec.action[index]
    limits = config.action_limits.get(channel.name, Range(channel.low, channel.high))
    key = f"safety.action_limits.{channel.name}"
    if limits.low < channel.low or limits.high > channel.high:
        raise ConfigError(f"key '{key}': {limits.low:g} to {limits.high:g}; allowed: within {channel.low:g} to {channel.high:g}")
    rests_at_zero = config.safe_action in ("zero", "damping")
    if rests_at_zero and channel.low <= 0 <= channel.high and not limits.low <= 0 <= limits.high:
        raise ConfigError(
            f"key '{key}': {limits.low:g} to {limits.high:g}; allowed: with zero in it, where the robot comes to rest"
        )
    low, high = without_margin(limits, config.margin)
    place = config.posture.get(channel.name)
    if place is not None and not low <= place <= high:
        raise ConfigError(f"key 'safety.posture.{channel.name}': {place:g} is out of range; allowed: {low:g} to {high:g}")
    return low, high


def _require_names(key: str, values: Mapping[str, object], known: tuple[str, ...], *, complete: bool = False) -> None:
    unknown = [name for name in values if name not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise ConfigError(f"key '{key}': unknown channel '{unknown[0]}'{hint}; known channels: {', '.join(known)}")
    missing = [name for name in known if name not in values] if complete else []
    if missing:
        raise ConfigError(f"key '{key}': missing channel '{missing[0]}'; one entry for each of {', '.join(known)}")
