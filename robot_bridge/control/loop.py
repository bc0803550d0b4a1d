"""The control loop: a command at the very beginning of every control period, by absolute deadlines on the monotonic clock.

    tick k:             read obs_k, let the supervisor check the action planned for k, send it
    tick k + 1 - lead:  read the newest obs, predict the obs at which the next command will act, plan for k + 1 from there

Planning runs on a thread of its own. `lead` is the share of the control period between the start of a plan and the sending of
its command; it is chosen for the machine. The controller learns from transitions between ticks: the observation at one tick, the
mean of the commands that acted until the next one, and the observation there.

- A plan that is not ready at its tick is a missed deadline: the next action of the previous plan is sent.
- A planner that raises an exception leaves no plan: the supervisor sends the safe action.
- While the loop itself stands still, a watchdog sends the safe action.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.controller import Command, StepOptions
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import Send
from robot_bridge.control.plan_ahead import PlanAhead
from robot_bridge.control.sent_commands import SentCommands
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import Decision, Observed, SafetySupervisor, TrainingRange

Array = NDArray[np.float64]
GoalAt = Callable[[float], Array | None]
Checks = Callable[[float, Observed, Command | None], tuple[Fault, ...]]
EXTRA_REST_SECONDS = 1.0
"""Time that the actuators get to come to rest at the end, in addition to what the rate limits need [s]."""
DAMPING_SECONDS = 1.0
"""How long a robot whose safe action is `damping` is damped at the end, before its actuators come to rest [s]."""
LATE_PLAN_GRACE = 0.1
"""How long the loop waits at a tick for a plan that is not ready yet, as a share of the control period."""
PERIODS_KEPT = 200
"""Number of control periods that figures of their length are about."""
PERIOD_TOLERANCE = 0.3
"""Two observations are no transition if the time between them differs from the control period by more than this share."""


@dataclass
class LoopStatistics:
    """Counts since the loop was made.

    Attributes:
        steps: number of control periods.
        missed_deadlines: number of periods whose plan was not ready in time.
        overruns: number of periods that were skipped while active, because the loop was late by a whole period or more.
        gaps: number of pairs of observations that were no transition to learn from.
        stalls: number of commands that the watchdog had to send.
        failures: number of exceptions in the loop itself.
        last_failure: the newest of these exceptions, in words.
        lateness: how late each of the last periods began [s].
        begins: when the last periods began, monotonic [s].
    """

    steps: int = 0
    missed_deadlines: int = 0
    overruns: int = 0
    gaps: int = 0
    stalls: int = 0
    failures: int = 0
    last_failure: str = ""
    lateness: deque[float] = field(default_factory=lambda: deque(maxlen=PERIODS_KEPT))
    begins: deque[float] = field(default_factory=lambda: deque(maxlen=PERIODS_KEPT))


class ControlLoop:
    """Runs a controller on a robot.

    Args:
        planning: the controller on its thread.
        supervisor: the safety supervisor, which every command passes through.
        inputs: the source of observations.
        send: function that publishes a command.
        goal: function that gives the objective's goal for a plan that acts from a moment on, monotonic [s].
        checks: function that looks at every tick for faults that the supervisor does not find by itself: it gets the time, the
            observation and the newest plan.
        latency: time from a measurement to the effect of a command that is sent at once [s].
        clock: function that gives the monotonic time [s].
        on_release: function that is called once the actuators are at rest and no more commands follow.
        on_period_end: function that is called at the end of every period with the decision and the newest plan, for telemetry.
    """

    def __init__(
        self,
        planning: PlanAhead,
        supervisor: SafetySupervisor,
        inputs: Inputs,
        send: Send,
        *,
        goal: GoalAt = lambda begin: None,
        checks: Checks = lambda now, observed, command: (),
        latency: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        on_release: Callable[[], None] = lambda: None,
        on_period_end: Callable[[Decision, Command | None], None] = lambda decision, command: None,
    ) -> None:
        self.planning, self.supervisor, self.inputs, self.send = planning, supervisor, inputs, send
        self.goal, self.checks, self.clock = goal, checks, clock
        self.on_release, self.on_period_end = on_release, on_period_end
        self.dt = supervisor.spec.dt
        self.statistics = LoopStatistics()
        self.faults: tuple[str, ...] = ()
        self.decision: Decision | None = None
        self._others: tuple[Fault, ...] = ()
        self.due = math.inf
        self._lock = threading.Lock()
        self._latency = latency
        self._sent = SentCommands(self.dt, latency, memory=latency + float(supervisor.max_age.max()) + 2 * self.dt)
        self._tick = -math.inf
        self._observed = inputs.snapshot()
        self._previous: Observed | None = None
        self._skipped_periods = 0
        self._was_usable = self._is_first = False
        self._is_resting = False
        self._stall_answered = -math.inf

    # --- what others may ask for, from any thread ---

    def has_usable_observation(self) -> bool:
        """Whether every channel is fresh and finite."""
        return self.supervisor.is_usable(self.clock(), self.inputs.snapshot())

    def activate(
        self, *, dry_run: bool = False, present: Array | None = None, goes_on: bool = False, at_once: bool = False
    ) -> None:
        """Start to control; this has no effect in an emergency stop. The arguments are those of `SafetySupervisor.activate`."""
        with self._lock:
            self.supervisor.activate(self.clock(), dry_run=dry_run, present=present, goes_on=goes_on, at_once=at_once)

    def trained_on(self, training: TrainingRange) -> None:
        """Say what the training data of the controller are like that plans from now on."""
        with self._lock:
            self.supervisor.trained_on(training)

    def deactivate(self) -> None:
        """Bring the actuators to rest, then send no more commands."""
        self.come_to_rest()

    def estop(self) -> None:
        """Latch the emergency stop and send the safe action at once."""
        with self._lock:
            self.supervisor.estop()
            self._decide(None)

    def override(self) -> tuple[str, ...]:
        """Go on in spite of the faults that are only warned of for now; returns what they are."""
        with self._lock:
            return tuple(" ".join(filter(None, key)) for key in self.supervisor.override())

    def clear_estop(self) -> None:
        """Bring the actuators to rest and end an emergency stop. Control starts again with `activate`."""
        self.come_to_rest()
        with self._lock:
            self.supervisor.clear_estop()
            self.on_release()

    # --- the loop ---

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set, then bring the actuators to the safe action."""
        tick = self.clock()
        try:
            while not stop.wait(min(self.dt, max(0.0, tick - self.clock()))):
                tick = self._current_tick(tick)
                self.statistics.begins.append(self.clock())
                self.statistics.lateness.append(self.statistics.begins[-1] - tick)
                self.due = tick + self.dt
                # no exception may end the loop, because the robot would go on with its last command
                try:
                    decision = self.act(tick)
                except Exception as error:
                    self._count_failure(error)
                    self._answer_failure()
                else:
                    stop.wait(min(self.dt, max(0.0, tick + (1 - self.planning.lead) * self.dt - self.clock())))
                    try:
                        self.plan()
                        self.on_period_end(decision, self.planning.command)
                    except Exception as error:
                        self._count_failure(error)
                tick += self.dt
        finally:
            self.due = math.inf
            self.come_to_rest()
            self.on_release()

    def _current_tick(self, tick: float) -> float:
        """The tick to go on with. Periods that are over are skipped; after a clock was set back, the ticks start anew."""
        late = self.clock() - tick
        if late > self.dt:
            periods = math.floor(late / self.dt)
            if self.supervisor.state is not State.INACTIVE:
                self.statistics.overruns += periods
            self.planning.skip(periods)
            self._skipped_periods, self._previous = periods, None
            return tick + periods * self.dt
        return tick if late > -self.dt else self.clock()

    def act(self, tick: float) -> Decision:
        """Begin the control period of `tick`: let the supervisor check what was planned for it, and send the result."""
        self.statistics.steps += 1
        self._tick = tick
        self._observed = self.inputs.snapshot()
        failures = self.planning.statistics.failures
        missed = self.planning.next_period()
        if missed and self.planning.is_due:
            # a command that is a little late is better than one from the previous plan; a planner that hangs is not waited for
            missed = not self.planning.wait(tick + LATE_PLAN_GRACE * self.dt - self.clock())
        has_failed = self.planning.statistics.failures > failures
        self._was_usable = self._is_usable(self._observed)
        self._is_first = self._was_usable and self.planning.is_idle and not has_failed
        if self._is_first:
            # there is no earlier plan to follow, so this period waits for the first one
            values = self._observed.values
            effect = self.clock() + self.planning.plan_seconds + self._latency
            pending, remaining = self._pending(self._observed, effect)
            options = StepOptions(after_gap=True, pending=pending, remaining=remaining)
            self.planning.start(values, self.goal(effect), options, ahead=0)
            missed = not self.planning.wait(tick + self.planning.seconds_available - self.clock())
        self.statistics.missed_deadlines += missed
        self._others = self.checks(self.clock(), self._observed, self.planning.command)
        # skipped periods had no plan either
        skipped, self._skipped_periods = self._skipped_periods, 0
        with self._lock:
            if self._is_resting:
                return Decision(None, self.supervisor.state)
            # the supervisor looks at the newest observation, which may have arrived since the plan began
            return self._follow(self.planning.action(), 1 + skipped if missed else 0)

    def plan(self) -> None:
        """Start the plan for the next period; called `lead` before that period begins."""
        self.planning.replace_failed()
        observed = self._observed
        latest = self.inputs.snapshot() if self.planning.lead < 1 else observed
        # the observation of the tick was checked at the tick and may be too old by now
        if not (self._was_usable and self._is_usable(latest)):
            self.planning.forget()
            self._previous = None
        elif self._is_first:
            # this observation was planned from at the tick; its command came in mid-period, so no transition begins here
            self._previous = None
        elif self.planning.is_free:
            previous = self._previous  # a copy, since the watchdog's thread may set it to None
            acted = None if previous is None else self._acted(previous, observed)
            effect = self._tick + self.dt + self._latency
            pending, remaining = self._pending(latest, effect)
            self.statistics.gaps += acted is None
            options = StepOptions(
                sent=acted,
                after_gap=acted is None,
                pending=pending,
                latest=None if latest is observed else latest.values,
                remaining=remaining,
            )
            self.planning.start(observed.values, self.goal(effect), options)
            self._previous = observed
        else:
            # the planner is still busy, so the controller does not see this observation
            self._previous = None

    def answer_stall(self) -> bool:
        """Send the safe action if the loop stands still, once in every period; called by the watchdog.

        Returns:
            Whether the loop stood still.
        """
        now = self.clock()
        if self.supervisor.state is State.INACTIVE:
            return False
        if now < self.due + self.dt / 2 or now < self._stall_answered + self.dt:
            return False
        self._stall_answered = now
        # a loop that hangs while it decides or sends holds the lock, and then nothing can be sent from here
        if not self._lock.acquire(timeout=self.dt):
            return False
        try:
            self.statistics.stalls += 1
            self._previous = None
            self._decide(None)
            self.faults = ("the control loop stands still", *self.faults)
        finally:
            self._lock.release()
        return True

    def come_to_rest(self) -> None:
        """Lead the commands to rest, for as long as the rate limits need, and deactivate.

        With the safe action `damping` the robot is damped first, for `DAMPING_SECONDS`.
        """
        damped = round(DAMPING_SECONDS / self.dt) if self.supervisor.config.safe_action == "damping" else 0
        self._is_resting = True
        try:
            for step in range(damped + math.ceil((self.supervisor.rest_seconds + EXTRA_REST_SECONDS) / self.dt)):
                if not self._is_on_its_way(is_damped=step < damped):
                    break
                time.sleep(self.dt)
        finally:
            with self._lock:
                self.supervisor.deactivate()
                self._is_resting = False
                if self.supervisor.state is State.INACTIVE:
                    self.on_release()

    def _is_on_its_way(self, *, is_damped: bool) -> bool:
        """Send one command on the way to rest.

        Returns:
            Whether further ones must follow.
        """
        try:
            with self._lock:
                if is_damped:
                    return self._decide(None, is_planned=False).command is not None
                rest = self.supervisor.rest
                command = self.supervisor.approach(self.clock(), rest)
                self._send(command)
                return command is not None and not np.array_equal(command, rest)
        except Exception as error:
            self._count_failure(error)
            return True

    def _follow(self, action: Array | None, missed: int) -> Decision:
        """Send what the supervisor makes of the plan's action, `missed` as in `SafetySupervisor.decide`."""
        return self._decide(action, missed=missed, model_error=self.planning.model_error)

    def _decide(
        self, action: Array | None, *, missed: int = 0, model_error: float = math.nan, is_planned: bool = True
    ) -> Decision:
        """Send what the supervisor makes of an action; without an action that is the safe one. The caller holds the lock."""
        observed = self.inputs.snapshot()
        decision = self.supervisor.decide(
            self.clock(),
            observed,
            action,
            missed=missed,
            model_error=model_error,
            others=self._others,
            is_planned=is_planned,
        )
        self.faults, self.decision = decision.faults, decision
        self._send(decision.command)
        return decision

    def _send(self, command: Array | None) -> None:
        if command is not None:
            try:
                self.send(command)
            except Exception:
                self.supervisor.take_back()
                raise
        self._sent.add(self.clock(), command)

    def _count_failure(self, error: Exception) -> None:
        self.statistics.failures += 1
        self.statistics.last_failure = f"{type(error).__name__}: {error}"

    def _answer_failure(self) -> None:
        """Send the safe action in a period whose own command could not be decided or sent."""
        self._previous = None
        try:
            with self._lock:
                if not self._is_resting:
                    self._decide(None)
        except Exception as error:
            self._count_failure(error)

    def _is_usable(self, observed: Observed) -> bool:
        is_off = self.supervisor.state in (State.INACTIVE, State.ESTOP)
        return not is_off and self.supervisor.is_usable(self.clock(), observed)

    def _pending(self, observed: Observed, effect: float) -> tuple[Array, float]:
        """The actions that act between an observation and the first effect of a plan, as in `SentCommands.pending`.

        Returns:
            Actions, (P, action_dim), and the share of its period for which the first of them still acts.
        """
        with self._lock:
            actions, remaining = self._sent.pending(_measured(observed), effect)
        return np.array(actions).reshape(-1, self.supervisor.spec.action_dim), remaining

    def _acted(self, before: Observed, now: Observed) -> Array | None:
        """The mean action between two observations, (action_dim,); None if they are not about one control period apart."""
        begin, end = _measured(before), _measured(now)
        is_transition = abs(end - begin - self.dt) <= PERIOD_TOLERANCE * self.dt
        with self._lock:
            return self._sent.mean(begin, end) if is_transition else None


def _measured(observed: Observed) -> float:
    """When an observation was measured: the median over its channels, monotonic [s]."""
    return float(np.median(observed.received))
