"""Which of several nodes has the robot. Each says again and again what it is; no middleware and no threads in here.

A claim has a term and an identity. Whoever takes the robot does so in a new term, one above all that were heard. Between two
nodes that both believe to have the robot the higher term decides, and in the same term the smaller identity. So one of them falls
silent as soon as it hears the other, whichever messages were lost, and a node that wakes up after a takeover lets go.
(Terms are those of leader elections such as Raft; Ongaro and Ousterhout 2014.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

from adaptive_mbrl.errors import BridgeError

ALIVE_SECONDS = 1.0
"""How long a node counts as there after it was last heard [s]."""
KNOWN_SECONDS = 30.0
"""How long a publisher of commands is known to be that of a bridge; DDS believes in one that was killed for ten seconds."""
MOST_CLAIMS = 64
"""Largest number of other nodes whose claims are kept; one robot has far fewer."""
TERM_DIGITS = 18
"""Longest term that a claim may have, as a number of digits."""

GUARD_SUFFIX = "_guard"
"""What the guard's node is called, after the name of the node that it guards."""


class OwnershipError(BridgeError):
    """Somebody else has the robot."""


class Role(Enum):
    """What a node is to the robot."""

    IDLE = "idle"
    """It is configured and does nothing."""
    STANDBY = "standby"
    """It observes, adapts and plans, and takes over when the owner falls silent."""
    CLAIMS = "claims"
    """It wants the robot, and waits whether somebody else has it."""
    OWNS = "owns"
    """It commands the robot."""


@dataclass(frozen=True)
class Claim:
    """What a node says of itself.

    Attributes:
        identity: whose claim it is; unlike any other's.
        node: the node's name, for people and for the graph of publishers.
        role: what it is to the robot.
        term: the term in which it has the robot or had it last.
        is_guarded: whether its commands go through a guard, which goes on when the node dies.
        is_stopped: whether it is in an emergency stop, which nobody must end by taking over.
    """

    identity: str
    node: str
    role: Role = Role.IDLE
    term: int = 0
    is_guarded: bool = False
    is_stopped: bool = False

    @property
    def words(self) -> str:
        """The claim as one line, for a message of text."""
        flags = f"{int(self.is_guarded)}{int(self.is_stopped)}"
        return f"{self.term} {self.role.value} {flags} {self.identity} {self.node}"

    @property
    def publisher(self) -> str:
        """The name of the node that publishes its commands."""
        return f"{self.node}{GUARD_SUFFIX}" if self.is_guarded else self.node

    @classmethod
    def of_words(cls, words: str) -> Claim | None:
        """The claim that `words` gives back; None if the line is no claim."""
        parts = words.split(" ")
        roles = {role.value: role for role in Role}
        if len(parts) != 5 or parts[1] not in roles or parts[2] not in ("00", "01", "10", "11"):
            return None
        term, role, flags, identity, node = parts
        if not term.isdecimal() or len(term) > TERM_DIGITS:
            return None
        return cls(identity, node, roles[role], int(term), flags[0] == "1", flags[1] == "1")

    def beats(self, other: Claim) -> bool:
        """Whether this claim wins against that of another node in the same role."""
        return (-self.term, self.identity) < (-other.term, other.identity)


