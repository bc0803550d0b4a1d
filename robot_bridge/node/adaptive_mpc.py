"""The node `adaptive_mpc` without its middleware: configure -> activate -> deactivate -> clean up, and services.

`commands.py` runs it from the command line, `lifecycle.py` as a lifecycle node of `rclpy`; both only pass calls on. The control
loop runs from configure to clean-up, but it sends commands only between activate and deactivate.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from adaptive_mbrl.errors import AdaptiveMBRLError, BridgeError
from robot_bridge.guard.line import GuardLine
from robot_bridge.middleware.messages import LogLevel, Response, SetBoolRequest, TriggerRequest
from robot_bridge.middleware.transport import Transport
from robot_bridge.node.owning import Start
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.node.running import Running
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import Decision

NODE_NAME = "adaptive_mpc"
FIRST_OBSERVATION_SECONDS = 1.0
"""Longest wait of `activate` for the robot's first observation [s]; without one the node starts in `HOLD`."""
FIRST_DECISION_PERIODS = 3
"""Longest wait of `activate` for what the first control period makes of the robot, such as a fault [control periods]."""


class AdaptiveMpc:
    """The node and its transitions.

    Args:
        transport: the transport of its services; its topics may use another one.
        name: the node's name.
        guard: the line to the guard that commands go through; None without one.
        on_stop: function that is called once the emergency stop is latched, after the safe action was sent, and once the robot
            was given up because somebody else commands it.

    Attributes:
        name: the node's name.
    """

    def __init__(
        self,
        transport: Transport,
        name: str = NODE_NAME,
        guard: GuardLine | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self._guard, self._on_stop = name, guard, on_stop
        self._configured: Running | None = None
        self._dry_run = self._standby = False
        self._estop_latched = False
        # configure and clean-up may be called from different threads, but must not run at the same time
        self._configuring = threading.Lock()
        # no checkpoint is taken up while the node activates
        self._switching = threading.Lock()
        # whoever ends a start that is under way counts up; the lock is held for the moment in which the robot is taken
        self._starting, self._ended_starts = threading.Lock(), 0
        self._log = partial(transport.log, name)
        triggers: dict[str, Callable[[], str]] = {
            "estop": self.estop,
            "clear_estop": self.clear_estop,
            "override": self.override,
            "reset_belief": self.reset_belief,
            "reload": self.reload,
        }
        for service, act in triggers.items():
            transport.serve(f"/{name}/{service}", TriggerRequest, partial(_trigger, act))
        transport.serve(f"/{name}/freeze_adaptation", SetBoolRequest, self._freeze)

    @property
    def state(self) -> State:
        """The safety supervisor's state; before configure it is `INACTIVE` or `ESTOP`."""
        if self._configured is not None:
            return self._configured.loop.supervisor.state
        return State.ESTOP if self._estop_latched else State.INACTIVE

    @property
    def state_in_words(self) -> str:
        """The state, and why the robot is held if it is."""
        if self._configured is None or self.state is not State.HOLD:
            return self.state.value
        return f"{State.HOLD.value}: {'; '.join(self._configured.loop.supervisor.hold_reasons)}"

    @property
    def knows_where_to_start(self) -> bool:
        """Whether commands have a starting point; false only for position commands while the joints are not observed."""
        present = self._running().present()
        return present is None or bool(np.isfinite(present).all())

    def configure(
        self, parameters: NodeParameters, transport: Transport, preflight_transport: Transport | None = None
    ) -> tuple[str, ...]:
        """Load the checkpoint, check the robot, warm up the planner, connect to the robot's topics.

        Args:
            parameters: the node's parameters.
            transport: the transport of the robot's topics.
            preflight_transport: a transport that the preflight listens on, needed if `transport` receives nothing before this
                method returns.

        Returns:
            Lines for the user: the result of the preflight, if there was one, and how long plans take here.

        Raises:
            AdaptiveMBRLError: a file is wrong, or the robot is not as the file says; nothing runs then.
        """
        with self._configuring:
            self._dry_run, self._standby = parameters.dry_run, parameters.standby
            keep = partial(setattr, self, "_configured")
            running = Running(parameters, transport, preflight_transport or transport, self.name, self._guard, keep)
            if running.owning is not None:
                running.owning.on_lost = self._on_stop
            if self._estop_latched:
                running.loop.estop()
            return tuple(filter(None, (running.preflight, running.timing(), *running.realtime)))

    def activate(self) -> None:
        """Start to control once the robot is observed, or after `FIRST_OBSERVATION_SECONDS` at the latest.

        If the bridge file says so, a checkpoint that has come in the place of the one in use is taken up first.

        Raises:
            BridgeError: there is an emergency stop, the node is active already, it does not know where the joints are, or
                somebody else has the robot.
        """
        running = self._running()
        if running.config.newest_at_activate and self.state is State.INACTIVE:
            try:
                self._log(LogLevel.INFO, self.reload())
            except BridgeError as error:
                self._log(LogLevel.WARN, str(error))
        if not self._switching.acquire(blocking=False):
            raise BridgeError("cannot activate: another checkpoint is being taken up, or the node is activating")
        try:
            self._activate(running)
        finally:
            self._switching.release()

    def _activate(self, running: Running) -> None:
        loop, ended = running.loop, self._ended_starts
        # whoever starts the robot is taken to have checked the clocks, so the shortest delays are measured anew
        loop.inputs.forget_delays()
        # right after configure no message may have arrived yet, and the robot would start with a hold
        until = time.monotonic() + FIRST_OBSERVATION_SECONDS
        while self.state is State.INACTIVE and time.monotonic() < until and not loop.has_usable_observation():
            time.sleep(FIRST_OBSERVATION_SECONDS / 100)
        if self.state is not State.INACTIVE:
            advice = "; call clear_estop first" if self.state is State.ESTOP else ""
            raise BridgeError(f"cannot activate in state '{self.state.value}'{advice}")
        if self._standby and running.owning is not None:
            with self._starting:
                self._require_not_ended(ended)
                gc.freeze()
                running.owning.stand_by()
            return
        if running.owning is not None:
            running.owning.require_free()
        before = loop.decision
        try:
            self._take(running, ended)
        except BaseException:
            # a node that does not command must not say that it has the robot
            if running.owning is not None:
                running.owning.release()
            raise
        until = time.monotonic() + FIRST_DECISION_PERIODS * loop.dt
        # whoever activates is told of a fault at once
        while time.monotonic() < until and not _has_decided(loop.decision, before):
            time.sleep(loop.dt / 20)
        if loop.supervisor.state is State.ESTOP:
            if running.owning is not None and (loop.decision is None or loop.decision.command is None):
                # it came before the first command; otherwise the safe action goes on
                running.owning.release()
            raise BridgeError("cannot activate: an emergency stop came meanwhile")
        self._require_not_ended(ended)

    def _take(self, running: Running, ended: int) -> None:
        """Have the robot and begin to command, unless the start was ended meanwhile.

        Args:
            running: the node's parts.
            ended: number of starts that had been ended when this one began.

        Raises:
            BridgeError: it was ended, or it is not known where the joints are.
        """
        with self._starting:
            self._require_not_ended(ended)
            # looked at only now, because finding out whether the robot is free takes longer than a position stays true
            present = running.present()
            start = Start(present) if running.owning is None else running.owning.start(present)
            if present is not None and (start.present is None or not np.isfinite(start.present).all()):
                raise BridgeError("cannot activate: where the joints are is not observed")
            # a full garbage collection takes 40-300 ms once torch is loaded; without the objects that exist now, less than 1 ms
            gc.freeze()
            if running.owning is not None:
                running.owning.take()
            running.loop.activate(dry_run=self._dry_run, **start._asdict())

    def _require_not_ended(self, ended: int) -> None:
        if ended != self._ended_starts:
            raise BridgeError("cannot activate: the node was deactivated meanwhile")
        if self.state is State.ESTOP:
            raise BridgeError("cannot activate: an emergency stop came meanwhile")

    def _end_start(self) -> None:
        """A start that is under way must not command the robot any more."""
        with self._starting:
            self._ended_starts += 1

    def deactivate(self) -> None:
        """Bring the actuators to rest, then send nothing. In an emergency stop nothing changes: its safe action goes on."""
        running = self._running()
        self._end_start()
        if self.state is State.ESTOP:
            return
        running.loop.deactivate()
        self._collect_garbage()

    def clean_up(self) -> str:
        """Bring the actuators to rest and free everything that configure made.

        Returns:
            A line about the recording; empty without one.
        """
        with self._configuring:
            if self._configured is None:
                return ""
            recorded = self._configured.close()
            self._configured = None
            self._collect_garbage()
            return recorded

    def estop(self) -> str:
        """Latch the emergency stop."""
        self._estop_latched = True
        if self._configured is not None:
            self._configured.loop.estop()
        self._on_stop()
        return self.state.value

    def clear_estop(self) -> str:
        """End an emergency stop; no command is sent before the next `activate`."""
        if self.state is not State.ESTOP:
            raise BridgeError(f"there is no emergency stop, state '{self.state.value}'")
        # an emergency stop ends a start by itself as long as it is latched
        self._end_start()
        self._estop_latched = False
        if self._configured is not None:
            self._configured.loop.clear_estop()
            self._collect_garbage()
        return self.state.value

    def override(self) -> str:
        """A person decides to go on in spite of the faults that are only warned of for now.

        Raises:
            BridgeError: there are no such faults.
        """
        overridden = self._running().loop.override()
        if not overridden:
            raise BridgeError("no fault is waiting for a decision")
        return f"goes on in spite of {', '.join(overridden)}"

    def reload(self) -> str:
        """Take up the checkpoint that has come in the place of the one in use; only while the node controls nothing.

        Returns:
            A line that says which checkpoint is in use now.

        Raises:
            BridgeError: the robot is controlled, or the new checkpoint cannot be used; the old one stays in use then.
        """
        self._running()
        if not self._switching.acquire(blocking=False):
            raise BridgeError("cannot reload: the node is activating, or takes up a checkpoint already")
        try:
            with self._configuring:
                running = self._running()
                if self.state is not State.INACTIVE:
                    first = "clear_estop" if self.state is State.ESTOP else "deactivate"
                    raise BridgeError(f"cannot reload in state '{self.state.value}'; call {first} first")
                return running.reload()
        except BridgeError:
            raise
        except (AdaptiveMBRLError, OSError, RuntimeError) as error:
            # a training may also remove the folder meanwhile, or a GPU may have no room for it
            raise BridgeError(f"the checkpoint in use stays: {error}") from error
        finally:
            self._switching.release()

    def reset_belief(self) -> str:
        """Let the next plan start with the prior again."""
        self._running().loop.planning.reset_belief()
        return "the next plan begins with the prior"

    def freeze(self, frozen: bool) -> str:
        """Freeze the belief, or let it adapt again."""
        self._running().loop.planning.freeze(frozen)
        return "the belief stays as it is" if frozen else "the belief adapts"

    def report(self) -> str:
        """A line about what happened so far and what is wrong now."""
        return self._running().report()

    def _freeze(self, request: SetBoolRequest) -> Response:
        return _respond(lambda: self.freeze(request.data))

    def _running(self) -> Running:
        if self._configured is None:
            raise BridgeError("the node is not configured")
        return self._configured

    @staticmethod
    def _collect_garbage() -> None:
        gc.unfreeze()
        gc.collect()


def _has_decided(decision: Decision | None, before: Decision | None) -> bool:
    """Whether a decision was made after the activation that followed another one."""
    return decision is not None and decision is not before and decision.state is not State.INACTIVE


def _trigger(act: Callable[[], str], request: TriggerRequest) -> Response:
    return _respond(act)


def _respond(act: Callable[[], str]) -> Response:
    try:
        return Response(True, act())
    except BridgeError as error:
        return Response(False, str(error))
