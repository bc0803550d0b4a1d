"""The node `adaptive_mpc` without its middleware: configure -> activate -> deactivate -> clean up, services, topics, threads.

`commands.py` runs it from the command line, `lifecycle.py` as a lifecycle node of `rclpy`; both only translate. A control loop
runs from configure to clean-up; between activate and deactivate it controls.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import BridgeError, ConfigError
from robot_bridge.bags.recorder import BagRecorder, absolute
from robot_bridge.bags.recording_transport import RecordingTransport
from robot_bridge.bridge_config import BridgeConfig, load_bridge_config
from robot_bridge.control.inputs import GoalReader, Inputs
from robot_bridge.control.loop import ControlLoop
from robot_bridge.control.outputs import command_sender, present_positions
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.middleware.messages import DiagnosticArray, Response, SetBoolRequest, TriggerRequest
from robot_bridge.middleware.transport import Transport
from robot_bridge.node.diagnostics import Diagnosis
from robot_bridge.node.parameters import Parameters
from robot_bridge.node.telemetry import Telemetry
from robot_bridge.preflight.checks import require_passed, summary
from robot_bridge.preflight.inputs_check import check_inputs
from robot_bridge.preflight.listening import listen
from robot_bridge.robot_files import load_controller, make_supervisor
from robot_bridge.safety.states import State
from robot_bridge.safety.watchdog import Watchdog

_LOG = logging.getLogger(__name__)
NODE = "adaptive_mpc"
DIAGNOSTICS_PERIOD = 1.0
"""Seconds between two messages on `/diagnostics`."""
WARM_UP_STEPS = 8
SPARE = 1.3
"""Time that a plan is given, in times that it takes on a quiet machine."""
FIRST_SECONDS = 1.0
"""Longest wait for the robot's first observations at the start; without them it begins in `HOLD`."""
MAX_OVERHEAD = 0.9
"""On a GPU, say, nearly all of the time is there whatever the number of candidates; a little hope in fewer of them is left."""
WORTHWHILE = 0.9
"""Bfloat16 is used where it takes less than this share of float32's time."""
SWITCH_SECONDS = 0.0005
"""Longest time that one of Python's threads keeps the others waiting; its default is a tenth of many control periods [s]."""


