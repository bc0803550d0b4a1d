"""A configured node's part in who has the robot: sources of commands, other nodes, standing by, where a start goes on from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.control.outputs import command_row
from robot_bridge.control.owned_loop import OwnedLoop
from robot_bridge.control.shared_topics import SharedTopics
from robot_bridge.machine.judgement import ERROR, OK
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import MESSAGES, DiagnosticStatus, KeyValue, LogLevel, Message, String
from robot_bridge.middleware.transport import Transport
from robot_bridge.ownership.arbiter import Arbiter
from robot_bridge.ownership.claims import ALIVE_SECONDS, Role
from robot_bridge.ownership.config import OwnershipConfig
from robot_bridge.ownership.memory import CommandMemory, memory_path
from robot_bridge.ownership.ownership import SAY_EVERY, Ownership, own_claim
from robot_bridge.ownership.present import PresentReader, moves_fast
from robot_bridge.ownership.standby import Standby
from robot_bridge.safety.states import CONTROLLED, State
from robot_bridge.safety.supervisor import SafetySupervisor, TrainingRange

Array = NDArray[np.float64]
Log = Callable[[LogLevel, str], None]


class Start(NamedTuple):
    """Where a start goes on from; the fields are arguments of `SafetySupervisor.activate`."""

    present: Array | None
    goes_on: bool = False
    at_once: bool = False


class Owning:
    """Made in configure, before the control loop, which `attach` gives it.

    Args:
        config: the bridge file, with a part `ownership`.
        supervisor: the safety supervisor.
        training: what the checkpoint was trained on.
        transport: the transport of commands and claims.
        name: the node's name.
        log: writes a line into the log.
        is_guarded: whether commands go through a guard.
        stands_by: whether the node is meant to stand by.

    Attributes:
        on_lost: called after the robot was given up, because another node or a stranger commands it.
    """

    def __init__(
        self,
        config: BridgeConfig,
        supervisor: SafetySupervisor,
        training: TrainingRange,
        transport: Transport,
        name: str,
        log: Log,
        *,
        is_guarded: bool = False,
        stands_by: bool = False,
    ) -> None:
        self._config, self._own = config, config.ownership or OwnershipConfig()
        self._supervisor, self._training, self._log, self.name = supervisor, training, log, name
        self.spec = spec = supervisor.spec
        self._command = command_row(spec, config.output)
        self.arbiter = Arbiter(self._own.sources, self._own.priority, spec.action_dim, config.safety.ramp_seconds)
        kept = memory_path(self._own.memory, config.output.topic) if self._own.memory else None
        self.memory = None if kept is None else CommandMemory(kept, spec.action_dim)
        topics = {key: (each.topic, each.message_type) for key, each in config.inputs.items()}
        shared = SharedTopics(config, transport, transport)
        self._present = PresentReader(self._own.present, topics, spec.action_names, config.safety.max_age, shared)
        self.ownership: Ownership | None = None
        if self._own.is_exclusive:
            claim = own_claim(name, is_guarded=is_guarded)
            self.ownership = Ownership(self._own, config.output.topic, spec.dt, transport, claim)
        self._publish = transport.publisher(f"/{name}/owner", String)
        self._stands_by, self._transport = stands_by, transport
        self._loop: OwnedLoop | None = None
        self._told = ""
        self.on_lost: Callable[[], None] = lambda: None

    def attach(self, loop: OwnedLoop) -> None:
        """From now on commands of others go to this loop."""
        self._loop, kind = loop, MESSAGES[self._config.output.type]
        most = self._config.largest(kind)
        if self.ownership is not None:
            self.ownership.let_go = self._let_go
        for source, each in self._own.sources.items():
            self._transport.subscribe(each.topic, kind, partial(self._hear_source, source), max_bytes=most)
        if self._stands_by:
            self._transport.subscribe(self._config.output.topic, kind, self._hear_command, reliable=True, max_bytes=most)

    def trained_on(self, training: TrainingRange) -> None:
        """From now on the controller's training data are like this."""
        self._training = training

    @property
    def loop_options(self) -> dict[str, Any]:
        """What the loop is made with beside the arguments of a `ControlLoop`."""
        return {"arbiter": self.arbiter, "ownership": self.ownership, "memory": self.memory}

    def require_free(self) -> None:
        """Claim the robot; takes over a second where nobody else may command it.

        Raises:
            OwnershipError: somebody has the robot.
        """
        if self.ownership is not None:
            self.ownership.require_free()

    def take(self) -> None:
        """Have the robot from now on."""
        if self.ownership is not None:
            self.ownership.take()

    def release(self) -> None:
        """Do not have the robot any more."""
        is_standby = self._loop is not None and self._loop.is_standby
        if self.ownership is not None and not (self.ownership.role is Role.STANDBY and is_standby):
            self.ownership.release()

    def stand_by(self) -> None:
        """Plan along with the node that has the robot, and wait for it to fall silent."""
        if self._loop is not None and self.ownership is not None:
            self._told = ""
            self._loop.stand_by()
            self.ownership.stand_by()

    def start(self, positions: Array | None) -> Start:
        """Where a start goes on from: from the command that the actuators obey, and from `positions` where that is not known."""
        present = self._present()
        if present is None and self.memory is not None:
            present = self.memory.last(time.monotonic(), self._own.memory_seconds)
        if present is None:
            return Start(positions)
        if positions is not None:
            present = np.where(np.isfinite(present), present, positions)
        return Start(present, True, self._moves_fast())

    def run(self, stop: threading.Event, publishers: Callable[[str], Sequence[Sender]]) -> None:
        """Say what this node is, and look who else publishes commands, until `stop` is set."""
        while self.ownership is not None and not stop.wait(SAY_EVERY):
            try:
                self.ownership.say()
                self._look(self.ownership, publishers(self._config.output.topic))
            except Exception as error:
                self._log(LogLevel.WARN, f"who has the robot is not known: {type(error).__name__}: {error}")

    def others(self, publishers: Sequence[Sender]) -> int:
        """How many other publishers of commands are neither bridges that exchange claims nor allowed by the bridge file."""
        if self.ownership is not None:
            return self.ownership.strangers.number
        allowed = self._own.publishers
        return sum(not any(sender.is_called(name) for name in allowed) for sender in publishers)

    def run_standby(self, stop: threading.Event) -> None:
        """Watch the node that has the robot until `stop` is set, and take over when it falls silent."""
        if self._stands_by and self.ownership is not None:
            Standby(self._owner_heard, self._patience, self.spec.dt, self._take_over, failed=self._standby_failed).run(stop)

    def close(self) -> None:
        """Close the file of the last command; to be called after the control loop has ended."""
        if self.memory is not None:
            self.memory.close()

    def publish(self) -> None:
        """Publish `~/owner`."""
        self._publish(String(self.owner))

    @property
    def owner(self) -> str:
        """Who has the robot: a source of commands, `another node, 'NAME'`, or `nobody`."""
        if self.ownership is not None and self.ownership.role is not Role.OWNS:
            return self.ownership.owner_words(time.monotonic())
        is_off = self._supervisor.state in (State.INACTIVE, State.DRY_RUN)
        return "nobody" if is_off else self.arbiter.owner

    def status(self) -> DiagnosticStatus:
        """The part of `/diagnostics` about the owner."""
        own = self.ownership
        values: dict[str, object] = {"owner": self.owner, "changes of the owner": self.arbiter.changes}
        values |= {f"refused of {name}": number for name, number in self.arbiter.refused.items()}
        words = ""
        if own is not None:
            values |= {"role": own.role.value, "yielded": own.yielded, "commands held back": own.held_back}
            words = own.strangers.words
        if self._loop is not None:
            values["takeovers"] = self._loop.takeovers
        pairs = [KeyValue(key, str(value)) for key, value in values.items()]
        level = ERROR if words else OK
        return DiagnosticStatus(level, f"{self.name}: ownership", words or self.owner, self.spec.name, pairs)

    def _let_go(self) -> None:
        if self._loop is not None:
            self._loop.let_go()
            self._log(LogLevel.ERROR, "another node has taken the robot; this one sends nothing any more")
            if self._stands_by:
                self.stand_by()
            self.on_lost()

    def _look(self, ownership: Ownership, publishers: Sequence[Sender]) -> None:
        ownership.look(publishers, time.monotonic())
        words, loop = ownership.strangers.words, self._loop
        is_controlled = loop is not None and loop.supervisor.state in CONTROLLED
        if ownership.role is not Role.OWNS and is_controlled:
            # the robot was lost between the claim and the start, or while this node took over
            self._let_go()
        if words and loop is not None and ownership.role is Role.OWNS and loop.supervisor.state is not State.ESTOP:
            self._log(LogLevel.ERROR, f"the robot is brought to rest: {words}")
            loop.deactivate()
            self.on_lost()

    def _hear_source(self, source: str, message: Message, received: float) -> None:
        self.arbiter.hear(source, np.array(self._command(message)), received)

    def _hear_command(self, message: Message, received: float) -> None:
        if self._loop is not None:
            self._loop.hear_command(np.array(self._command(message)), received)

    def _moves_fast(self) -> bool:
        if self._loop is None:
            return False
        observed = self._loop.inputs.snapshot()
        fresh = self._supervisor.is_fresh(time.monotonic(), observed)
        is_velocity = [channel.kind == "velocity" for channel in self.spec.obs]
        values = np.where(fresh, observed.values, np.nan)[is_velocity]
        return moves_fast(values, self._training.std[is_velocity], self._own.fast)

    def _owner_heard(self) -> float:
        """When the owner was last heard, by its claims or its commands; -inf where there is none, or where a guard goes on."""
        if self.ownership is None or self._loop is None:
            return -np.inf
        owner, at = self.ownership.last_owner()
        command = self._loop.heard_command
        if owner is None or owner.is_guarded or command is None or not self._loop.is_standby:
            return -np.inf
        if at < self.ownership.stands_by_since:
            # it may have died long ago, and the robot may obey something else by now
            return -np.inf
        if owner.is_stopped:
            self._tell(f"node '{owner.node}' is in an emergency stop; this one does not take over from it")
            return -np.inf
        return max(at, command[1])

    def _patience(self) -> float:
        rank = 0 if self.ownership is None else self.ownership.rank(time.monotonic())
        return (self._own.takeover_periods + rank) * self.spec.dt

    def _take_over(self) -> None:
        loop, ownership = self._loop, self.ownership
        if loop is None or ownership is None or not loop.is_standby:
            return
        owner, _ = ownership.last_owner()
        silent = f"node '{'?' if owner is None else owner.node}' has fallen silent"
        command, at_once = loop.heard_command, self._moves_fast()
        if command is None or time.monotonic() - command[1] > ALIVE_SECONDS + self._patience():
            self._tell(f"{silent}, and its last command is too old to go on from; this one does not take over")
            return
        since = ownership.stands_by_since
        ownership.take()
        try:
            if loop.take_over(at_once=at_once):
                self._log(LogLevel.ERROR, f"{silent}; this one takes over")
        finally:
            # a node that does not command must not say that it has the robot
            if loop.is_standby:
                ownership.stand_by(since)
            elif loop.supervisor.state not in CONTROLLED:
                ownership.release()

    def _standby_failed(self, error: Exception) -> None:
        self._tell(f"the node that has the robot cannot be watched: {type(error).__name__}: {error}")

    def _tell(self, words: str) -> None:
        """Write a line into the log, unless it is the one that was written last."""
        if words != self._told:
            self._told = words
            self._log(LogLevel.ERROR, words)
