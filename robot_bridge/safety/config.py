"""Configuration of the safety supervisor: the `safety` part of a bridge YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from robot_bridge.safety.reactions import ReactionConfig
from robot_bridge.safety.stopping import StoppingConfig

LONGEST_AGE = 10.0
"""Largest age limit that is allowed [s]; a larger number was probably meant in another unit."""


@dataclass(frozen=True)
class Range:
    """A closed interval in the channel's own unit.

    Attributes:
        low: smallest allowed value.
        high: largest allowed value.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"low {self.low:g} must be below high {self.high:g}")


@dataclass(frozen=True)
class Damper:
    """A safe action that brakes a motion: -gain * velocity.

    Attributes:
        velocity: name of an observation channel of the kind `velocity`.
        gain: command per velocity [unit of the action / unit of the velocity].
    """

    velocity: str
    gain: float = bounded(low=0.0)


@dataclass(frozen=True)
class Derivative:
    """A velocity that is measured beside a position must be its derivative.

    Attributes:
        velocity: name of the velocity's channel.
        tolerance: largest mean difference over ten control periods [the velocity's unit].
    """

    velocity: str
    tolerance: float = bounded(low=1e-9)


@dataclass(frozen=True)
class ActuatorAlarms:
    """When the diagnosis of an actuator is an alarm. The estimate must be beyond a level by `stds` of its own.

    Attributes:
        weak: gain below which an actuator is weak.
        dead: gain below which it does nothing.
        reversed: gain below which it works backwards.
        stds: by how many of its standard deviations an estimate must be beyond a level.
        seconds: for how long [s].
    """

    weak: float = bounded(0.7, low=0.0, high=1.0)
    dead: float = bounded(0.2, low=0.0, high=1.0)
    reversed: float = bounded(-0.2, low=-1.0, high=0.0)
    stds: float = bounded(2.0, low=0.0)
    seconds: float = bounded(0.5, low=0.0)

    def __post_init__(self) -> None:
        if not self.weak > self.dead:
            raise ConfigError(f"key 'dead': {self.dead:g}; allowed: below 'weak', {self.weak:g}")


@dataclass(frozen=True)
class BeliefSwingsConfig:
    """When a belief swings to and fro. It needs a checkpoint with recorded windows, which tell what a belief std is.

    A healthy belief swings, too, with the gait of a robot for example, so each robot needs limits of its own.

    Attributes:
        stds: how far the belief must come back for it to be a turn [belief stds].
        turns: number of turns that are a fault.
        seconds: the time in which they come [s].
    """

    stds: float = bounded(3.0, low=1e-3)
    turns: int = bounded(12, low=2, high=1000)
    seconds: float = bounded(4.0, low=0.1, high=600.0)