class AdaptiveMpc:
    """The node's life.

    Args:
        transport: of its services; topics may use another one.
        name: of the node.
    """

    def __init__(self, transport: Transport, name: str = NODE) -> None:
        self.name = name
        self._configured: _Configured | None = None
        self._dry_run = False
        self._estop_latched = False
        triggers: dict[str, Callable[[], str]] = {
            "estop": self.estop,
            "clear_estop": self.clear_estop,
            "reset_belief": self.reset_belief,
        }
        for service, act in triggers.items():
            transport.serve(f"/{name}/{service}", TriggerRequest, partial(_trigger, act))
        transport.serve(f"/{name}/freeze_adaptation", SetBoolRequest, self._freeze)

    @property
    def state(self) -> State:
        """Of the safety supervisor; `INACTIVE` or `ESTOP` before configure."""
        if self._configured is not None:
            return self._configured.loop.supervisor.state
        return State.ESTOP if self._estop_latched else State.INACTIVE

    @property
    def knows_where_to_start(self) -> bool:
        """False only under position commands, before the joints' positions are observed."""
        present = self._present()
        return present is None or bool(np.isfinite(present).all())

    def configure(self, parameters: Parameters, transport: Transport, ears: Transport | None = None) -> None:
        """Load the checkpoint, check the robot, warm up the planner, connect to the robot's topics.

        Args:
            parameters: of the node.
            transport: of its topics.
            ears: to listen on meanwhile, where `transport` does not receive before this returns.

        Raises:
            AdaptiveMBRLError: a file is wrong, or the robot is not as it says; nothing runs then.
        """
        self._dry_run = parameters.dry_run
        self._configured = _Configured(parameters, transport, ears or transport, self.name)
        if self._estop_latched:
            self._configured.loop.estop()

    def activate(self) -> None:
        """Start to control, as soon as the robot is observed, or after `FIRST_SECONDS` without that.

        Raises:
            BridgeError: there is an emergency stop, or the node is active.
        """
        loop = self._loop()
        # right after configure a robot that is there may not have been heard yet: it would begin with the safe action for a while
        until = time.monotonic() + FIRST_SECONDS
        while self.state is State.INACTIVE and time.monotonic() < until and not loop.observes():
            time.sleep(FIRST_SECONDS / 100)
        if self.state is not State.INACTIVE:
            advice = "; call clear_estop first" if self.state is State.ESTOP else ""
            raise BridgeError(f"cannot activate in state '{self.state.value}'{advice}")
        if not self.knows_where_to_start:
            raise BridgeError("cannot activate: where the joints are is not observed yet")
        # a full collection takes 40-300 ms once torch is loaded; of what comes from now on it takes less than one
        gc.freeze()
        loop.activate(dry_run=self._dry_run, present=self._present())

    def deactivate(self) -> None:
        """Bring the actuators to rest, then send nothing; an emergency stop stays one."""
        self._loop().deactivate()
        self._collect_garbage()

    def clean_up(self) -> None:
        """Bring the actuators to rest and let go of everything."""
        if self._configured is not None:
            self._estop_latched = self.state is State.ESTOP
            self._configured.close()
            self._configured = None
            self._collect_garbage()

    def estop(self) -> str:
        """Latch the emergency stop."""
        self._estop_latched = True
        if self._configured is not None:
            self._configured.loop.estop()
        return self.state.value

    def clear_estop(self) -> str:
        """End an emergency stop; nothing moves before the next `activate`."""
        if self.state is not State.ESTOP:
            raise BridgeError(f"there is no emergency stop, state '{self.state.value}'")
        self._estop_latched = False
        if self._configured is not None:
            self._configured.loop.clear_estop()
            self._collect_garbage()
        return self.state.value

    def reset_belief(self) -> str:
        """Forget what was learned about the robot."""
        self._loop().planning.reset_belief()
        return "the next plan begins with the prior"

    def freeze(self, frozen: bool) -> str:
        """Keep the belief as it is, or let it move again."""
        self._loop().planning.freeze(frozen)
        return "the belief stays as it is" if frozen else "the belief adapts"

    def timing(self) -> str:
        """How long planning takes here and what follows from it, in one line."""
        planning = self._loop().planning
        ahead = "a whole period" if planning.lead == 1.0 else f"{1e3 * planning.lead * planning.dt:.0f} ms"
        assert self._configured is not None
        return (
            f"{self._configured.preflight}a plan takes {1e3 * planning.took:.0f} ms of a control period of "
            f"{1e3 * planning.dt:.0f} ms on this machine, and gets {1e3 * planning.seconds:.0f} ms; it is made {ahead} ahead"
        )

    def report(self) -> str:
        """The node in one line."""
        loop, configured = self._loop(), self._configured
        assert configured is not None
        rivals = f"; {configured.rivals} other publisher(s) on {configured.config.output.topic}" if configured.rivals else ""
        return report(loop) + rivals

    def _freeze(self, request: SetBoolRequest) -> Response:
        return _answered(lambda: self.freeze(request.data))

    def _present(self) -> NDArray[np.float64] | None:
        loop = self._loop()
        assert self._configured is not None
        return present_positions(self._configured.config, loop.supervisor.spec, loop.inputs.snapshot().values)

    def _loop(self) -> ControlLoop:
        if self._configured is None:
            raise BridgeError("the node is not configured")
        return self._configured.loop

    @staticmethod
    def _collect_garbage() -> None:
        gc.unfreeze()
        gc.collect()


class _Configured:
    """What exists between configure and clean-up."""

    def __init__(self, parameters: Parameters, transport: Transport, ears: Transport, name: str) -> None:
        path = Path(parameters.bridge)
        self.config = config = load_bridge_config(path)
        controller = load_controller(config, path, parameters.device)
        supervisor = make_supervisor(config, controller.spec, path)
        self.preflight = ""
        if parameters.preflight_seconds > 0:
            heard = listen(config, ears, parameters.preflight_seconds)
            checks = check_inputs(config, controller.spec, controller.adapter.model.normalizer, heard)
            require_passed(checks)
            self.preflight = f"preflight: {summary(checks)}\n"
        # torn down in the opposite order, also when something here fails
        self._ending = ExitStack()
        with self._ending:
            self._ending.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(SWITCH_SECONDS)
            if "OMP_NUM_THREADS" not in os.environ:
                # threads that wait for a core which the middleware or the robot's driver uses make a plan several times slower
                torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
            dt = controller.spec.dt
            took, overhead = warm_up(controller)
            lead = lead_for(took, dt, parameters.deadline)
            on_cpu = partial(_on_cpu, config, path)
            planning = PlanAhead(
                controller, dt, took=took, overhead=overhead, lead=lead, deadline=parameters.deadline, on_cpu=on_cpu
            )
            self._ending.callback(planning.close)
            if parameters.record:
                recorder = BagRecorder(Path(parameters.record))
                self._ending.callback(recorder.close)
                transport = RecordingTransport(transport, recorder)
            horizon = controller.planner.config.horizon
            if config.latency > horizon * dt:
                raise ConfigError(
                    f"{path}: key 'latency': {config.latency:g} s is out of range; allowed: at most {horizon * dt:g} s, "
                    "as far as the planner looks ahead"
                )
            self._goals = None if config.goal is None else GoalReader(config.goal, transport, dt, horizon)
            self.loop = ControlLoop(
                planning,
                supervisor,
                Inputs(controller.spec, config, transport),
                command_sender(controller.spec, config.output, transport),
                goal=self._goals or (lambda begin: None),
                latency=config.latency,
                look=Telemetry(controller.spec, transport, name),
            )
            self.rivals = 0
            gc.collect()
            self._stop = threading.Event()
            watchdog = Watchdog(self.loop.stand_in, dt)
            self._ending.callback(watchdog.close)
            for target, thread_name in ((self._diagnose, "diagnostics"), (self._control, "control")):
                thread = threading.Thread(target=target, args=(transport, name), name=thread_name)
                thread.start()
                self._ending.callback(thread.join)
            self._ending.callback(self._stop.set)
            self._ending = self._ending.pop_all()

    def close(self) -> None:
        """End the loop, which brings the actuators to rest, and let go of everything."""
        self._ending.close()

    def _control(self, transport: Transport, name: str) -> None:
        self.loop.run(self._stop)

    def _diagnose(self, transport: Transport, name: str) -> None:
        publish = transport.publisher("/diagnostics", DiagnosticArray)
        diagnosis, graph, topic = Diagnosis(self.loop, name, self._goals), transport.graph(), self.config.output.topic
        while not self._stop.wait(DIAGNOSTICS_PERIOD):
            try:
                self.rivals = sum(e.publishes and e.topic == absolute(topic) for e in graph.endpoints())
                publish(diagnosis(transport.now(), self.rivals))
            except Exception:
                _LOG.exception("no diagnosis")


