"""Planning on a thread of its own, one control period before its command is sent."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.controller import AdaptiveController, Command, StepOptions
from robot_bridge.control.adaptation_pause import Pause
from robot_bridge.control.sample_budget import SampleBudget
from robot_bridge.control.warm_up import WarmedUp
from robot_bridge.control.worker import Worker
from robot_bridge.safety.faults import Fault

Array = NDArray[np.float64]
OnCpu = Callable[[], WarmedUp]
Inspect = Callable[[Command], tuple[Fault, ...]]
"""Finds the faults of a plan, on the thread that plans."""
TOO_MANY_MISSES, MISS_WINDOW = 10, 100
"""Once so many of the last `MISS_WINDOW` control periods had no plan in time, the machine is slower than it seemed at the start.
From then on every plan gets a whole control period."""
ERROR_WINDOW = 100
"""Number of plans whose model errors are averaged."""
CLOSE_SECONDS = 2.0
"""Longest wait for a plan under way when the planner is closed [s]."""


@dataclass
class PlanStatistics:
    """Counts since the planner was made.

    Attributes:
        plans: number of plans that the controller made.
        failures: number of exceptions that the controller raised.
        last_failure: the newest of these exceptions, in words.
        seconds: duration of the newest plan [s].
    """

    plans: int = 0
    failures: int = 0
    last_failure: str = ""
    seconds: float = 0.0


class PlanAhead:
    """Owns the controller. All methods but `reset_belief`, `freeze` and `take_up` are for the control loop's thread only.

    Args:
        controller: the controller of one robot.
        dt: control period [s].
        plan_seconds: how long a plan takes on this machine [s].
        overhead: share of that time that does not depend on the number of candidates.
        lead: time between the start of planning and the sending of its command, as a share of the control period.
        deadline: share of the lead that a plan may take.
        on_cpu: loads the same controller on the CPU and returns it with its `plan_seconds` and `overhead`. It replaces a
            controller whose GPU has failed, and then plans with a lead of a whole period.
        inspect: looks at every plan before it can be sent.
        after_step: called with the controller after each of its steps, on the planning thread.
        on_forget: called when plans are discarded and before the first step of a belief that begins anew, on either thread.

    Attributes:
        faults: what `inspect` found in the plan in use; empty without a plan.
        pause: whether adapting pauses by itself; the control loop sets it in every control period.
    """

    def __init__(
        self,
        controller: AdaptiveController,
        dt: float,
        *,
        plan_seconds: float = 0.0,
        overhead: float = 0.0,
        lead: float = 1.0,
        deadline: float = 0.9,
        on_cpu: OnCpu | None = None,
        inspect: Inspect = lambda command: (),
        after_step: Callable[[AdaptiveController], None] = lambda controller: None,
        on_forget: Callable[[], None] = lambda: None,
    ) -> None:
        self.controller, self.dt, self.lead, self.deadline = controller, dt, lead, deadline
        self.plan_seconds, self.overhead = plan_seconds, overhead
        self.statistics = PlanStatistics()
        self.is_frozen, self.pause = False, Pause()
        self._after_step, self._on_forget = after_step, on_forget
        self.command: Command | None = None
        self.faults: tuple[Fault, ...] = ()
        self.budget = self._new_budget()
        self._on_cpu, self._inspect = on_cpu, inspect
        self._thread = Worker("plan")
        self._pending: Future[tuple[Command, tuple[Fault, ...]]] | None = None
        self._replacing: Future[None] | None = None
        self._wanted: OnCpu | None = None
        self._period = self._made_for = self._pending_for = self._valid_until = self._spare_periods = 0
        self._missed: deque[bool] = deque(maxlen=MISS_WINDOW)
        self._errors: deque[float] = deque(maxlen=ERROR_WINDOW)
        self._is_dropped = False
        self._reset_wanted = False
        self._successor: tuple[WarmedUp, float, OnCpu | None, threading.Event] | None = None
        # held while the successor is taken up or withdrawn
        self._switching = threading.Lock()

    @property
    def is_free(self) -> bool:
        """Whether the next plan can be started."""
        return self._pending is None and self._wanted is None and (self._replacing is None or self._replacing.done())

    @property
    def is_due(self) -> bool:
        """Whether the plan for the present period is being made; one for an earlier period has missed its own tick already."""
        return self._pending is not None and self._pending_for == self._period

    @property
    def is_timely(self) -> bool:
        """Whether the newest plan was made for the present period, from what was observed when the one before began."""
        return self._made_for == self._period

    @property
    def is_idle(self) -> bool:
        """Whether there is neither a plan to follow nor one under way."""
        return self.is_free and self.command is None

    @property
    def model_error(self) -> float:
        """One-step error, on observations not yet seen, of the model that the plan uses [target stds]; NaN without a plan."""
        if self.command is None:
            return math.nan
        info = self.command.info
        return float((info.prior_error if info.fell_back[0] else info.adapted_error)[0])

    @property
    def mean_error(self) -> float:
        """The mean of the last `ERROR_WINDOW` model errors [target stds]; NaN before there are so many."""
        errors = list(self._errors)
        return sum(errors) / len(errors) if len(errors) == ERROR_WINDOW else math.nan

    @property
    def seconds_available(self) -> float:
        """Time that a plan may take [s]."""
        return self.deadline * self.lead * self.dt

    def next_period(self) -> bool:
        """Begin the next control period.

        Returns:
            Whether a plan that is due was not ready in time.
        """
        self._period += 1
        self._switch()
        # a period for which no plan was started is a miss as well
        missed = self._take() or (self.command is not None and self._period > self._valid_until)
        self._missed.append(missed)
        if self.lead < 1 and sum(self._missed) >= TOO_MANY_MISSES:
            self.lead = 1.0
            self.budget = self._new_budget()
        return missed

    def skip(self, periods: int) -> None:
        """Count control periods that passed without a command."""
        self._period += periods

    def start(self, obs: Array, goal: Array | None, options: StepOptions = StepOptions(), *, ahead: int = 1) -> None:  # noqa: B008
        """Start to plan for a coming control period.

        Args:
            obs: the observation, (obs_dim,), as `AdaptiveController.step` takes it.
            goal: the goal, as `AdaptiveController.step` takes it.
            options: what else is known; the number of candidates and whether the belief is frozen are filled in here.
            ahead: number of periods until the plan's first action is sent; 0 is the present period.
        """
        self._pending_for, self._is_dropped = self._period + ahead, False
        # the next period may use the second action of a plan for this period without counting a miss
        self._spare_periods = 1 if ahead == 0 else 0
        self._pending = self._thread.submit(self._step, obs, goal, options)

    def replace_failed(self) -> None:
        """Start to warm up the controller on the CPU, if a GPU has failed; called when the period's command has been sent.

        It takes time from the thread that sends commands, and the first one after a failure is the safe action.
        """
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self._replacing = self._thread.submit(self._replace, wanted)

    def wait(self, seconds: float) -> bool:
        """Wait for the plan under way, at most for so many seconds.

        Returns:
            Whether the plan is ready.
        """
        if self._pending is not None:
            wait([self._pending], max(0.0, seconds))
        return not self._take()

    def action(self) -> Array | None:
        """The newest plan's action for this period, (action_dim,); its last action when it is used up, None without a plan."""
        command = self.command  # a copy, since a node that stands by takes over on another thread
        if command is None:
            return None
        action: Array = command.plan[min(self._period - self._made_for, len(command.plan) - 1)].astype(np.float64)
        return action

    def forget(self) -> None:
        """Discard the present plan and the one under way."""
        self.command, self.faults, self._is_dropped = None, (), True
        self._on_forget()

    def reset_belief(self) -> None:
        """Go back to the prior before the next plan; this may be called from any thread."""
        self._reset_wanted = True

    def freeze(self, frozen: bool) -> None:
        """Freeze the belief, or let it adapt again; this may be called from any thread."""
        self.is_frozen = frozen

    def take_up(self, warmed_up: WarmedUp, lead: float, on_cpu: OnCpu | None, seconds: float) -> bool:
        """Plan with another controller from the next control period on that has no plan; this may be called from other threads.

        Args:
            warmed_up: the controller, with how long it takes.
            lead: the lead for its plans.
            on_cpu: loads the same controller on the CPU, as for a new `PlanAhead`.
            seconds: how long to wait for such a control period [s].

        Returns:
            Whether the other controller is in use; if not, it will not be.
        """
        taken = threading.Event()
        self._successor = warmed_up, lead, on_cpu, taken
        taken.wait(seconds)
        with self._switching:
            self._successor = None
            return taken.is_set()

    def close(self) -> None:
        """End the planning thread; a plan under way may go on for `CLOSE_SECONDS`."""
        self._thread.close(CLOSE_SECONDS)

    def _switch(self) -> None:
        """Take up the successor that is waiting, if no plan is under way or followed."""
        if self._successor is None or not self.is_idle:
            return
        with self._switching:
            if self._successor is None:
                # it was withdrawn in between
                return
            (self.controller, self.plan_seconds, self.overhead), self.lead, self._on_cpu, taken = self._successor
            self._successor = self._wanted = None
            self.budget = self._new_budget()
            self._missed.clear()
            self._errors.clear()
            taken.set()

    def _take(self) -> bool:
        if self._pending is None:
            return False
        if not self._pending.done():
            return True
        pending, self._pending = self._pending, None
        error = pending.exception()
        if error is not None:
            self._fail(error)
        elif not self._is_dropped:
            (self.command, self.faults), self._made_for = pending.result(), self._pending_for
            self._valid_until = self._made_for + self._spare_periods
            # the first plan of an episode has predicted nothing yet
            if math.isfinite(self.model_error):
                self._errors.append(self.model_error)
            return self._valid_until < self._period
        return False

    def _fail(self, error: BaseException) -> None:
        # without a plan the supervisor sends the safe action
        self.forget()
        self.statistics.failures += 1
        self.statistics.last_failure = f"{type(error).__name__}: {error}"
        self._reset_wanted = True
        if self.controller.device.type != "cpu":
            self._wanted = self._on_cpu

    def _replace(self, on_cpu: OnCpu) -> None:
        try:
            controller, self.plan_seconds, self.overhead = on_cpu()
        except Exception as error:
            self.statistics.last_failure += f"; no controller on the CPU: {type(error).__name__}: {error}"
            return
        self.controller, self.lead = controller, 1.0
        self.budget = self._new_budget()

    def _new_budget(self) -> SampleBudget:
        planner = self.controller.settings.planner
        return SampleBudget(planner.num_samples, planner.least_samples, self.seconds_available, self.plan_seconds, self.overhead)

    def _step(self, obs: Array, goal: Array | None, options: StepOptions) -> tuple[Command, tuple[Fault, ...]]:
        began = time.perf_counter()
        if self._reset_wanted:
            self._reset_wanted = False
            self.controller.reset()
            self._on_forget()
        pause = self.pause
        options = replace(
            options,
            num_samples=self.budget.num_samples,
            freeze=self.is_frozen or bool(pause.reason),
            after_gap=options.after_gap or pause.is_other_dynamics,
        )
        command = self.controller.step(obs, goal, options)
        faults = self._inspect(command)
        self._after_step(self.controller)
        self.statistics.plans += 1
        self.statistics.seconds = time.perf_counter() - began
        self.budget.add_duration(self.statistics.seconds)
        return command, faults
