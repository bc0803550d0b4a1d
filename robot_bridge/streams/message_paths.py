"""Where Foxglove finds a number: its message paths, such as ``/joint_states.position[1]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.recorder import absolute_topic
from robot_bridge.middleware.fields import ANGLES
from robot_bridge.middleware.messages import JointState, JointTrajectory, Message
from robot_bridge.streams.watched import Watched

JointOrders = Mapping[str, Sequence[str]]
"""Names of the joints in the messages of each topic, in their order."""


def expected_joint_orders(watched: Watched) -> dict[str, tuple[str, ...]]:
    """The joints of each JointState topic in the order of the robot's channels, which is how the simulated robot sends them."""
    orders: dict[str, dict[str, None]] = {}
    for channel in watched.spec.obs_names:
        source = watched.config.obs[channel]
        if source.joint:
            orders.setdefault(watched.config.inputs[source.input].topic, {})[source.joint] = None
    return {topic: tuple(joints) for topic, joints in orders.items()}


def recorded_joint_orders(watched: Watched, path: Path) -> dict[str, tuple[str, ...]]:
    """The joints of each JointState topic in the order of a recording.

    Raises:
        ConfigError: the recording cannot be read or lacks a topic, or its messages name their joints in several orders.
    """
    wanted: dict[str, type[Message]] = dict.fromkeys(expected_joint_orders(watched), JointState)
    orders: dict[str, tuple[str, ...]] = {}
    with Bag(path) as bag:
        for topic, _, message in bag.messages(wanted):
            names = tuple(message.name) if isinstance(message, JointState) else ()
            if orders.setdefault(topic, names) != names:
                both = " and ".join(", ".join(order) for order in (orders[topic], names))
                raise ConfigError(
                    f"{path}: topic {topic} names its joints in different orders: {both}; "
                    "Foxglove finds joints by their place only, so allowed: one order"
                )
    return orders


def observation_path(watched: Watched, channel: str, orders: JointOrders) -> str | None:
    """The path of an observation channel; None for a joint that the messages do not name.

    A twist about an axis is that of a rotation about this axis alone, because Foxglove has no function of two numbers.
    """
    source = watched.config.obs[channel]
    topic = absolute_topic(watched.config.inputs[source.input].topic)
    if source.joint:
        order = orders.get(watched.config.inputs[source.input].topic, ())
        return f"{topic}.{source.field}[{order.index(source.joint)}]" if source.joint in order else None
    parents, _, last = source.field.rpartition(".")
    if last in ANGLES and not last.startswith("twist"):
        return f"{topic}.{parents}.@rpy.{last}"
    if last in ANGLES:
        return f"{topic}.{parents}.{last.removeprefix('twist_')}.@asin.@mul(2)"
    return "".join([topic, *(f"[{part}]" if part.isdigit() else f".{part}" for part in source.field.split("."))])


def command_path(watched: Watched, action: str) -> str:
    """The path of an action channel in the commands."""
    output = watched.config.output
    place = (output.order or watched.spec.action_names).index(action)
    values = {JointTrajectory.ros_type: "points[0].positions", JointState.ros_type: output.field}.get(output.type, "data")
    return f"{absolute_topic(output.topic)}.{values}[{place}]"
