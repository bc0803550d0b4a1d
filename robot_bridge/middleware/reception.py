"""How messages are taken off the wire, so that neither many nor large ones keep the control loop from its time.

Three rules hold for every topic, whatever comes in:

- Only the newest message is decoded. What it replaces before it could be taken is never looked at.
- A message that is larger than those of its topic should be is refused before it is decoded.
- All messages together get a share of one core. A thread that has used it up rests, while newer messages replace older ones.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from robot_bridge.middleware.health_messages import DynamicJointState
from robot_bridge.middleware.messages import DiagnosticArray, Float64MultiArray, JointState, JointTrajectory, Message

_LOG = logging.getLogger(__name__)
MAX_BYTES = 4096
"""Largest message of a type whose size does not depend on the robot [bytes]: the numbers of any of them, and names of frames."""
MAX_LIST_BYTES = 16384
"""Largest message of a type that holds lists [bytes]: about 400 joints, or 2000 numbers."""
MAX_SAMPLE_BYTES = 1 << 20
"""Beyond this a message is refused before its fragments are put together [bytes]."""
_WITH_LISTS = (JointState, JointTrajectory, Float64MultiArray, DynamicJointState, DiagnosticArray)


def largest(message_type: type[Message]) -> int:
    """The largest message that is taken from a topic if nobody says otherwise [bytes]."""
    return MAX_LIST_BYTES if issubclass(message_type, _WITH_LISTS) else MAX_BYTES


class Reception:
    """Counts what came, by topic.

    Attributes:
        taken: messages that were decoded and passed on.
        refused: messages that were too large, could not be decoded, or whose receiver failed.
    """

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def refuse(self, topic: str, why: str) -> None:
        """Count a message that is not used. The first one of a topic is written into the log of the process."""
        if not self.refused[topic]:
            _LOG.warning("a message of %s was refused: %s; further ones are only counted", topic, why)
        self.refused[topic] += 1

    def counts(self) -> Mapping[str, int]:
        """Messages that were refused, by topic, as a copy."""
        return dict(self.refused)


class Pace:
    """How long a thread rests between messages, so that they take at most a share of one core.

    The time that is not used is saved up to `BURST`, so that messages at an ordinary rate are never waited with.
    """

    SHARE = 0.2
    """Share of one core that messages get."""
    BURST = 4e-3
    """Largest saved processor time [s]."""
    LONGEST_REST = 5e-3
    """Longest rest [s]; what a single message costs beyond that is forgotten."""

    def __init__(self) -> None:
        self._saved, self._at = self.BURST, 0.0

    def rest(self, now: float, used: float) -> float:
        """How long to rest before the next message is taken [s].

        Args:
            now: monotonic time [s].
            used: processor time that the thread has used since the last call [s].
        """
        earned = self.SHARE * max(0.0, now - self._at)
        self._at = now
        owed = self.SHARE * self.LONGEST_REST
        self._saved = max(-owed, min(self.BURST, self._saved + earned) - used)
        return max(0.0, -self._saved / self.SHARE)
