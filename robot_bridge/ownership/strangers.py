"""Those who publish commands to the robot and may not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robot_bridge.middleware.endpoints import Sender
from robot_bridge.ownership.claims import OwnershipError

GRACE_SECONDS = 1.0
"""How long a publisher may be there before its first claim has come that says that it is a bridge, too [s]."""


class Strangers:
    """Finds them in the graph of publishers. A bridge that claims or stands by publishes commands, too, and is none of them.

    Args:
        allowed: names of nodes, or beginnings of GUIDs, that may publish commands.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = allowed
        self._present: list[Sender] = []
        self._since = math.inf
        self._now = -math.inf

    def look(self, publishers: Sequence[Sender], known_nodes: Sequence[str], now: float) -> None:
        """Look at all other publishers of commands.

        Args:
            publishers: who they are.
            known_nodes: the names of bridges that were heard lately, one entry for each of them.
            now: monotonic time [s].
        """
        present = [sender for sender in publishers if not any(sender.is_called(name) for name in self._allowed)]
        for node in known_nodes:
            # under its own name, or where the middleware tells no names under none
            found = next((sender for sender in present if sender.node == node), None)
            found = found or next((sender for sender in present if not sender.node), None)
            if found is not None:
                present.remove(found)
        self._since = (self._since if self._present else now) if present else math.inf
        self._present, self._now = present, now

    @property
    def present(self) -> tuple[str, ...]:
        """Their names, once they have been there for longer than `GRACE_SECONDS`."""
        return tuple(map(str, self._present)) if self._now - self._since >= GRACE_SECONDS else ()

    def require_none(self) -> None:
        """Refuse to command beside them.

        Raises:
            OwnershipError: there are some.
        """
        if self.present:
            raise OwnershipError(self.words)

    @property
    def words(self) -> str:
        """Who they are, and what can be done; empty without any."""
        if not self.present:
            return ""
        return (
            f"{', '.join(self.present)} publishes commands to this robot, too; stop it, or list it under 'ownership.publishers'"
        )
