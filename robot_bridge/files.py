"""What a bridge file may hold, where its dataclasses alone do not say all of it, and whether one is right."""

from __future__ import annotations

from pathlib import Path

from adaptive_mbrl.schema import Record, Replaced, describe
from adaptive_mbrl.schema.shapes import Choice, Scalar, Sequence, Table
from robot_bridge.bridge_config import (
    GOALS,
    INPUTS,
    OUTPUTS,
    BridgeConfig,
    GoalInput,
    OutputConfig,
    TopicConfig,
    load_bridge_config,
)
from robot_bridge.monitor_values import MONITORED
from robot_bridge.robot_files import load_controller, make_inspection, make_supervisor, require_latency
from robot_bridge.safety.config import LONGEST_AGE, SafetyConfig
from robot_bridge.safety.faults import FAULT_KINDS
from robot_bridge.safety.monitor_config import MonitorConfig
from robot_bridge.safety.reactions import REACTIONS, ReactionConfig, stops
from robot_bridge.safety.stopping import StoppingConfig
from robot_bridge.urdf import with_urdf_limits

_POSITIVE = Table(Scalar("number", above=0.0))


def bridge() -> Record:
    """The file of a robot behind ROS 2."""
    types = {
        (TopicConfig, "type"): INPUTS,
        (OutputConfig, "type"): OUTPUTS,
        (GoalInput, "type"): GOALS,
        (MonitorConfig, "type"): MONITORED,
    }
    narrowed: Replaced = {field: Choice(names) for field, names in types.items()} | {
        (SafetyConfig, "rate_limits"): _POSITIVE,
        (SafetyConfig, "acceleration_limits"): _POSITIVE,
        (SafetyConfig, "jerk_limits"): _POSITIVE,
        (SafetyConfig, "max_age_of"): Table(Scalar("number", above=0.0, high=LONGEST_AGE)),
        (SafetyConfig, "reactions"): Table(describe(ReactionConfig), names=FAULT_KINDS),
        (StoppingConfig, "at_rest"): _POSITIVE,
        (StoppingConfig, "then"): Sequence(Choice(tuple(filter(stops, REACTIONS)))),
    }
    return describe(BridgeConfig, narrowed, name="robot behind ROS 2")


def check_bridge(path: Path) -> None:
    """A bridge file, with its checkpoint; nothing is sent or listened to."""
    config = load_bridge_config(path)
    controller = load_controller(config, path, "cpu")
    require_latency(config, controller, path)
    make_supervisor(with_urdf_limits(config, controller.spec, str(path)), controller, path)
    make_inspection(config, controller.spec, path)
