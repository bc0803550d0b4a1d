"""What a bridge file may hold, where its dataclasses alone do not say all of it."""

from __future__ import annotations

from adaptive_mbrl.schema import Record, describe
from adaptive_mbrl.schema.shapes import Choice
from robot_bridge.bridge_config import GOALS, INPUTS, OUTPUTS, BridgeConfig, GoalInput, OutputConfig, TopicConfig


def bridge() -> Record:
    """The file of a robot behind ROS 2."""
    types = {(TopicConfig, "type"): INPUTS, (OutputConfig, "type"): OUTPUTS, (GoalInput, "type"): GOALS}
    return describe(BridgeConfig, {field: Choice(names) for field, names in types.items()}, name="robot behind ROS 2")
