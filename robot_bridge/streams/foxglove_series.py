"""What the plots of a layout for Foxglove show: message paths, by the label of their line."""

from __future__ import annotations

from collections.abc import Iterable

from robot_bridge.node.telemetry import BELIEF
from robot_bridge.streams.message_paths import JointOrders, command_path, observation_path
from robot_bridge.streams.watched import Watched


def observation_series(watched: Watched, orders: JointOrders) -> dict[str, dict[str, str]]:
    """The paths of the observation channels, by unit and then by label; channels without a path are left out."""
    found: dict[str, dict[str, str]] = {}
    for channel in watched.spec.obs:
        path = observation_path(watched, channel.name, orders)
        if path is not None:
            found.setdefault(channel.unit, {})[channel.name] = path
    return found


def command_series(watched: Watched) -> dict[str, str]:
    """The paths of what was sent, and of the first step of each plan, which the supervisor may have changed."""
    plan, names = watched.own_topic("plan"), watched.spec.action_names
    return {f"{name} (sent)": command_path(watched, name) for name in names} | {
        f"{name} (planned)": f"{plan}.data[{i}]" for i, name in enumerate(names)
    }


def belief_series(watched: Watched, entries: Iterable[str]) -> dict[str, str]:
    """The paths of some entries of `~/belief`."""
    return {entry: f"{watched.own_topic('belief')}.data[{BELIEF.index(entry)}]" for entry in entries}


def diagnosis_series(watched: Watched) -> tuple[dict[str, str], dict[str, str]]:
    """The paths of the means of the physical parameters, and of their standard deviations."""
    topic, names = watched.own_topic("diagnosis"), watched.diagnosis_names
    means = {name: f"{topic}.data[{i}]" for i, name in enumerate(names)}
    return means, {f"{name} (std)": f"{topic}.data[{len(names) + i}]" for i, name in enumerate(names)}
