"""Those who publish commands to the robot and may not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robot_bridge.middleware.endpoints import Sender
from robot_bridge.ownership.claims import GUARD_SUFFIX, OwnershipError

GRACE_SECONDS = 1.0
"""How long a publisher may be there before its first claim has come that says that it is a bridge, too [s]."""

LOOK_SECONDS = 1.0
"""How old the last look may be where nobody may command beside this bridge [s]."""


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

    def look(self, publishers: Sequence[Sender], known: Sequence[str], now: float) -> None:
        """Look at all other publishers of commands.

        Args:
            publishers: who they are.
            known: the names of the publishers of bridges that were heard lately, one entry for each of them.
            now: monotonic time [s].
        """
        present = [sender for sender in publishers if not any(sender.is_called(name) for name in self._allowed)]
        for name in known:
            # a node whose guard has died publishes itself, and where the middleware tells no names a bridge has none
            names = name, name.removesuffix(GUARD_SUFFIX), ""
            found = next((sender for each in names for sender in present if sender.node == each), None)
            if found is not None:
                present.remove(found)
        self._since = (self._since if self._present else now) if present else math.inf
        self._present, self._now = present, now

    @property
    def number(self) -> int:
        """How many there are, also those that have only just come."""
        return len(self._present)

    @property
    def present(self) -> tuple[str, ...]:
        """Their names, once they have been there for longer than `GRACE_SECONDS`."""
        return tuple(map(str, self._present)) if self._now - self._since >= GRACE_SECONDS else ()

    def require_none(self, now: float) -> None:
        """Refuse to command beside them, or where nobody has looked lately whether there are some.

        Raises:
            OwnershipError: there are some, or it is not known.
        """
        if not 0 <= now - self._now <= LOOK_SECONDS:
            raise OwnershipError(f"who publishes commands to this robot was not seen in the last {LOOK_SECONDS:g} s; see the log")
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
