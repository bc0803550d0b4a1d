"""The parts of the node that exist from configure to clean-up."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.controller import AdaptiveController, Command
from adaptive_mbrl.errors import BridgeError
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.bags.recording_transport import RecordingTransport
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.control.adaptation_pause import AdaptationPause
from robot_bridge.control.belief_watch import BeliefWatch
from robot_bridge.control.inputs import GoalReader, Inputs, OperatorReader
from robot_bridge.control.loop import ControlLoop
from robot_bridge.control.outputs import command_sender, present_positions
from robot_bridge.control.owned_loop import OwnedLoop
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.control.shared_topics import SharedTopics
from robot_bridge.control.warm_up import lead_for, warm_up
from robot_bridge.guard.guarded_transport import GuardedTransport
from robot_bridge.guard.line import GuardLine
from robot_bridge.machine.realtime import CONTROL_PRIORITY, WATCHDOG_PRIORITY, make_punctual
from robot_bridge.middleware.messages import DiagnosticArray
from robot_bridge.middleware.transport import Transport
from robot_bridge.node.diagnostics import Diagnostics
from robot_bridge.node.log import StateLog
from robot_bridge.node.machine_watch import MachineWatch
from robot_bridge.node.monitored import monitors_of
from robot_bridge.node.newest_checkpoint import NewestCheckpoint
from robot_bridge.node.owning import Owning
from robot_bridge.node.parameters import NodeParameters, require_standby
from robot_bridge.node.telemetry import Telemetry
from robot_bridge.node.tick_checks import TickChecks
from robot_bridge.preflight.checks import require_passed, summary
from robot_bridge.preflight.inputs_check import check_inputs
from robot_bridge.preflight.listening import listen
from robot_bridge.robot_files import change_stds, make_inspection, make_supervisor, require_latency, training_range
from robot_bridge.safety.model_checks import ModelChecks
from robot_bridge.safety.presence import Expected
from robot_bridge.safety.supervisor import Decision, SafetySupervisor, TrainingRange
from robot_bridge.safety.watchdog import Watchdog
from robot_bridge.topic_names import with_whole_names
from robot_bridge.urdf import with_urdf_limits

_LOG = logging.getLogger(__name__)
DIAGNOSTICS_PERIOD = 1.0
"""Time between two messages on `/diagnostics` [s]."""
TAKE_UP_SECONDS = 5.0
"""Longest wait for the control loop to take up another controller, which it does at its next tick [s]."""
LOOK_PERIOD = 0.1
"""Time between two looks for the log [s]."""
SWITCH_SECONDS = 0.0005
"""Longest time that one Python thread runs while others wait [s]. Python's default, 5 ms, is too long for the control loop."""


