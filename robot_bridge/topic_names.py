"""Topics of a bridge file that are in the node's namespace, so that one file serves several robots."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import BridgeConfig

_NAMESPACE = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def with_whole_names(config: BridgeConfig, resolve: Callable[[str], str]) -> BridgeConfig:
    """A bridge file whose topics all have whole names.

    Args:
        config: the bridge file.
        resolve: gives the whole name of a topic, as a `Transport` does.

    Raises:
        ConfigError: two topics that must differ are one.
    """
    goal, operator = config.goal, config.operator
    return replace(
        config,
        inputs={name: replace(topic, topic=resolve(topic.topic)) for name, topic in config.inputs.items()},
        output=replace(config.output, topic=resolve(config.output.topic)),
        goal=None if goal is None else replace(goal, topic=resolve(goal.topic)),
        operator=None if operator is None else replace(operator, topic=resolve(operator.topic)),
    )


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
