"""The safety supervisor, which every command to an actuator passes through. Pure Python and NumPy, no ROS.

Whatever comes in, in any order and at any time, a command that goes out

    lies within the action limits,
    differs from the last one by at most  rate * (time since then, at most one control period),
    follows the plan only while every observation channel is fresh, finite and within its limits.

The most severe reaction to the present faults wins (`reactions.py`). One that stops the robot leads to the state `HOLD`, in which
the plan is not followed. A start begins with the safe action as well; during the ramp the plan's share of the command grows from
0 to 1. Time is monotonic [s]. The supervisor does not trust its clock: when the clock jumps or stands still, the allowed change
becomes smaller and waiting times become longer, never the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.limits import command_limiter, require_channels
from robot_bridge.safety.observation_checks import ObservationChecks, Observed, TrainingRange
from robot_bridge.safety.plan_checks import PlanChecks
from robot_bridge.safety.reactions import Key, Reaction, Reactions, severity, stops
from robot_bridge.safety.safe_actions import SafeActions
from robot_bridge.safety.states import CONTROLLED, Event, State, after
from robot_bridge.safety.stopping import Outcome, StopWatch

Array = NDArray[np.float64]


__all__ = ["Decision", "Observed", "SafetySupervisor", "TrainingRange"]


@dataclass(frozen=True)
class Decision:
    """The outcome of one control step.

    Attributes:
        command: the command that is sent, (action_dim,); None if nothing is sent.
        state: state of the supervisor after the step.
        faults: what is wrong, in words.
        plan_share: the plan's share of the command, from 0 (the safe action alone) to 1 (the plan alone).
        reaction: what is done about the faults; None without any, and where nothing is sent.
        outcome: whether the robot comes to rest while it is being stopped; empty where that is not watched.
    """

    command: Array | None
    state: State
    faults: tuple[str, ...] = ()
    plan_share: float = 0.0
    reaction: Reaction | None = None
    outcome: Outcome = ""


class SafetySupervisor:
    """Checks every command on its way from the planner to the actuators.

    Args:
        spec: the robot's channels.
        config: limits, and reactions to faults.
        training: what the checkpoint was trained on, for the limit `max_training_stds`; None for no such limit.

    Attributes:
        state: the present state, which decides what is sent.
        holds: number of times that the plan was left because of a fault.
        hold_reasons: the faults with which the newest of these began.

    Raises:
        ConfigError: a channel is unknown, a rate limit is missing, or the limits leave no range.
    """

    def __init__(self, spec: RobotSpec, config: SafetyConfig, training: TrainingRange | None = None) -> None:
        require_channels(spec, config)
        self.spec, self.config = spec, config
        self._limiter = command_limiter(spec, config)
        self.low, self.high = self._limiter.low, self._limiter.high
        self._checks = ObservationChecks(spec, config, training)
        self._plan_checks = PlanChecks(config, spec.action_dim)
        self._reactions = Reactions(config.reactions, config.safe_action)
        self._safe = SafeActions(spec, config, self.low, self.high)
        self._watch = None if config.stopping is None else StopWatch(config.stopping, spec.obs_names)
        self.state = State.INACTIVE
        self.holds = 0
        self.hold_reasons: tuple[str, ...] = ()
        self._stopping: Reaction = config.safe_action
        self._now = -math.inf
        self._seconds_in_state = 0.0
        self._estop_is_silent = True
        self._ramps_from: Array | None = None

    @property
    def max_age(self) -> Array:
        """Age limits of the observation channels [s], (obs_dim,)."""
        return self._checks.max_age

    @property
    def obs_range(self) -> tuple[Array, Array]:
        """Smallest and largest allowed value of each observation channel, each (obs_dim,)."""
        return self._checks.low, self._checks.high

    def trained_on(self, training: TrainingRange | None) -> None:
        """From now on the limit `max_training_stds` is about these training data; None for no such limit."""
        self._checks.trained_on(training)

    @property
    def rest_seconds(self) -> float:
        """Longest time between any two commands within the limits [s]."""
        return self._limiter.longest_seconds

    @property
    def waiting(self) -> tuple[Key, ...]:
        """Faults that are only warned of for now, and that a person may override."""
        return self._reactions.waiting

    def override(self) -> tuple[Key, ...]:
        """A person decides to go on: faults that are waiting stay warnings until they are gone. Returns these faults."""
        return self._reactions.override() if self.state in CONTROLLED else ()

    def activate(
        self,
        now: float,
        *,
        dry_run: bool = False,
        present: Array | None = None,
        goes_on: bool = False,
        at_once: bool = False,
    ) -> None:
        """Start; this has no effect unless the state is `INACTIVE`.

        Args:
            now: monotonic time [s].
            dry_run: whether nothing is sent.
            present: the command that corresponds to what the actuators do at the moment, (action_dim,), NaN where it is not
                known. Commands go on from there, or else from the last one that was sent.
            goes_on: whether the ramp begins with that command instead of the safe action, because the robot is under way.
            at_once: whether there is no ramp at all.
        """
        if self.state is not State.INACTIVE:
            return
        self._apply(Event.ACTIVATE_DRY_RUN if dry_run else Event.ACTIVATE)
        sent = self._limiter.sent
        self._limiter.start_from(sent if present is None else np.where(np.isfinite(present), present, sent))
        self._ramps_from = self._limiter.sent if goes_on else None
        self._seconds_in_state = self.config.ramp_seconds if at_once else 0.0
        self._now = now
        self._plan_checks.forget()

    def deactivate(self) -> None:
        """Send nothing from now on; this does not end an emergency stop."""
        self._apply(Event.DEACTIVATE)

    def estop(self) -> None:
        """Latch the emergency stop, from any state. If nothing was sent before, nothing is sent in it either."""
        if self.state is not State.ESTOP:
            self._estop_is_silent = self.state in (State.INACTIVE, State.DRY_RUN)
        self._apply(Event.ESTOP)

    def clear_estop(self) -> None:
        """End an emergency stop; the state becomes `INACTIVE`."""
        self._apply(Event.CLEAR_ESTOP)

    def is_usable(self, now: float, observed: Observed) -> bool:
        """Whether every channel is fresh, finite and no further from the training data than is allowed."""
        return bool(self._checks.is_known(now, observed).all())

    def is_fresh(self, now: float, observed: Observed) -> NDArray[np.bool_]:
        """Which channels are within their age limits, (obs_dim,)."""
        return self._checks.is_fresh(now, observed)

    def decide(
        self,
        now: float,
        observed: Observed,
        plan: Array | None,
        *,
        missed: int = 0,
        model_error: float = math.nan,
        others: Sequence[Fault] = (),
        is_planned: bool = True,
    ) -> Decision:
        """Decide what is sent at this control step.

        Args:
            now: monotonic time [s].
            observed: the newest observation.
            plan: the action that the planner wants, (action_dim,); None if there is no plan.
            missed: number of control periods since the last step, this one included, whose plan was not ready in time, so that
                `plan` comes from an earlier one.
            model_error: one-step error, on observations not yet seen, of the model that the plan uses [target stds]; NaN if it is
                not known.
            others: faults that were found elsewhere.
            is_planned: whether a plan was asked for; False where the robot is led to rest.
        """
        of_observation = self._checks.faults(now, observed)
        # without an observation there cannot be a plan, and in an emergency stop none is asked for
        is_missing = is_planned and not of_observation and self.state is not State.ESTOP
        faults = [
            *of_observation,
            *(self._plan_checks.of_plan(plan, missed) if is_missing or plan is not None else []),
            *self._plan_checks.of_model(model_error),
            *others,
        ]
        words = tuple(fault.words for fault in faults)
        passed = self._tick(now)
        reaction = self._reactions.severest(faults, passed)
        self._react(words, passed, reaction)
        if self._sends_nothing:
            return Decision(None, self.state, words)
        known = self._checks.is_known(now, observed)
        self._watch_stop(observed.values, known, passed)
        share = 0.0 if plan is None else self._plan_share(reaction)
        # only a plan may grow out of the command that goes on; whoever leads the robot to rest gets the safe action
        goes_on = None if plan is None else self._ramps_from
        safe = self._safe_action(np.where(known, observed.values, 0.0), passed) if goes_on is None else goes_on
        wanted = safe if plan is None or share == 0.0 else safe + share * (np.asarray(plan, dtype=np.float64) - safe)
        command = self._limiter.approach(wanted, self._allowed(passed), self.config.slow_share if reaction == "slow" else 1.0)
        done = self._stopping if self.state in (State.HOLD, State.ESTOP) else reaction
        return Decision(command, self.state, words, share, done, "" if self._watch is None else self._watch.outcome)

    def approach(self, now: float, target: Array) -> Array | None:
        """The next command on the way to a target, within the limits; for a loop that is about to end.

        Args:
            now: monotonic time [s].
            target: the command to end with, usually `rest`, (action_dim,).

        Returns:
            The command that is sent, (action_dim,); None if nothing is sent.
        """
        passed = self._tick(now)
        if self._sends_nothing:
            return None
        return self._limiter.approach(target, self._allowed(passed))

    def take_back(self) -> None:
        """Forget the last command, because it could not be sent."""
        self._limiter.take_back()

    @property
    def sent(self) -> Array:
        """The last command, (action_dim,)."""
        return self._limiter.sent

    @property
    def rest(self) -> Array:
        """The command with which the robot can be left alone, (action_dim,).

        With the safe actions `hold` and `return` this is the last command, otherwise zero or the limit nearest to it.
        """
        return self._limiter.sent if self.config.safe_action in ("hold", "return") else self._safe.zero

    @property
    def _sends_nothing(self) -> bool:
        return self.state in (State.INACTIVE, State.DRY_RUN) or (self.state is State.ESTOP and self._estop_is_silent)

    def _allowed(self, passed: float) -> float:
        return min(passed, self.spec.dt)

    def _tick(self, now: float) -> float:
        """Time since the last control step [s], limited to between 0 and two control periods in case the clock jumped."""
        passed = now - self._now if math.isfinite(now) else 0.0
        if math.isfinite(now):
            self._now = now
        return min(max(passed, 0.0), 2 * self.spec.dt)

    def _react(self, faults: tuple[str, ...], passed: float, reaction: Reaction | None) -> None:
        is_stop = reaction is not None and stops(reaction)
        self._seconds_in_state = 0.0 if is_stop and self.state is State.HOLD else self._seconds_in_state + passed
        if reaction is not None and is_stop:
            before = self.state
            self._apply(Event.FAULT)
            if self.state is State.HOLD and before is not State.HOLD:
                self.holds, self.hold_reasons = self.holds + 1, faults
                self._stop_with(reaction)
            elif severity(reaction) > severity(self._stopping):
                self._stop_with(reaction)
        elif self.state is State.HOLD and self._seconds_in_state >= self.config.recovery_seconds:
            self._apply(Event.RECOVERED)
        elif self.state is State.RAMP and self._seconds_in_state >= self.config.ramp_seconds:
            self._apply(Event.RAMPED)

    def _stop_with(self, reaction: Reaction) -> None:
        self._stopping = reaction
        self._safe.begin(self._limiter.sent)

    def _watch_stop(self, values: Array, known: NDArray[np.bool_], passed: float) -> None:
        """Look whether the robot comes to rest; if it does not, a more severe reaction follows."""
        if self._watch is None:
            return
        if self.state not in (State.HOLD, State.ESTOP):
            self._watch.end()
            return
        following = self._watch.look(values, known, passed, self._stopping)
        if following != self._stopping:
            self._stop_with(following)

    def _apply(self, event: Event) -> None:
        before, self.state = self.state, after(self.state, event)
        if self.state is before:
            return
        self._seconds_in_state, self._ramps_from = 0.0, None
        if self.state not in CONTROLLED:
            self._reactions.forget()
        if self.state is State.ESTOP:
            # an emergency stop makes nothing milder
            self._stop_with(max(self._stopping, self.config.safe_action, key=severity))
        elif self.state is not State.HOLD:
            self._stop_with(self.config.safe_action)

    def _plan_share(self, reaction: Reaction | None) -> float:
        if reaction is not None and stops(reaction):
            return 0.0
        largest = self.config.slow_share if reaction == "slow" else 1.0
        if self.state is State.RAMP and self.config.ramp_seconds > 0:
            return min(largest, self._seconds_in_state / self.config.ramp_seconds)
        return largest if self.state in (State.RAMP, State.RUNNING) else 0.0

    def _safe_action(self, values: Array, passed: float) -> Array:
        """What is sent instead of the plan, for an observation, (obs_dim,), in which unknown values are 0."""
        reaction = self._stopping
        if reaction == "return" and self.state not in (State.HOLD, State.ESTOP):
            # a ramp and a slow plan go on from where the robot is, and not by way of the posture
            reaction = "hold"
        return self._safe.command(reaction, self._limiter.sent, values, passed)