class Running:
    """Controller, supervisor, loop and topics of a configured node, with their threads.

    Args:
        parameters: the node's parameters.
        transport: the transport of the robot's topics.
        preflight_transport: the transport that the preflight listens on.
        name: the node's name.
        guard: the line to the guard that commands go through; None without one.
        keep: takes this as soon as it runs, so that it is known to whoever must end it, also if an interrupt comes just then.

    Attributes:
        config: the bridge file.
        loop: the control loop.
        preflight: a line about the preflight; empty if there was none.
        realtime: lines about what the operating system has granted to the control loop, and what it has not.
        other_publishers: number of other publishers of commands to this robot.
        monitors: the monitors of the bridge file.

    Raises:
        AdaptiveMBRLError: a file is wrong, or the robot is not as the file says; nothing runs then.
    """

    def __init__(
        self,
        parameters: NodeParameters,
        transport: Transport,
        preflight_transport: Transport,
        name: str,
        guard: GuardLine | None = None,
        keep: Callable[[Running], None] = lambda running: None,
    ) -> None:
        path = Path(parameters.bridge)
        config = with_whole_names(load_bridge_config(path), transport.resolve)
        self._parameters, self._name, self._guard = parameters, name, guard
        self._newest = NewestCheckpoint(config, path, parameters.device)
        controller, on_cpu = self._newest.first()
        self.config = config = with_urdf_limits(config, controller.spec, parameters.bridge)
        supervisor = make_supervisor(config, controller, path)
        require_latency(config, controller, path)
        require_standby(config, parameters, is_guarded=guard is not None)
        if guard is not None and not parameters.dry_run:
            guard.hello(controller.spec, training_range(controller))
            transport, preflight_transport = (
                GuardedTransport(each, guard, config.output.topic) for each in (transport, preflight_transport)
            )
        self.preflight = self._check_robot(supervisor, controller, preflight_transport)
        self._graph, self.other_publishers = transport.graph(), 0
        self.realtime: tuple[str, ...] = ()
        # everything is closed in the opposite order, also if something fails here
        self._ending = ExitStack()
        with self._ending:
            self._make_responsive()
            planning = self._make_planning(controller, on_cpu, path)
            self.owning = self._make_owning(supervisor, training_range(controller), transport)
            self._recorder = BagRecorder(Path(parameters.record)) if parameters.record else None
            if self._recorder is not None:
                self._ending.callback(self._recorder.close)
            recorded = transport if self._recorder is None else RecordingTransport(transport, self._recorder)
            self.loop = self._make_loop(planning, supervisor, recorded, transport)
            gc.collect()
            self.realtime = self._start(recorded)
            keep(self)
            self._ending = self._ending.pop_all()

    def _check_robot(self, supervisor: SafetySupervisor, controller: AdaptiveController, transport: Transport) -> str:
        """Run the preflight, if there is to be one.

        Returns:
            A line about it; empty without one.
        """
        if self._parameters.preflight_seconds <= 0:
            return ""
        listening = listen(self.config, transport, self._parameters.preflight_seconds)
        checks = check_inputs(self.config, supervisor, controller.settings.adapter.normalizer, listening)
        require_passed(checks)
        return f"preflight: {summary(checks)}"

    def _make_responsive(self) -> None:
        """Keep threads of this process from making the control loop wait."""
        self._ending.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(SWITCH_SECONDS)
        if "OMP_NUM_THREADS" not in os.environ:
            # with a thread for every core, some would wait for cores that the middleware or the robot's driver uses, and a plan
            # would take several times as long
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))

    def _make_planning(self, controller: AdaptiveController, on_cpu: AdaptiveController | None, path: Path) -> PlanAhead:
        dt, deadline = controller.spec.dt, self._parameters.deadline
        inspect = make_inspection(self.config, controller.spec, path)
        self._warm_up = partial(warm_up, seconds=deadline * dt, inspect=inspect)
        # only here, where nobody waits for a command yet: one that is taken up later would be compiled beside the control loop
        controller, plan_seconds, overhead = self._warm_up(controller.with_compile(self.config.compile))
        self._watch = BeliefWatch(self.config.safety.belief_swings, dt)
        self._watch.look_through(self._watch.view_of(controller, self._newest.folder))
        planning = PlanAhead(
            controller,
            dt,
            plan_seconds=plan_seconds,
            overhead=overhead,
            lead=lead_for(plan_seconds, dt, deadline),
            deadline=deadline,
            on_cpu=None if on_cpu is None else partial(self._warm_up, on_cpu),
            inspect=inspect,
            after_step=self._watch.after_step,
            on_forget=self._watch.forget,
        )
        self._ending.callback(planning.close)
        return planning

    def _make_owning(self, supervisor: SafetySupervisor, training: TrainingRange, transport: Transport) -> Owning | None:
        """The node's part in who has the robot; None where others are only warned of."""
        if self.config.ownership is None or self._parameters.dry_run:
            return None
        about = (self.config, supervisor, training, transport, self._name, partial(transport.log, self._name))
        owning = Owning(*about, is_guarded=self._guard is not None, stands_by=self._parameters.standby)
        self._ending.callback(owning.close)
        return owning

    def _make_loop(
        self, planning: PlanAhead, supervisor: SafetySupervisor, transport: Transport, unrecorded: Transport
    ) -> ControlLoop:
        """The control loop with what it reads and what looks at it.

        Args:
            planning: the controller on its thread.
            supervisor: the safety supervisor.
            transport: the transport of the robot's topics, which may record them.
            unrecorded: the same without a recording, for topics that are recorded already.
        """
        config, controller = self.config, planning.controller
        spec, names, training = controller.spec, controller.diagnosis_names, training_range(controller)
        horizon, limit = controller.settings.planner.horizon, config.max_message_bytes
        self._goals = None if config.goal is None else GoalReader(config.goal, transport, spec.dt, horizon, limit)
        shared = SharedTopics(config, transport, unrecorded)
        self.monitors = monitors_of(config, spec, shared)
        self._pause = AdaptationPause(config.adaptation.pause_when, spec, training.std, shared)
        self._of_model = ModelChecks(spec, config.safety, change_stds(controller), names, self._expected(transport))
        checks = TickChecks(
            self._of_model,
            self.monitors,
            self._pause,
            self._watch,
        )
        self._telemetry = Telemetry(spec, transport, self._name, names, lambda: bool(planning.pause.reason))
        make_loop = ControlLoop if self.owning is None else partial(OwnedLoop, **self.owning.loop_options)
        loop = make_loop(
            planning,
            supervisor,
            Inputs(spec, config, transport, training.std, transport.now if transport.is_time_simulated() else None),
            _send_nothing if self._parameters.dry_run else command_sender(spec, config.output, transport),
            goal=self._goals or (lambda begin: None),
            checks=checks.look,
            latency=config.latency,
            on_release=self._release,
            on_period_end=self._publish,
        )
        checks.attach(loop)
        if self.owning is not None and isinstance(loop, OwnedLoop):
            self.owning.attach(loop)
        return loop

    def _start(self, transport: Transport) -> tuple[str, ...]:
        """Start all threads.

        Returns:
            Lines about what the operating system has granted to the control loop, and what it has not.
        """
        self._stop = threading.Event()
        watchdog = Watchdog(self.loop.answer_stall, self.loop.dt)
        self._ending.callback(watchdog.close)
        control = threading.Thread(target=self.loop.run, args=(self._stop,), name="control")
        threads = [
            control,
            threading.Thread(target=self._diagnose, args=(transport, self._name), name="diagnostics"),
            threading.Thread(target=self._write_log, args=(transport, self._name), name="log"),
            *self._owner_threads(),
        ]
        # whatever happens while they start, those that have started end
        self._ending.callback(_join, threads)
        self._ending.callback(self._stop.set)
        for thread in threads:
            thread.start()
        priorities = {control.native_id or 0: CONTROL_PRIORITY, watchdog.native_id: WATCHDOG_PRIORITY}
        return make_punctual(self._parameters.realtime, self._parameters.cpus, priorities)

    def _owner_threads(self) -> list[threading.Thread]:
        """Threads for who has the robot; none where others are only warned of."""
        if self.owning is None:
            return []
        return [
            threading.Thread(target=self.owning.run, args=(self._stop, self._graph.publishers), name="owner"),
            threading.Thread(target=self.owning.run_standby, args=(self._stop,), name="standby"),
        ]

    def _release(self) -> None:
        """The actuators are at rest, and no more commands follow."""
        if self._guard is not None:
            self._guard.release()
        if self.owning is not None:
            self.owning.release()

    def _publish(self, decision: Decision, command: Command | None) -> None:
        """What people look at at the end of a control period."""
        self._telemetry(decision, command)
        if self.owning is not None:
            self.owning.publish()

    def _expected(self, transport: Transport) -> list[Expected]:
        """Those who must not fall silent."""
        goal, goals, operator = self.config.goal, self._goals, self.config.operator
        expected = []
        if goal is not None and goals is not None and goal.max_age > 0:
            expected.append(Expected("goal_lost", "the stream of goals", lambda: goals.heard, goal.max_age))
        if operator is not None:
            reader = OperatorReader(operator, transport)
            expected.append(Expected("operator_gone", "the operator", lambda: reader.heard, operator.max_age))
        return expected

    def close(self) -> str:
        """End the loop, which brings the actuators to rest, and close everything.

        Returns:
            A line about the recording; empty without one.
        """
        self._ending.close()
        return self._recorder.report() if self._recorder is not None else ""

    def reload(self) -> str:
        """Take up the checkpoint that has come in the place of the one in use, while the robot is not controlled.

        Returns:
            A line that says which checkpoint is in use now.

        Raises:
            AdaptiveMBRLError: the new one cannot be used; the old one stays in use then.
        """
        planning = self.loop.planning
        found = self._newest.successor(planning.controller)
        if found is None:
            return f"{self._newest.folder} is in use already"
        controller, spare = found
        warmed_up = self._warm_up(controller)
        on_cpu = None if spare is None else partial(self._warm_up, spare)
        lead = lead_for(warmed_up.seconds, self.loop.dt, self._parameters.deadline)
        # whatever may fail is made before the new one is taken up
        view, training = self._watch.view_of(warmed_up.controller, self._newest.folder), training_range(controller)
        if not planning.take_up(warmed_up, lead, on_cpu, TAKE_UP_SECONDS):
            raise BridgeError("the checkpoint in use stays: the control loop stands still")
        self._watch.look_through(view)
        self._trained_on(training)
        self._of_model.trained_on(change_stds(controller))
        if self._goals is not None:
            self._goals.look_ahead(controller.settings.planner.horizon)
        self._newest.is_in_use()
        return f"{self._newest.folder} is in use now; {self.timing()}"

    def _trained_on(self, training: TrainingRange) -> None:
        """Say to all that judge by the training data what those of the controller in use are like."""
        self.loop.trained_on(training)
        self.loop.inputs.trained_on(training.std)
        self._pause.trained_on(training.std)
        if self.owning is not None:
            self.owning.trained_on(training)
        if self._guard is not None and not self._parameters.dry_run:
            self._guard.trained_on(training)

    def present(self) -> NDArray[np.float64] | None:
        """The joints' positions as `present_positions` gives them, with NaN for a position that is not known at the moment."""
        supervisor, observed = self.loop.supervisor, self.loop.inputs.snapshot()
        known = np.where(supervisor.is_fresh(time.monotonic(), observed), observed.values, np.nan)
        return present_positions(self.config, supervisor.spec, known)

    def timing(self) -> str:
        """A line about how long planning takes here and what follows from it."""
        planning = self.loop.planning
        ahead = "a whole period" if planning.lead == 1.0 else f"{1e3 * planning.lead * planning.dt:.0f} ms"
        taken, available = planning.plan_seconds, planning.seconds_available
        too_slow = "" if taken <= available else "; this machine is too slow, candidates will be cut"
        return (
            f"a plan takes {1e3 * taken:.0f} ms of a control period of {1e3 * planning.dt:.0f} ms on this machine "
            f"({planning.controller.settings.precision}), and gets {1e3 * available:.0f} ms; it is made {ahead} ahead{too_slow}"
        )

    def report(self) -> str:
        """A line about what happened so far and what is wrong now."""
        planning, counts, safety = self.loop.planning, self.loop.statistics, self.loop.supervisor
        budget, plans = planning.budget, planning.statistics
        samples = f", cut to {budget.num_samples} of {budget.full} samples" if budget.is_cut else ""
        others = self.other_publishers
        other_publishers = f"{others} other publisher(s) on {self.config.output.topic}" if others else ""
        unrecorded = self._recorder.problems if self._recorder is not None else ""
        failures = {"planner": plans.last_failure, "loop": counts.last_failure}
        lines = (
            f"{safety.state.value}: {counts.steps} steps, {safety.holds} holds, {counts.missed_deadlines} missed deadlines, "
            f"{counts.overruns} overruns, {counts.stalls} stalls, {plans.failures} planner failures{samples}",
            *self.loop.faults,
            "" if self.owning is None else f"owner: {self.owning.owner}",
            *(f"{what}: {words}" for what, words in failures.items() if words),
            other_publishers,
            unrecorded,
        )
        return "; ".join(filter(None, lines))

    def _write_log(self, transport: Transport, name: str) -> None:
        log = StateLog(partial(transport.log, name), self.loop, lambda: self._telemetry.reversed)
        self._repeat(LOOK_PERIOD, log.look, "a line of the log is lost")

    def _diagnose(self, transport: Transport, name: str) -> None:
        publish = transport.publisher("/diagnostics", DiagnosticArray)
        watch = MachineWatch(self.loop, self.config.periodicity, self._parameters.memory_limit, lambda: self.realtime)
        diagnosis = Diagnostics(
            self.loop, name, self._goals, self.monitors, lambda: self._watch.turns, transport.reception, watch.look
        )

        def diagnose() -> None:
            message = diagnosis(transport.now(), *self._publishers())
            if self.owning is not None:
                message.status.append(self.owning.status())
            publish(message)

        self._repeat(DIAGNOSTICS_PERIOD, diagnose, "no diagnosis")

    def _publishers(self) -> tuple[int | None, dict[str, int]]:
        """How many others publish commands, and how many publish each input; None and nothing where they cannot be seen."""
        try:
            endpoints = [endpoint for endpoint in self._graph.endpoints() if endpoint.publishes]
        except Exception:
            _LOG.exception("who publishes is not known")
            return None, {}
        commanders = [endpoint.sender for endpoint in endpoints if endpoint.topic == self.config.output.topic]
        self.other_publishers = len(commanders) if self.owning is None else self.owning.others(commanders)
        published = Counter(endpoint.topic for endpoint in endpoints)
        return self.other_publishers, {source.topic: published[source.topic] for source in self.config.inputs.values()}

    def _repeat(self, period: float, act: Callable[[], None], failure: str) -> None:
        """Act every `period` seconds until the end; what fails is written down and tried again."""
        while not self._stop.wait(period):
            try:
                act()
            except Exception:
                _LOG.exception(failure)


def _join(threads: Sequence[threading.Thread]) -> None:
    """Wait for the end of those threads that have started, of the newest one first."""
    for thread in reversed(threads):
        if thread.ident is not None:
            thread.join()


def _send_nothing(command: NDArray[np.float64]) -> None:
    """Takes the place of the sender in a dry run, in which the node must not even be a publisher of commands."""
