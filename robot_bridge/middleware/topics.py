"""Names of topics as a bridge file gives them."""

from __future__ import annotations

import re

from adaptive_mbrl.errors import ConfigError

_TOPIC = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def require_topic(name: str) -> None:
    """Refuse what is no name of a topic; one that begins with a slash is whole, another is in the node's namespace.

    Raises:
        ConfigError: it is none.
    """
    if not _TOPIC.fullmatch(name):
        raise ConfigError(
            f"key 'topic': got '{name}'; allowed: a name like /joint_states, or like joint_states in the node's namespace"
        )
