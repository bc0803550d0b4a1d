"""The content of a robot's YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field

from adaptive_mbrl.config import bounded
from adaptive_mbrl.objective import Term
from adaptive_mbrl.spec import HealthyRange, Kind, Target
from sim.robot.goals import Goal
from sim.robot.reset import Reset
from sim.robot.sources import Source


@dataclass(frozen=True)
class ObsConfig:
    """One observation channel.

    Attributes:
        name: name of the channel.
        unit: unit of its numbers.
        source: where its numbers are read in the simulation.
        kind: linear, angle or velocity, as in `Channel`.
        target: what a model predicts for it, as in `Channel`.
    """

    name: str
    unit: str
    source: Source
    kind: Kind = "linear"
    target: Target = "delta"


@dataclass(frozen=True)
class ActionConfig:
    """One action channel.

    Attributes:
        name: name of the actuator.
        unit: unit of the action.
        low: smallest action; by default the lower end of the actuator's ctrlrange.
        high: largest action; by default the upper end of the actuator's ctrlrange.
    """

    name: str
    unit: str = "1"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RobotConfig:
    """The content of a robot's YAML file.

    Attributes:
        extends: the robot's file that this one is a variant of: a shipped name or a path relative to this file. Its keys hold
            where this file does not give them; a key that is given replaces the whole value.
        mjcf: the robot's MJCF: ``gymnasium:FILE``, ``dm_control:FILE``, ``package:FILE`` or a path relative to the YAML.
        obs: observation channels, in order.
        objective: the terms of the reward.
        shaping: further terms that planners maximise and that are in no score, for what a short horizon cannot foresee.
        dt: control period [s], a whole number of physics steps.
        name: name of the robot; the file's name by default.
        sim_dt: physics step [s]; that of the MJCF by default.
        actions: action channels, in order; by default all actuators within their ctrlrange, which every actuator then needs.
        goal: the goal of the objective's terms that aim at one; without such terms it is left out.
        reset: how an episode starts.
        healthy: the ranges in which the robot is healthy, for example not fallen; without any it always is.
        terminate_when_unhealthy: whether an episode ends with the first step after which the robot is not healthy.
    """

    mjcf: str
    obs: tuple[ObsConfig, ...]
    objective: tuple[Term, ...]
    dt: float = bounded(low=1e-5, high=10.0)
    name: str | None = None
    sim_dt: float | None = bounded(None, low=1e-6, high=1.0)
    actions: tuple[ActionConfig, ...] = ()
    shaping: tuple[Term, ...] = ()
    goal: Goal | None = None
    reset: Reset = field(default_factory=Reset)
    healthy: tuple[HealthyRange, ...] = ()
    terminate_when_unhealthy: bool = True
    extends: str | None = None
