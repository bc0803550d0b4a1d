"""A node's part in who has the robot: it says what it is, hears what the others are, and knows whether it may send commands.

A node that has the robot says so with each of its commands. So it is silent exactly when it does not command, and one that stands
by hears from both.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence

from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Message, String
from robot_bridge.middleware.transport import Transport
from robot_bridge.ownership.claims import ALIVE_SECONDS, Claim, Claims, Role
from robot_bridge.ownership.config import OwnershipConfig
from robot_bridge.ownership.strangers import Strangers

CLAIM_SECONDS = 1.5
"""How long a node that wants the robot waits for somebody who has it [s]; DDS needs up to a second to find all others."""
SAY_EVERY = 0.1
"""Time between two claims of a node that does not command the robot [s]."""


def own_claim(node: str, *, is_guarded: bool) -> Claim:
    """The claim of this process. Identities are in the order of their starts, so that the older one of two nodes wins."""
    return Claim(f"{time.time_ns():020d}-{secrets.token_hex(4)}", node.replace(" ", "_"), is_guarded=is_guarded)


class Ownership:
    """Decides whether this node has the robot. All methods may be called from any thread.

    Args:
        config: the bridge file's part about it, with a mode in which nobody else may publish commands.
        output: the topic of commands; claims are exchanged on the topic `owner` below it.
        dt: control period [s].
        transport: the transport of the claims.
        claim: the node's own claim.
        clock: monotonic time [s].

    Attributes:
        config: the bridge file's part about it.
        strangers: those who publish commands without being allowed to.
        let_go: called when another node has the robot with better right; it must stop all commands at once.
        held_back: number of commands that were not sent, because another node may have had the robot.
        stands_by_since: when this node began to stand by, monotonic [s]; infinite if it never did.
    """

    def __init__(
        self,
        config: OwnershipConfig,
        output: str,
        dt: float,
        transport: Transport,
        claim: Claim,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self._dt, self._clock = config, dt, clock
        self.strangers = Strangers(config.publishers)
        self.let_go: Callable[[], None] = lambda: None
        self.held_back = 0
        self._claims, self._lock = Claims(claim), threading.Lock()
        self._said = self._listening_until = -math.inf
        self.stands_by_since = math.inf
        self._has_successor = False
        self._publish = transport.publisher(f"{output}/owner", String)
        transport.subscribe(f"{output}/owner", String, self.hear, reliable=True)

    @property
    def role(self) -> Role:
        """What this node is to the robot."""
        return self._claims.own.role

    @property
    def yielded(self) -> int:
        """How often this node lost the robot to another one."""
        return self._claims.yielded

    def hear(self, message: Message, received: float) -> None:
        """Take over the claim of another node."""
        claim = Claim.of_words(message.data) if isinstance(message, String) else None
        if claim is None:
            return
        with self._lock:
            must_let_go = self._claims.hear(claim, received)
        if must_let_go:
            self.let_go()

    def say(self) -> None:
        """Say what this node is, unless its commands say so; to be called every `SAY_EVERY` seconds."""
        if self.role is not Role.OWNS:
            self._say()

    def require_free(self, wait: Callable[[float], object] = time.sleep) -> None:
        """Claim the robot, and wait whether anybody has it.

        Args:
            wait: waits for so many seconds.

        Raises:
            OwnershipError: another node has the robot, or somebody publishes commands who may not.
            BridgeError: the node was deactivated meanwhile.
        """
        with self._lock:
            self._claims.claim()
        try:
            until = self._clock() + CLAIM_SECONDS
            while self._clock() < until:
                self._say()
                wait(SAY_EVERY)
                with self._lock:
                    self._claims.require_won(self._clock())
            self.strangers.require_none(self._clock())
        except BaseException:
            # a claim that is left behind would refuse all others
            self.release()
            raise

    def take(self) -> None:
        """Have the robot from now on, and say so."""
        with self._lock:
            self._claims.take()
            self._said = self._clock()
        self._say()

    def release(self) -> None:
        """Do not have the robot any more; a node that stands by does not take over then."""
        self._become(Role.IDLE)

    def stand_by(self, since: float | None = None) -> None:
        """Wait for the owner to fall silent; `since` is when that began, monotonic [s], None for now."""
        self.stands_by_since = self._clock() if since is None else since
        self._become(Role.STANDBY)

    def may_send(self, now: float) -> bool:
        """Whether a command may be sent at `now`, monotonic [s].

        A node that has been silent for so long that one that stands by may have taken over listens for a control period first. So
        does one that has been silent for so long that it does not know any more whether one stands by.
        """
        with self._lock:
            if self._claims.own.role is not Role.OWNS:
                self.held_back += 1
                return False
            periods = self.config.takeover_periods * self._dt if self._has_successor else max(ALIVE_SECONDS, 2 * self._dt)
            if now - self._said > periods:
                self._said, self._listening_until = now, now + self._dt
            is_listening = now < self._listening_until
            self.held_back += is_listening
            return not is_listening

    def sent(self, now: float, *, is_stopped: bool = False) -> None:
        """A command was sent: say that this node has the robot.

        Args:
            now: monotonic time [s].
            is_stopped: whether it was sent in an emergency stop.
        """
        with self._lock:
            self._said, self._has_successor = now, self._claims.has_successor(now)
            self._claims.stop(is_stopped)
        self._say()

    def last_owner(self) -> tuple[Claim | None, float]:
        """The last owner beside this node, and when it was last heard, monotonic [s]."""
        with self._lock:
            return self._claims.last_owner()

    def rank(self, now: float) -> int:
        """How many other nodes take over before this one."""
        with self._lock:
            return self._claims.rank(now)

    def look(self, publishers: Sequence[Sender], now: float) -> None:
        """Look who publishes commands beside this node."""
        with self._lock:
            known = self._claims.known_publishers(now)
        self.strangers.look(publishers, known, now)

    def owner_words(self, now: float) -> str:
        """Which node has the robot, in words."""
        if self.role is Role.OWNS:
            return "this node"
        with self._lock:
            owner = self._claims.owner(now)
        return "nobody" if owner is None else f"another node, '{owner.node}'"

    def _become(self, role: Role) -> None:
        with self._lock:
            self._claims.become(role)
        self._say()

    def _say(self) -> None:
        self._publish(String(self._claims.own.words))
