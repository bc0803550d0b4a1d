"""The control loop: at a fixed rate observe -> plan -> supervise -> send, with absolute deadlines on the monotonic clock.

Planning runs on a thread of its own and has to be ready before the period ends. When it is not, the next action of the previous
plan is taken and the miss is counted; when it fails, there is no plan and the supervisor sends the safe action.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.controller import AdaptiveController, Command
from robot_bridge.inputs import Inputs
from robot_bridge.outputs import Send
from robot_bridge.supervisor import Decision, Observed, SafetySupervisor

Array = NDArray[np.float64]
REST_SECONDS = 1.0
"""Longest time that the actuators are given to come to rest at the end."""
GoalOf = Callable[[], Array | None]


@dataclass
class LoopStatistics:
    """Counts since the loop was made.

    Attributes:
        steps: control periods.
        missed_deadlines: periods without a plan in time.
        overruns: periods that began late by more than a period, and so replaced others.
        planner_failures: exceptions of the planner.
        last_failure: the newest of them in words.
    """

    steps: int = 0
    missed_deadlines: int = 0
    overruns: int = 0
    planner_failures: int = 0
    last_failure: str = ""


class ControlLoop:
    """Runs a controller on a robot.

    Args:
        controller: for one robot.
        supervisor: everything that is sent passes through it.
        inputs: the newest observation.
        send: publishes a command.
        goal: the objective's present goal.
        deadline: share of the control period after which a plan is too late.
        clock: monotonic [s].
    """

    def __init__(
        self,
        controller: AdaptiveController,
        supervisor: SafetySupervisor,
        inputs: Inputs,
        send: Send,
        *,
        goal: GoalOf = lambda: None,
        deadline: float = 0.8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.controller, self.supervisor, self.inputs, self.send = controller, supervisor, inputs, send
        self.goal, self.deadline, self.clock = goal, deadline, clock
        self.statistics = LoopStatistics()
        self.faults: tuple[str, ...] = ()
        self._planning = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan")
        self._pending: Future[Command] | None = None
        self._plan: NDArray[np.float32] | None = None
        self._plan_step = 0
        self._model_error = math.nan
        self._sent: Array | None = None
        self._gap = False

    def run(self, stop: threading.Event) -> None:
        """Control until `stop` is set, then bring the actuators to the safe action."""
        dt = self.controller.spec.dt
        tick = self.clock()
        try:
            while not stop.wait(max(0.0, tick - self.clock())):
                self.step(tick)
                tick += dt
                late = self.clock() - tick
                if late > dt:
                    # periods that are over are not caught up with
                    self.statistics.overruns += 1
                    tick += dt * math.floor(late / dt)
        finally:
            self.come_to_rest()

    def step(self, tick: float) -> Decision:
        """One control period that began at `tick`."""
        self.statistics.steps += 1
        observed = self.inputs.snapshot()
        plan, missed = self._planned(observed, tick + self.deadline * self.controller.spec.dt)
        # what has come meanwhile decides whether the plan may still be followed
        decision = self.supervisor.decide(
            self.clock(), self.inputs.snapshot(), plan, missed=missed, model_error=self._model_error
        )
        if decision.command is not None:
            self.send(decision.command)
        self._sent, self.faults = decision.command, decision.faults
        return decision

    def come_to_rest(self) -> None:
        """Send the safe action until it is reached, at most `REST_SECONDS`, and deactivate."""
        until = self.clock() + REST_SECONDS
        before = None
        while self.clock() < until:
            command = self.supervisor.decide(self.clock(), self.inputs.snapshot(), None).command
            if command is None or (before is not None and np.array_equal(command, before)):
                break
            self.send(command)
            before = command
            time.sleep(self.controller.spec.dt)
        self.supervisor.deactivate()

    def report(self) -> str:
        """The loop in one line."""
        counts = self.statistics
        faults = f"; {'; '.join(self.faults)}" if self.faults else ""
        failure = f"; planner: {counts.last_failure}" if counts.last_failure else ""
        return (
            f"{self.supervisor.state.value}: {counts.steps} steps, {counts.missed_deadlines} missed deadlines, "
            f"{counts.overruns} overruns, {counts.planner_failures} planner failures{faults}{failure}"
        )

    def close(self) -> None:
        """Wait for the planner and end its thread."""
        self._planning.shutdown(wait=True)

    def _planned(self, observed: Observed, deadline: float) -> tuple[Array | None, bool]:
        """The action of this period, None if there is none, and whether it is a continuation of an earlier plan."""
        if self._pending is None:
            if not self.supervisor.is_usable(self.clock(), observed):
                self._gap = True
                return None, False
            self._pending = self._planning.submit(
                self.controller.step, observed.values, self.goal(), sent=self._sent, after_gap=self._gap
            )
            self._gap = late = False
        else:
            self._gap = late = True
        try:
            command = self._pending.result(timeout=max(0.0, deadline - self.clock()))
        except FutureTimeoutError:
            self.statistics.missed_deadlines += 1
            return self._continued(), True
        except Exception as error:
            # whatever happens in the planner, the robot gets its safe action
            self._pending = None
            self.statistics.planner_failures += 1
            self.statistics.last_failure = f"{type(error).__name__}: {error}"
            self._plan = None
            self.controller.reset()
            return None, False
        self._pending = None
        self._plan, self._plan_step = command.plan, 0
        self._model_error = float(command.info.adapted_error[0])
        if late:
            # made for an observation of an earlier period: its second action is for this one
            self.statistics.missed_deadlines += 1
            return self._continued(), True
        return command.action.astype(np.float64), False

    def _continued(self) -> Array | None:
        """The next action of the newest plan, its last one when it is used up."""
        if self._plan is None:
            return None
        self._plan_step = min(self._plan_step + 1, len(self._plan) - 1)
        return self._plan[self._plan_step].astype(np.float64)
