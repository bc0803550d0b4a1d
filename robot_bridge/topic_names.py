"""Topics and nodes of a bridge file that are in the node's namespace, so that one file serves several robots."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import BridgeConfig, GoalInput, OperatorInput, OutputConfig, TopicConfig
from robot_bridge.control.pause_config import ContactCondition
from robot_bridge.ownership.config import CommandSource
from robot_bridge.safety.monitor_config import MonitorConfig

TopicT = TypeVar("TopicT", TopicConfig, OutputConfig, GoalInput, OperatorInput, MonitorConfig, CommandSource, ContactCondition)
_GUID = re.compile(r"[0-9a-fA-F.:-]{8,}")
_NAMESPACE = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def with_whole_names(config: BridgeConfig, resolve: Callable[[str], str]) -> BridgeConfig:
    """A bridge file whose topics and nodes all have whole names.

    Args:
        config: the bridge file.
        resolve: gives the whole name of a topic, as a `Transport` does.

    Raises:
        ConfigError: two topics that must differ are one.
    """
    goal, operator, ownership, pause = config.goal, config.operator, config.ownership, config.adaptation.pause_when
    sources = {} if ownership is None else {name: _whole(source, resolve) for name, source in ownership.sources.items()}
    publishers = () if ownership is None else tuple(whole_node(name, resolve) for name in ownership.publishers)
    contact = {name: _whole(condition, resolve) for name, condition in pause.contact.items()}
    return replace(
        config,
        inputs={name: _pinned(_whole(topic, resolve), resolve) for name, topic in config.inputs.items()},
        output=_whole(config.output, resolve),
        goal=None if goal is None else _whole(goal, resolve),
        operator=None if operator is None else _whole(operator, resolve),
        monitors={name: _whole(monitor, resolve) for name, monitor in config.monitors.items()},
        ownership=None if ownership is None else replace(ownership, sources=sources, publishers=publishers),
        adaptation=replace(config.adaptation, pause_when=replace(pause, contact=contact)),
    )


def _whole(about: TopicT, resolve: Callable[[str], str]) -> TopicT:
    """The same about the whole name of its topic; what is about a channel has no topic."""
    return replace(about, topic=resolve(about.topic)) if about.topic else about


def _pinned(topic: TopicConfig, resolve: Callable[[str], str]) -> TopicConfig:
    return replace(topic, publisher=whole_node(topic.publisher, resolve)) if topic.publisher else topic


def whole_node(name: str, resolve: Callable[[str], str]) -> str:
    """The whole name of a node; the beginning of a GUID stays as it is.

    Args:
        name: the name of a node, or the beginning of a GUID.
        resolve: gives the whole name of a topic, as a `Transport` does.
    """
    is_name = _NAMESPACE.fullmatch(name) and not _GUID.fullmatch(name)
    return resolve(name) if is_name else name


def in_namespace(namespace: str, name: str) -> str:
    """The whole name of a topic or service; one that begins with a slash is whole already.

    Args:
        namespace: the namespace, with or without a slash at the beginning; empty for none.
        name: the name, e.g. ``joint_states``.
    """
    return name if name.startswith("/") else "/".join(("", *filter(None, (namespace.strip("/"), name))))


def namespace_of(node: str) -> str:
    """The namespace in a node's name, e.g. ``robot_1`` for ``robot_1/adaptive_mpc``; empty if there is none."""
    return node.strip("/").rpartition("/")[0]


def require_namespace(namespace: str) -> None:
    """Refuse what cannot be a namespace; an empty one is none."""
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise ConfigError(f"--namespace: got '{namespace}'; allowed: letters, digits and _, like robot_1 or fleet/robot_1")
