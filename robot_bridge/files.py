"""What a bridge file may hold, where its dataclasses alone do not say all of it, and whether one is right."""

from __future__ import annotations

from pathlib import Path

from adaptive_mbrl.schema import Record, describe
from adaptive_mbrl.schema.shapes import Choice
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
from robot_bridge.robot_files import load_controller, make_supervisor, require_latency


def bridge() -> Record:
    """The file of a robot behind ROS 2."""
    types = {(TopicConfig, "type"): INPUTS, (OutputConfig, "type"): OUTPUTS, (GoalInput, "type"): GOALS}
    return describe(BridgeConfig, {field: Choice(names) for field, names in types.items()}, name="robot behind ROS 2")


def check_bridge(path: Path) -> None:
    """A bridge file, with its checkpoint; nothing is sent or listened to."""
    config = load_bridge_config(path)
    controller = load_controller(config, path, "cpu")
    require_latency(config, controller, path)
    make_supervisor(config, controller, path)