def _on_cpu(config: BridgeConfig, path: Path) -> tuple[AdaptiveController, float, float]:
    controller = load_controller(config, path, "cpu")
    return controller, *warm_up(controller)


def warm_up(controller: AdaptiveController) -> tuple[float, float]:
    """Take the first, slow steps before the robot moves, and keep to the precision that is faster.

    Returns:
        How long a control step takes [s], and the share of it that does not depend on the number of candidates.
    """
    full, few = controller.planner.config.num_samples, controller.planner.least_samples
    seconds = {}
    for controller.bfloat16 in (False, True):
        seconds[controller.bfloat16] = step_seconds(controller, full)
    controller.bfloat16 = seconds[True] < WORTHWHILE * seconds[False]
    took = seconds[controller.bfloat16]
    per_sample = (took - step_seconds(controller, few)) / (full - few) if few < full else 0.0
    controller.reset()
    return took, min(max(1 - full * per_sample / took, 0.0), MAX_OVERHEAD)


def step_seconds(controller: AdaptiveController, num_samples: int) -> float:
    """How long a control step takes, one in each control period: between them caches and clocks cool down [s]."""
    mean = controller.adapter.model.normalizer.obs_mean.cpu().numpy()
    goal, on_the_way = np.zeros(controller.objective.goal_dim), np.zeros((1, controller.spec.action_dim))
    took = []
    for _ in range(WARM_UP_STEPS):
        began = time.perf_counter()
        controller.step(mean, goal, pending=on_the_way, num_samples=num_samples)
        took.append(time.perf_counter() - began)
        time.sleep(max(0.0, controller.spec.dt - took[-1]))
    # the first ones allocate and choose algorithms
    return float(np.median(took[WARM_UP_STEPS // 2 :]))


def lead_for(seconds: float, dt: float, deadline: float) -> float:
    """Share of the control period by which planning begins before its command is sent, for plans that take so long [s].

    Beyond half a period the plan begins at the tick before: what a newer observation is worth is lost again in the prediction of
    a part of a period (benchmarks/latency_cost.py), and a plan may then take twice as long.
    """
    lead = SPARE * seconds / (deadline * dt)
    return lead if lead <= 0.5 else 1.0


def report(loop: ControlLoop) -> str:
    """A control loop in one line."""
    counts, plans, budget = loop.statistics, loop.planning.statistics, loop.planning.budget
    samples = f", cut to {budget.num_samples} of {budget.full} samples" if budget.is_cut else ""
    words = [*loop.faults, *(f"{what}: {words}" for what, words in _failures(loop) if words)]
    return "; ".join(
        [
            f"{loop.supervisor.state.value}: {counts.steps} steps, {counts.missed_deadlines} missed deadlines, "
            f"{counts.overruns} overruns, {counts.stalls} stalls, {plans.failures} planner failures{samples}",
            *words,
        ]
    )


def _failures(loop: ControlLoop) -> list[tuple[str, str]]:
    return [("planner", loop.planning.statistics.last_failure), ("loop", loop.statistics.last_failure)]


def _trigger(act: Callable[[], str], request: TriggerRequest) -> Response:
    return _answered(act)


def _answered(act: Callable[[], str]) -> Response:
    try:
        return Response(True, act())
    except BridgeError as error:
        return Response(False, str(error))
