"""The content of the YAML file of a robot that is an environment of Gymnasium or of dm_control's suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Term
from adaptive_mbrl.spec import HealthyRange, Kind, Target
from sim.robot.config import ActionConfig


@dataclass(frozen=True)
class EnvironmentObsConfig:
    """One number of the environment's observation.

    Attributes:
        name: name of the channel.
        unit: unit of its numbers.
        kind: linear, angle or velocity, as in `Channel`.
        target: what a model predicts for it, as in `Channel`.
    """

    name: str
    unit: str = "1"
    kind: Kind = "linear"
    target: Target = "delta"


@dataclass(frozen=True)
class ParameterConfig:
    """A parameter of an environment that scenarios may change.

    Attributes:
        low: smallest value.
        high: largest value.
        attribute: the attribute of the unwrapped environment that holds it; dots lead into attributes. By default it has the
            parameter's name.
    """

    low: float
    high: float
    attribute: str | None = None

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ConfigError(f"low {self.low:g} is above high {self.high:g}; allowed: low <= high")


@dataclass(frozen=True)
class EnvironmentConfig:
    """The content of a robot's YAML file with the key `environment`.

    Attributes:
        environment: ``gymnasium:ID``, or ``gymnasium:MODULE:ID`` where a module has to be imported first, or
            ``dm_control:DOMAIN/TASK``.
        options: further arguments of `gymnasium.make`, or of the task of dm_control's suite.
        obs: observation channels, one for each number of the flattened observation; by default they have the names of the
            environment's own entries, or ``obs_0``, ``obs_1``, ...
        actions: action channels, one for each number of an action; by default their limits are the environment's.
        dt: control period [s]; that of the environment by default.
        name: name of the robot; the file's name by default.
        objective: the terms of the reward; without any, the reward is the environment's own, and a training learns it.
        shaping: further terms that planners maximise and that are in no score.
        healthy: the ranges in which the robot is healthy; episodes end outside of them, and planners know it.
        terminate_when_unhealthy: whether an episode ends with the first step after which the robot is not healthy.
        termination: how planners know when the environment itself ends an episode: ``learned`` from the episodes, or ``none``.
            With `healthy` it is ``none`` by default.
        parameters: the environment's own parameters that scenarios may change, by name.
        extends: the robot's file that this one is a variant of, as for other robots.
    """

    environment: str
    options: Mapping[str, Any] = field(default_factory=dict)
    obs: tuple[EnvironmentObsConfig, ...] = ()
    actions: tuple[ActionConfig, ...] = ()
    dt: float | None = bounded(None, low=1e-5, high=10.0)
    name: str | None = None
    objective: tuple[Term, ...] = ()
    shaping: tuple[Term, ...] = ()
    healthy: tuple[HealthyRange, ...] = ()
    terminate_when_unhealthy: bool = True
    termination: Literal["learned", "none"] | None = None
    parameters: Mapping[str, ParameterConfig] = field(default_factory=dict)
    extends: str | None = None