@dataclass(frozen=True)
class SafetyConfig:
    """Limits between planner and actuator.

    Attributes:
        rate_limits: fastest change of each action channel [its unit/s]; every channel needs an entry.
        acceleration_limits: fastest change of that rate [its unit/s^2], by action channel.
        jerk_limits: fastest change of that acceleration [its unit/s^3], by action channel.
        action_limits: tighter limits than the robot spec's, by action channel.
        obs_limits: allowed ranges, by observation channel; a value outside is a fault.
        margin: share of each of these ranges that is kept free at either end.
        max_training_stds: largest distance of an observation from the mean of the training data [training stds], for all channels
            but angles; a value further away is a fault, because no such robot moves like that. 0 switches this check off.
        max_age: largest age of an observation that may be acted on [s].
        max_age_of: age limits of single observation channels, which replace `max_age` for them [s].
        max_missed_deadlines: number of control periods in a row that may pass without a plan; one more is a fault.
        max_model_error: one-step error above which the model is wrong [target stds]; 0 switches this alarm off.
        model_error_steps: number of steps in a row above that error which make a fault.
        frozen_steps: number of control periods in which a channel may keep exactly its value although the model predicts a change
            of a quarter of a target std and more, without any other value in between; one more is a fault. 0 switches this off.
        max_jump: largest part of a channel's change in a control period that the model did not predict [target stds]; 0 is off.
            Where there is no prediction, as after a late plan, it is what is beyond the channel's last speed.
        max_drift: largest mean of that part over the last 50 control periods [target stds]; 0 is off.
        derivatives: the velocities that must be derivatives of positions, by the position's channel.
        actuators: when the diagnosis of an actuator is an alarm; needs a checkpoint with a diagnosis of `actuator_gain`.
        sign_turned_seconds: for how long the controller must take a motor to be wired backwards until that is told [s]; no
            diagnosis is needed.
        belief_swings: when a belief that swings to and fro is a fault; without it the belief is not watched.
        max_contradiction: how far two values may be apart between which a channel jumps to and fro from message to message, as of
            two publishers that contradict each other [training stds]; 0 switches this off, and the check of their stamps.
        ramp_seconds: duration of the soft start, from the safe action to the full plan [s].
        recovery_seconds: how long all faults must be gone before a held robot starts again [s].
        safe_action: what is sent instead of the plan. `hold` repeats the last command, `zero` is zero or the limit nearest to it,
            and `damping` brakes with the `dampers`, with zero where a velocity is not known.
            `return` leads the commands to the `posture`.
        dampers: the braking of the safe action `damping`, by action channel; a channel without an entry gets zero.
        posture: where `return` leads to, by action channel; every channel needs an entry.
        posture_seconds: duration of the way there [s]; it becomes longer where a rate limit is reached.
        reactions: what is done about a fault, by its kind; the safe action about those without an entry, and a warning about
            `drift`, `belief_oscillates` and what is said of actuators.
        slow_share: with the reaction `slow`, the largest share of the plan, and of the rate limits.
        stopping: whether the robot comes to rest when it is stopped, and what follows if it does not.
    """

    rate_limits: Mapping[str, float]
    acceleration_limits: Mapping[str, float] = field(default_factory=dict)
    jerk_limits: Mapping[str, float] = field(default_factory=dict)
    action_limits: Mapping[str, Range] = field(default_factory=dict)
    obs_limits: Mapping[str, Range] = field(default_factory=dict)
    margin: float = bounded(0.0, low=0.0, high=0.4)
    max_training_stds: float = bounded(30.0, low=0.0)
    max_age: float = bounded(0.1, low=1e-3, high=LONGEST_AGE)
    max_age_of: Mapping[str, float] = field(default_factory=dict)
    max_missed_deadlines: int = bounded(3, low=0)
    max_model_error: float = bounded(0.0, low=0.0)
    model_error_steps: int = bounded(10, low=1)
    frozen_steps: int = bounded(10, low=0)
    max_jump: float = bounded(0.0, low=0.0)
    max_drift: float = bounded(0.0, low=0.0)
    derivatives: Mapping[str, Derivative] = field(default_factory=dict)
    actuators: ActuatorAlarms | None = None
    sign_turned_seconds: float = bounded(0.5, low=0.0, high=3600.0)
    belief_swings: BeliefSwingsConfig | None = None
    max_contradiction: float = bounded(0.5, low=0.0)
    ramp_seconds: float = bounded(2.0, low=0.0)
    recovery_seconds: float = bounded(1.0, low=0.0)
    safe_action: Literal["hold", "return", "damping", "zero"] = "zero"
    dampers: Mapping[str, Damper] = field(default_factory=dict)
    posture: Mapping[str, float] = field(default_factory=dict)
    posture_seconds: float = bounded(3.0, low=0.1, high=60.0)
    reactions: Mapping[str, ReactionConfig] = field(default_factory=dict)
    slow_share: float = bounded(0.3, low=0.01, high=1.0)
    stopping: StoppingConfig | None = None

    def __post_init__(self) -> None:
        for key in ("rate_limits", "acceleration_limits", "jerk_limits", "max_age_of"):
            for name, value in getattr(self, key).items():
                if not value > 0:
                    raise ConfigError(f"key '{key}.{name}': {value:g} is out of range; allowed: above 0")
                if key == "max_age_of" and value > LONGEST_AGE:
                    raise ConfigError(f"key '{key}.{name}': {value:g} is out of range; allowed: at most {LONGEST_AGE:g}")
        for reaction, key, allowed in (
            ("damping", "dampers", "{ACTION: {velocity: CHANNEL, gain: }}"),
            ("return", "posture", "{ACTION: POSITION}"),
        ):
            if reaction in self.reactions_in_use and not getattr(self, key):
                raise ConfigError(f"key '{key}': missing with the reaction '{reaction}'; allowed: {allowed}")

    @property
    def reactions_in_use(self) -> frozenset[str]:
        """Every reaction that this part of a bridge file names."""
        then = () if self.stopping is None else self.stopping.then
        return frozenset((self.safe_action, *(reaction.action for reaction in self.reactions.values()), *then))

    def age_limit(self, channel: str) -> float:
        """Largest age of an observation channel that may be acted on [s]."""
        return self.max_age_of.get(channel, self.max_age)
