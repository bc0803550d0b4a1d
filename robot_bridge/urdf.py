"""Limits of joints from a robot's URDF, as defaults for those of a bridge file.

http://wiki.ros.org/urdf/XML/joint
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.safety.config import Range

Limits = Mapping[str, Range]
"""The ranges of one joint by `position` [rad or m], `velocity` [rad/s or m/s] and `effort` [N m or N]; those that are known."""


def read_joint_limits(path: Path) -> dict[str, Limits]:
    """The limits of every joint of a URDF that can move, by the joint's name.

    Raises:
        ConfigError: the file is missing or no URDF, or a limit is no number.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ConfigError(f"{path}: no URDF can be read: {error}") from error
    if root.tag != "robot":
        raise ConfigError(f"{path}: no URDF: its root is '{root.tag}'; allowed: 'robot'")
    joints = {joint.get("name", ""): joint for joint in root.findall("joint") if joint.get("type") != "fixed"}
    return {name: dict(_limits(path, name, joint)) for name, joint in joints.items()}


def with_urdf_limits(config: BridgeConfig, spec: RobotSpec, source: str) -> BridgeConfig:
    """A bridge file in which the URDF's limits take the place of limits that it does not give.

    Args:
        config: the bridge file.
        spec: the robot's channels, whose ranges are never left.
        source: the bridge file's name, for errors.

    Raises:
        ConfigError: the URDF cannot be read, lacks a joint, or leaves no range.
    """
    if not config.urdf:
        return config
    found = read_joint_limits(Path(config.urdf))
    try:
        observed = dict(_of_observations(config, found))
        commanded = dict(_of_commands(config, spec, found))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    safety = replace(
        config.safety,
        obs_limits=observed | dict(config.safety.obs_limits),
        action_limits=commanded | dict(config.safety.action_limits),
    )
    return replace(config, safety=safety)


def _of_observations(config: BridgeConfig, found: Mapping[str, Limits]) -> Iterator[tuple[str, Range]]:
    for channel, source in config.obs.items():
        if source.joint:
            limits = _of_joint(config, found, source.joint)
            if source.field in limits:
                yield channel, limits[source.field]


def _of_commands(config: BridgeConfig, spec: RobotSpec, found: Mapping[str, Limits]) -> Iterator[tuple[str, Range]]:
    output = config.output
    # commands that name no joints are of no joint that the URDF would know
    joints = dict(zip(output.order or spec.action_names, output.joints, strict=True)) if output.joints else {}
    for action in spec.action:
        limits = _of_joint(config, found, joints[action.name]) if joints else {}
        if output.field in limits:
            limit = limits[output.field]
            low, high = max(limit.low, action.low), min(limit.high, action.high)
            if not low < high:
                raise ConfigError(
                    f"key 'urdf': {config.urdf} allows '{joints[action.name]}' {limit.low:g} to {limit.high:g}, and the "
                    f"checkpoint's robot {action.low:g} to {action.high:g}; allowed: ranges that overlap"
                )
            yield action.name, Range(low, high)


def _of_joint(config: BridgeConfig, found: Mapping[str, Limits], joint: str) -> Limits:
    if joint not in found:
        hint = did_you_mean(joint, tuple(found))
        raise ConfigError(f"key 'urdf': {config.urdf} has no joint '{joint}'{hint}; its joints: {', '.join(found)}")
    return found[joint]


def _limits(path: Path, name: str, joint: ElementTree.Element) -> Iterator[tuple[str, Range]]:
    limit = joint.find("limit")
    if limit is None:
        return
    number = {key: _number(path, name, limit, key) for key in ("lower", "upper", "velocity", "effort")}
    # a joint that turns without an end has no limits of its position
    if joint.get("type") != "continuous" and number["lower"] < number["upper"]:
        yield "position", Range(number["lower"], number["upper"])
    for key in ("velocity", "effort"):
        # zero is what exporters write for a limit that they do not know
        if number[key] > 0:
            yield key, Range(-number[key], number[key])


def _number(path: Path, name: str, limit: ElementTree.Element, key: str) -> float:
    text = limit.get(key, "0")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{path}: joint '{name}': limit '{key}' is '{text}'; allowed: a number")
    return value
