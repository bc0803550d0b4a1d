"""A control loop whose robot may have other owners: sources of commands with a priority of their own, or another node.

Whoever has the robot, the planner goes on planning and the belief goes on learning, from the commands that were really sent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_bridge.control.loop import ControlLoop
from robot_bridge.ownership.arbiter import Arbiter
from robot_bridge.ownership.claims import Role
from robot_bridge.ownership.config import PLANNER
from robot_bridge.ownership.memory import CommandMemory
from robot_bridge.ownership.ownership import Ownership
from robot_bridge.safety.faults import OF_PLANNER
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import Decision

Array = NDArray[np.float64]


class OwnedLoop(ControlLoop):
    """A `ControlLoop` that asks who has the robot before it sends.

    Args:
        arguments: those of `ControlLoop`.
        arbiter: chooses between the planner and other sources.
        ownership: whether this node has the robot; None where other nodes are only warned of.
        memory: keeps the last command; None for nothing.
        options: those of `ControlLoop`.

    Attributes:
        arbiter: chooses between the planner and other sources.
        ownership: whether this node has the robot; None where other nodes are only warned of.
        takeovers: how often this node took over.
    """

    def __init__(
        self,
        *arguments: Any,
        arbiter: Arbiter,
        ownership: Ownership | None = None,
        memory: CommandMemory | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.arbiter, self.ownership, self._memory = arbiter, ownership, memory
        self.takeovers = 0
        self._stands_by = False
        self._heard: tuple[Array, float] | None = None

    @property
    def is_standby(self) -> bool:
        """Whether the node plans along with another one, which commands the robot."""
        return self._stands_by and self.supervisor.state is State.DRY_RUN

    @property
    def heard_command(self) -> tuple[Array, float] | None:
        """The last command that was heard from another node, (action_dim,), and when, monotonic [s]; None if there was none."""
        return self._heard

    def hear_command(self, command: Array, received: float) -> None:
        """Take note of a command of another node, (action_dim,): while this one stands by, it is what acts on the robot."""
        if np.shape(command) != (self.supervisor.spec.action_dim,) or not np.isfinite(command).all():
            return
        with self._lock:
            self._heard = command, received
            if self.is_standby:
                self._sent.add(received, command)

    def stand_by(self) -> None:
        """Plan along with another node, whose commands are heard, and send nothing."""
        with self._lock:
            self.supervisor.activate(self.clock(), dry_run=True)
            self._stands_by = True
            # what came before may be from a node that died long ago
            self._heard = None

    def take_over(self, *, at_once: bool) -> bool:
        """Command the robot in the place of a node that has fallen silent, and send the first command now.

        Args:
            at_once: whether the plan is followed at once; otherwise the ramp begins with the last command of the other node.

        Returns:
            Whether this node commands now: it was standing by, has heard a command, and has not lost the robot meanwhile.
        """
        with self._lock:
            has_lost = self.ownership is not None and self.ownership.role is not Role.OWNS
            if not self.is_standby or self._heard is None or has_lost:
                return False
            command, received = self._heard
            self._stands_by, self.takeovers = False, self.takeovers + 1
            self.supervisor.deactivate()
            # the time since the last command counts for how far the next one may be from it
            self.supervisor.activate(received, present=command, goes_on=True, at_once=at_once)
            self.arbiter.forget()
            # the plan may be newer than the last tick
            self._others = tuple(dict.fromkeys((*self._others, *self.planning.faults)))
            self._follow(self.planning.action(), 0)
            return True

    def let_go(self) -> None:
        """Send nothing from now on, because another node has the robot; the actuators are not brought to rest."""
        with self._lock:
            self.supervisor.deactivate()
            self.arbiter.forget()
            self._sent.add(self.clock(), None)
            self.on_release()

    def deactivate(self) -> None:
        """Bring the actuators to rest, then send no more commands, and do not stand by any more."""
        self._stands_by = False
        super().deactivate()

    def come_to_rest(self) -> None:
        """Lead the commands to rest as `ControlLoop` does; nobody need go on from them then."""
        commanded = self.supervisor.state not in (State.INACTIVE, State.DRY_RUN)
        super().come_to_rest()
        self.arbiter.forget()
        if commanded and self._memory is not None:
            self._memory.forget()

    def _follow(self, action: Array | None, missed: int) -> Decision:
        choice = self.arbiter.choose(self.clock(), action, self.supervisor.sent)
        if choice.owner == PLANNER:
            return super()._follow(choice.action, missed)
        # what is wrong with plans and with the model that makes them is no fault of somebody else
        self._others = tuple(fault for fault in self._others if fault.kind not in OF_PLANNER)
        return self._decide(choice.action, missed=0, model_error=math.nan)

    def _send(self, command: Array | None) -> None:
        if self.is_standby:
            # what acts on the robot is what the other node sends
            return
        if command is not None and self.ownership is not None and not self.ownership.may_send(self.clock()):
            self.supervisor.take_back()
            command = None
        super()._send(command)
        if command is not None:
            now = self.clock()
            if self.ownership is not None:
                self.ownership.sent(now, is_stopped=self.supervisor.state is State.ESTOP)
            if self._memory is not None:
                self._memory.keep(command, now)
