"""Messages of the publisher that a bridge file names; those of all others are dropped, counted and named."""

from __future__ import annotations

from collections import Counter

from robot_bridge.middleware.endpoints import Sender


class Pinned:
    """Accepts the messages of one publisher; for one topic's receiving thread.

    Args:
        publisher: the name of its node, or the beginning of its GUID with at least eight digits.

    Attributes:
        dropped: number of messages of others, by their names.
    """

    def __init__(self, publisher: str) -> None:
        self._publisher = publisher
        self.dropped: Counter[str] = Counter()

    def __call__(self, sender: Sender) -> bool:
        """Whether this is the publisher."""
        if sender.is_called(self._publisher):
            return True
        self.dropped[str(sender)] += 1
        return False

    @property
    def words(self) -> str:
        """Whose messages were dropped, and how many; empty if none were."""
        return ", ".join(f"{number} of {name}" for name, number in sorted(self.dropped.copy().items()))
