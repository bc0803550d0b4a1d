"""The safety supervisor, which every command to an actuator passes through. Pure Python and NumPy, no ROS.

Whatever comes in, in any order and at any time, a command that goes out

    lies within the action limits,
    differs from the last one by at most  rate * (time since then, at most one control period),
    follows the plan only while every observation channel is fresh, finite and within its limits.

A fault leads to the state `HOLD`, in which the safe action is sent. A start begins with the safe action as well; during the ramp
the plan's share of the command grows from 0 to 1. Time is monotonic [s]. The supervisor does not trust its clock: when the clock
jumps or stands still, the allowed change becomes smaller and waiting times become longer, never the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.config import Range, SafetyConfig
from robot_bridge.safety.states import Event, State, after

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """The newest values of all observation channels.

    Attributes:
        values: newest value of each channel, (obs_dim,), in the spec's units; undefined for a channel that never came.
        received: time at which each value was measured, or at which it arrived if it has no stamp, monotonic [s], (obs_dim,);
            -inf for a channel that never came.
    """

    values: Array
    received: Array


@dataclass(frozen=True)
class Decision:
    """The outcome of one control step.

    Attributes:
        command: the command that is sent, (action_dim,); None if nothing is sent.
        state: state of the supervisor after the step.
        faults: reasons for not following the plan, in words; empty if it was followed.
        plan_share: the plan's share of the command, from 0 (the safe action alone) to 1 (the plan alone).
    """

    command: Array | None
    state: State
    faults: tuple[str, ...] = ()
    plan_share: float = 0.0


@dataclass(frozen=True)
class TrainingRange:
    """What the training data were like.

    Attributes:
        mean: mean of each observation channel, (obs_dim,).
        std: standard deviation of each, (obs_dim,).
    """

    mean: Array
    std: Array


class SafetySupervisor:
    """Checks every command on its way from the planner to the actuators.

    Args:
        spec: the robot's channels.
        config: limits, and reactions to faults.
        training: what the checkpoint was trained on, for the limit `max_training_stds`; None for no such limit.

    Attributes:
        state: the present state, which decides what is sent.
        holds: number of times that the safe action took over from the plan because of a fault.
        hold_reasons: the faults with which the newest of these began.

    Raises:
        ConfigError: a channel is unknown, a rate limit is missing, or the limits leave no range.
    """

    def __init__(self, spec: RobotSpec, config: SafetyConfig, training: TrainingRange | None = None) -> None:
        self.spec, self.config = spec, config
        self.trained_on(training)
        actions, channels = spec.action_names, spec.obs_names
        _require_names("safety.rate_limits", config.rate_limits, actions, complete=True)
        _require_names("safety.action_limits", config.action_limits, actions)
        _require_names("safety.dampers", config.dampers, actions)
        for key in ("obs_limits", "max_age_of"):
            _require_names(f"safety.{key}", getattr(config, key), channels)
        _require_names("safety.dampers", {d.velocity: 0.0 for d in config.dampers.values()}, channels)
        for name, damper in config.dampers.items():
            if spec.obs[spec.obs_index(damper.velocity)].kind != "velocity":
                raise ConfigError(f"key 'safety.dampers.{name}.velocity': '{damper.velocity}' is no velocity")
        self.low, self.high = np.array([self._action_range(i) for i in range(spec.action_dim)]).T
        self.rate = np.array([config.rate_limits[name] for name in actions])
        self.max_age = np.array([config.age_limit(name) for name in channels])
        self.obs_low, self.obs_high = np.array([self._obs_range(name) for name in channels]).T
        self.state = State.INACTIVE
        self.holds = 0
        self.hold_reasons: tuple[str, ...] = ()
        self._zero_command = np.clip(np.zeros(spec.action_dim), self.low, self.high)
        self._sent = self._sent_before = self._zero_command
        self._now = -math.inf
        self._seconds_in_state = 0.0
        self._missed_in_a_row = 0
        self._model_error_steps = 0
        self._estop_is_silent = True

    def trained_on(self, training: TrainingRange | None) -> None:
        """From now on the limit `max_training_stds` is about these training data; None for no such limit."""
        self._training = training
        self._possible_low, self._possible_high = self._possible_ranges()

    @property
    def rest_seconds(self) -> float:
        """Longest time between any two commands at the rate limits [s]."""
        return float(((self.high - self.low) / self.rate).max())

    def activate(self, now: float, *, dry_run: bool = False, present: Array | None = None) -> None:
        """Start; this has no effect unless the state is `INACTIVE`.

        Args:
            now: monotonic time [s].
            dry_run: whether nothing is sent.
            present: the command that corresponds to what the actuators do at the moment, (action_dim,), NaN where it is not
                known. Commands go on from there, or else from the last one that was sent.
        """
        if self.state is not State.INACTIVE:
            return
        self._apply(Event.ACTIVATE_DRY_RUN if dry_run else Event.ACTIVATE)
        if present is not None:
            self._sent = np.clip(np.where(np.isfinite(present), present, self._sent), self.low, self.high)
        self._now = now
        self._missed_in_a_row = self._model_error_steps = 0

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
        """Whether every channel is fresh and finite."""
        return bool((self.is_fresh(now, observed) & np.isfinite(observed.values)).all())

    def is_fresh(self, now: float, observed: Observed) -> NDArray[np.bool_]:
        """Which channels are within their age limits, (obs_dim,)."""
        return self._fresh(_age(now, observed))

    def decide(
        self, now: float, observed: Observed, plan: Array | None, *, missed: int = 0, model_error: float = math.nan
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
        """
        age = _age(now, observed)
        fresh = self._fresh(age)
        faults = (
            *self._obs_faults(observed.values, age, fresh),
            *self._plan_faults(plan, missed),
            *self._model_faults(model_error),
        )
        passed = self._tick(now)
        self._react(faults, passed)
        if self._sends_nothing:
            return Decision(None, self.state, faults)
        share = 0.0 if faults or plan is None else self._plan_share()
        safe = self._safe_action(np.where(fresh & self._is_possible(observed.values), observed.values, 0.0))
        wanted = safe if plan is None or share == 0.0 else safe + share * (np.asarray(plan, dtype=np.float64) - safe)
        return Decision(self._approach(wanted, passed), self.state, faults, share)

    def approach(self, now: float, target: Array) -> Array | None:
        """The next command on the way to a target, at the rate limits; for a loop that is about to end.

        Args:
            now: monotonic time [s].
            target: the command to end with, usually `rest`, (action_dim,).

        Returns:
            The command that is sent, (action_dim,); None if nothing is sent.
        """
        passed = self._tick(now)
        if self._sends_nothing:
            return None
        return self._approach(target, passed)

    def take_back(self) -> None:
        """Forget the last command, because it could not be sent."""
        self._sent = self._sent_before

    @property
    def rest(self) -> Array:
        """The command with which the robot can be left alone, (action_dim,).

        With the safe action `hold` this is the last command, otherwise zero or the limit nearest to it.
        """
        return self._sent if self.config.safe_action == "hold" else self._zero_command

    @property
    def _sends_nothing(self) -> bool:
        return self.state in (State.INACTIVE, State.DRY_RUN) or (self.state is State.ESTOP and self._estop_is_silent)

    def _approach(self, wanted: Array, passed: float) -> Array:
        change = self.rate * min(passed, self.spec.dt)
        self._sent_before = self._sent
        self._sent = np.clip(np.clip(wanted, self._sent - change, self._sent + change), self.low, self.high)
        return self._sent.copy()

    def _tick(self, now: float) -> float:
        """Time since the last control step [s], limited to between 0 and two control periods in case the clock jumped."""
        passed = now - self._now if math.isfinite(now) else 0.0
        if math.isfinite(now):
            self._now = now
        return min(max(passed, 0.0), 2 * self.spec.dt)

    def _react(self, faults: tuple[str, ...], passed: float) -> None:
        self._seconds_in_state = 0.0 if faults and self.state is State.HOLD else self._seconds_in_state + passed
        if faults:
            before = self.state
            self._apply(Event.FAULT)
            if self.state is State.HOLD and before is not State.HOLD:
                self.holds, self.hold_reasons = self.holds + 1, faults
        elif self.state is State.HOLD and self._seconds_in_state >= self.config.recovery_seconds:
            self._apply(Event.RECOVERED)
        elif self.state is State.RAMP and self._seconds_in_state >= self.config.ramp_seconds:
            self._apply(Event.RAMPED)

    def _apply(self, event: Event) -> None:
        before, self.state = self.state, after(self.state, event)
        if self.state is not before:
            self._seconds_in_state = 0.0

    def _plan_share(self) -> float:
        if self.state is State.RAMP and self.config.ramp_seconds > 0:
            return min(1.0, self._seconds_in_state / self.config.ramp_seconds)
        return 1.0 if self.state in (State.RAMP, State.RUNNING) else 0.0

    def _fresh(self, age: Array) -> NDArray[np.bool_]:
        # an observation from the future means that a clock jumped, so its age is not known
        return (age >= 0) & (age <= self.max_age)

    def _obs_faults(self, values: Array, age: Array, fresh: NDArray[np.bool_]) -> list[str]:
        faults, possible = self._stale_fault(age, fresh), self._is_possible(values)
        for i, name in enumerate(self.spec.obs_names):
            if not fresh[i]:
                continue
            if not math.isfinite(values[i]):
                faults.append(f"'{name}' is not finite")
            elif not self.obs_low[i] <= values[i] <= self.obs_high[i]:
                faults.append(f"'{name}' is {values[i]:g}; allowed: {self.obs_low[i]:g} to {self.obs_high[i]:g}")
            elif self._training is not None and not possible[i]:
                distance = abs(values[i] - self._training.mean[i]) / self._training.std[i]
                allowed = self.config.max_training_stds
                faults.append(f"'{name}' is {values[i]:g}, {distance:.3g} stds from the training data; allowed: {allowed:g}")
        return faults

    def _is_possible(self, values: Array) -> NDArray[np.bool_]:
        """Where values are finite and no further from the training data than is allowed, (obs_dim,)."""
        return np.isfinite(values) & (values >= self._possible_low) & (values <= self._possible_high)

    def _possible_ranges(self) -> tuple[Array, Array]:
        unlimited = np.full(self.spec.obs_dim, np.inf)
        if self._training is None or self.config.max_training_stds == 0:
            return -unlimited, unlimited
        # an angle may count turns, and all its values are alike
        is_angle = np.array([channel.kind == "angle" for channel in self.spec.obs])
        reach = np.where(is_angle, unlimited, self.config.max_training_stds * self._training.std)
        return self._training.mean - reach, self._training.mean + reach

    def _stale_fault(self, age: Array, fresh: NDArray[np.bool_]) -> list[str]:
        """One fault for all stale channels together, since usually many become stale at once."""
        stale = np.flatnonzero(~fresh)
        if not len(stale):
            return []
        i = stale[np.argmax(np.nan_to_num(age[stale], posinf=np.inf))]
        old = "was never received" if age[i] == math.inf else f"is {age[i]:.3f} s old, allowed: {self.max_age[i]:g} s"
        more = f", and {len(stale) - 1} more channels" if len(stale) > 1 else ""
        return [f"'{self.spec.obs_names[i]}' {old}{more}"]

    def _plan_faults(self, plan: Array | None, missed: int) -> list[str]:
        self._missed_in_a_row = self._missed_in_a_row + missed if missed else 0
        if plan is None:
            return ["no plan"]
        if np.shape(plan) != (self.spec.action_dim,) or not np.isfinite(plan).all():
            return [f"the plan is not {self.spec.action_dim} finite numbers"]
        if self._missed_in_a_row > self.config.max_missed_deadlines:
            return [f"{self._missed_in_a_row} deadlines missed in a row; allowed: {self.config.max_missed_deadlines}"]
        return []

    def _model_faults(self, error: float) -> list[str]:
        limit = self.config.max_model_error
        self._model_error_steps = self._model_error_steps + 1 if limit > 0 and error > limit else 0
        if self._model_error_steps < self.config.model_error_steps:
            return []
        return [f"model error {error:.2f} target stds, above {limit:g} for {self._model_error_steps} steps"]

    def _safe_action(self, values: Array) -> Array:
        """The safe action for an observation, (obs_dim,), in which unknown values are 0."""
        if self.config.safe_action == "hold":
            return self._sent
        safe = np.zeros(self.spec.action_dim)
        if self.config.safe_action == "damping":
            for name, damper in self.config.dampers.items():
                safe[self.spec.action_names.index(name)] = -damper.gain * values[self.spec.obs_index(damper.velocity)]
        return np.clip(safe, self.low, self.high)

    def _action_range(self, index: int) -> tuple[float, float]:
        channel = self.spec.action[index]
        limits = self.config.action_limits.get(channel.name, Range(channel.low, channel.high))
        key = f"safety.action_limits.{channel.name}"
        if limits.low < channel.low or limits.high > channel.high:
            raise ConfigError(
                f"key '{key}': {limits.low:g} to {limits.high:g}; allowed: within {channel.low:g} to {channel.high:g}"
            )
        if self.config.safe_action != "hold" and channel.low <= 0 <= channel.high and not limits.low <= 0 <= limits.high:
            raise ConfigError(
                f"key '{key}': {limits.low:g} to {limits.high:g}; allowed: with zero in it, where the robot comes to rest"
            )
        return _without_margin(limits, self.config.margin)

    def _obs_range(self, name: str) -> tuple[float, float]:
        limits = self.config.obs_limits.get(name)
        return (-math.inf, math.inf) if limits is None else _without_margin(limits, self.config.margin)


def _age(now: float, observed: Observed) -> Array:
    with np.errstate(invalid="ignore"):
        return now - observed.received


def _without_margin(limits: Range, margin: float) -> tuple[float, float]:
    kept = margin * (limits.high - limits.low)
    return limits.low + kept, limits.high - kept


def _require_names(key: str, values: Mapping[str, object], known: tuple[str, ...], *, complete: bool = False) -> None:
    unknown = [name for name in values if name not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise ConfigError(f"key '{key}': unknown channel '{unknown[0]}'{hint}; known channels: {', '.join(known)}")
    missing = [name for name in known if name not in values] if complete else []
    if missing:
        raise ConfigError(f"key '{key}': missing channel '{missing[0]}'; one entry for each of {', '.join(known)}")