class Claims:
    """What one node knows of all. The caller guards it with a lock.

    Args:
        own: the node's own claim.

    Attributes:
        own: the node's own claim.
        yielded: how often it lost the robot to another node.
    """

    def __init__(self, own: Claim) -> None:
        self.own, self.yielded = own, 0
        self._heard: dict[str, tuple[Claim, float]] = {}
        self._highest_term = own.term

    def hear(self, claim: Claim, at: float) -> bool:
        """Take over a claim that came at this time, monotonic [s].

        Returns:
            Whether this node must let go of the robot, because another one has it with better right.
        """
        if claim.identity == self.own.identity:
            return False
        self._heard[claim.identity] = claim, at
        self._highest_term = max(self._highest_term, claim.term)
        self._forget_old(at)
        if not (self.own.role is Role.OWNS and claim.role is Role.OWNS and claim.beats(self.own)):
            return False
        self.own, self.yielded = replace(self.own, role=Role.IDLE), self.yielded + 1
        return True

    def become(self, role: Role) -> None:
        """Be something else to the robot."""
        self.own = replace(self.own, role=role, is_stopped=False)

    def stop(self, is_stopped: bool) -> None:
        """Be in an emergency stop, or not any more."""
        self.own = replace(self.own, is_stopped=is_stopped)

    def claim(self) -> None:
        """Want the robot."""
        self.become(Role.CLAIMS)

    def require_won(self, now: float) -> None:
        """Refuse to take the robot while another node has it or has a better claim.

        Raises:
            OwnershipError: there is such a node.
            BridgeError: the claim was given up meanwhile, though nobody else has the robot.
        """
        if self.own.role is not Role.CLAIMS:
            raise BridgeError("cannot activate: the start was ended while it waited whether the robot is free")
        owner = self.owner(now)
        if owner is not None:
            raise OwnershipError(f"node '{owner.node}' has the robot already; stop it, or start this one with --standby")
        rivals = [claim for claim in self.alive(now) if claim.role is Role.CLAIMS and claim.beats(self.own)]
        if rivals:
            raise OwnershipError(f"node '{rivals[0].node}' starts at the same time and gets the robot")

    def take(self) -> None:
        """Have the robot from now on, in a new term."""
        term = 1 + max(self._highest_term, self.own.term)
        self.own = replace(self.own, role=Role.OWNS, term=term, is_stopped=False)

    def alive(self, now: float) -> list[Claim]:
        """The claims of other nodes that are there."""
        return [claim for claim, at in self._heard.values() if now - at <= ALIVE_SECONDS]

    def owner(self, now: float) -> Claim | None:
        """The claim of another node that has the robot; None without one."""
        owners = [claim for claim in self.alive(now) if claim.role is Role.OWNS]
        return min(owners, key=lambda claim: (-claim.term, claim.identity), default=None)

    def last_owner(self) -> tuple[Claim | None, float]:
        """The owner of the newest term, however long silent, and when it was last heard, monotonic [s].

        The result is None and -inf if no owner was heard, or if the newest one has given the robot back.
        """
        last = min(self._heard.values(), key=_newest_owner, default=None)
        if last is None or last[0].role is not Role.OWNS or last[0].term < self.own.term:
            return None, -math.inf
        return last

    def rank(self, now: float) -> int:
        """How many other nodes stand by that take over before this one."""
        return sum(claim.role is Role.STANDBY and claim.identity < self.own.identity for claim in self.alive(now))

    def has_successor(self, now: float) -> bool:
        """Whether another node stands by."""
        return any(claim.role is Role.STANDBY for claim in self.alive(now))

    def known_publishers(self, now: float) -> list[str]:
        """The names of the publishers of commands of all nodes that were heard lately, one for each node."""
        return [claim.publisher for claim, at in self._heard.values() if now - at <= KNOWN_SECONDS]

    def _forget_old(self, now: float) -> None:
        """Keep the newest claims of nodes that were heard lately, and that of the last owner."""
        last = min(self._heard.values(), key=_newest_owner)
        newest = sorted(self._heard.values(), key=lambda heard: -heard[1])[:MOST_CLAIMS]
        kept = [last, *(heard for heard in newest if now - heard[1] <= KNOWN_SECONDS)]
        self._heard = {claim.identity: (claim, at) for claim, at in kept}


def _newest_owner(heard: tuple[Claim, float]) -> tuple[int, bool]:
    """The order of claims in which that of the newest term comes first, and in it that of the owner."""
    return -heard[0].term, heard[0].role is not Role.OWNS
