"""A robot that is an environment: of Gymnasium, of dm_control's suite, or of your own; with MuJoCo underneath or without."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from torch import Tensor

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.spec import ActionChannel, Channel, HealthyRange, RobotSpec
from sim.robot.config import ActionConfig
from sim.robot.elements import CHANGES_OF_A_MODEL, CHANGES_ON_THE_WAY, Elements, actuator_names, find_elements, numbered
from sim.robot.spaces import action_limits, channel_names
from sim.robot.task import RobotTask

Env = gymnasium.Env[Any, Any]
ROUNDING = 1e-6
"""By how much limits in a file may exceed those of a space of float32, relative to them."""
MakeEnv = Callable[..., Env]
"""Makes the environment; where pictures are wanted, it is called with ``render_mode="rgb_array"``, else without arguments."""
SetDynamics = Callable[[Env, Mapping[str, float]], None]
"""Gives an environment's own parameters the values of a mapping that has all of them."""
Ends = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Whether an episode ends with a transition: obs (..., obs_dim), action (..., action_dim), next_obs -> (...) bool."""


@dataclass(frozen=True)
class EnvironmentRobot(RobotTask):
    """A robot whose physics and whose rewards are those of an environment. `environment_robot` makes one.

    Attributes:
        make: makes the environment.
        nominal: the value of each of its own parameters that nothing has changed.
        set_dynamics: gives these parameters other values; None where there are none.
        ends: whether an episode ends with a transition, for planners; None where they learn it, or where it never ends.
        learns_ends: whether a training is to learn it.
    """

    make: MakeEnv
    nominal: Mapping[str, float] = field(default_factory=dict)
    set_dynamics: SetDynamics | None = None
    ends: Ends | None = None
    learns_ends: bool = False

    @property
    def termination(self) -> Ends | None:
        return self.ends

    @property
    def learns_termination(self) -> bool:
        return self.learns_ends


def environment_robot(
    make: MakeEnv,
    names: Sequence[str | Channel] = (),
    *,
    name: str = "environment",
    dt: float | None = None,
    actions: Sequence[ActionConfig] = (),
    objective: Sequence[Term] = (),
    shaping: Sequence[Term] = (),
    healthy: Sequence[HealthyRange] = (),
    terminate_when_unhealthy: bool = True,
    ends: Ends | None = None,
    learns_ends: bool | None = None,
    parameters: Mapping[str, tuple[float, float, float]] | None = None,
    set_dynamics: SetDynamics | None = None,
    path: Path = Path("environment"),
) -> EnvironmentRobot:
    """Make a robot of an environment. The environment is made once, to read its spaces.

    Args:
        make: makes the environment; a wrapper that cuts episodes at a time limit is better left out.
        names: a name or a channel for each number of the flattened observation; by default the environment's own names, or
            ``obs_0``, ``obs_1``, ...
        name: name of the robot.
        dt: control period [s]; by default the environment's attribute `dt`.
        actions: names, units and limits of the actions; by default the limits of the action space.
        objective: reward terms; without any, the reward is the environment's own, and a training learns it.
        shaping: further terms that planners maximise and that are in no score.
        healthy: ranges in which the robot is healthy; episodes end outside of them, and planners know it.
        terminate_when_unhealthy: whether they do.
        ends: tells planners with which transitions the environment ends an episode.
        learns_ends: whether a training learns that; by default it does where neither `healthy` nor `ends` says it.
        parameters: smallest, largest and usual value of each parameter that `set_dynamics` can change, by name.
        set_dynamics: called with the environment and the values of all parameters, before and after an episode begins and at
            every change.
        path: the file that the robot came from.

    Raises:
        ConfigError: observations or actions are no numbers, or the arguments do not fit them.
    """
    env = make()
    try:
        channels = _channels(env, names)
        spec = RobotSpec(name, _dt(env, dt), channels, _actions(env, actions), tuple(healthy), terminate_when_unhealthy)
        ranges = {key: (low, high) for key, (low, high, _) in (parameters or {}).items()}
        if ranges and set_dynamics is None:
            raise ConfigError(f"parameters {', '.join(ranges)}: there is no 'set_dynamics' that could change them; give one")
        for key, (smallest, largest, usual) in (parameters or {}).items():
            if not smallest <= usual <= largest:
                raise ConfigError(
                    f"key 'parameters.{key}': {smallest:g} to {largest:g} leaves out {usual:g}, its value in the unchanged "
                    "environment; allowed: a range with that value in it"
                )
        elements = _elements(env, spec, ranges)
    finally:
        env.close()
    terms, extra = tuple(objective), tuple(shaping)
    if extra and not terms:
        raise ConfigError("key 'shaping': there is no 'objective' that it could add to; allowed: both or none of them")
    known = spec.can_end or ends is not None
    return EnvironmentRobot(
        name=name,
        path=path,
        spec=spec,
        objective=Objective(spec, terms) if terms else None,
        planning_objective=Objective(spec, (*terms, *extra)) if terms else None,
        goal=None,
        elements=elements,
        make=make,
        nominal={key: usual for key, (_, _, usual) in (parameters or {}).items()},
        set_dynamics=set_dynamics,
        ends=ends,
        learns_ends=not known if learns_ends is None else learns_ends,
    )


def mujoco_of(env: Env) -> tuple[mujoco.MjModel, mujoco.MjData] | None:
    """The MuJoCo model underneath an environment and its state; None where there is none."""
    inner = env.unwrapped
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    return (model, data) if isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData) else None


def attribute_setter(attributes: Mapping[str, str]) -> SetDynamics:
    """A `SetDynamics` that sets attributes of the unwrapped environment: the attribute of each parameter, by name."""

    def set_dynamics(env: Env, parameters: Mapping[str, float]) -> None:
        for name, value in parameters.items():
            owner, _, last = attributes[name].rpartition(".")
            setattr(operator.attrgetter(owner)(env.unwrapped) if owner else env.unwrapped, last, value)

    return set_dynamics


def attribute_value(env: Env, attribute: str) -> float:
    """The number that an attribute of the unwrapped environment holds.

    Raises:
        ConfigError: it has no such attribute, or that is no number.
    """
    try:
        value = operator.attrgetter(attribute)(env.unwrapped)
        return float(value)
    except AttributeError as error:
        raise ConfigError(f"the environment has no attribute '{attribute}'") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the environment's attribute '{attribute}' is no number: {value!r}") from error


def _channels(env: Env, names: Sequence[str | Channel]) -> tuple[Channel, ...]:
    try:
        own = channel_names(env.observation_space)
    except ConfigError as error:
        raise ConfigError(f"key 'environment': {error}") from error
    if names and len(names) != len(own):
        listed = ", ".join(own[:6]) + (", ..." if len(own) > 6 else "")
        raise ConfigError(f"key 'obs': the environment observes {len(own)} numbers ({listed}), got {len(names)} channels")
    return tuple(c if isinstance(c, Channel) else Channel(c, "1") for c in names or own)


def _dt(env: Env, dt: float | None) -> float:
    found = dt if dt is not None else getattr(env.unwrapped, "dt", None)
    try:
        # it may be a number of numpy's
        period = float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        period = 0.0
    if 0 < period < math.inf:
        return period
    rate = env.metadata.get("render_fps")
    hint = f"; its pictures are made for {rate} frames per second, so it may be {1 / rate:g}" if rate else ""
    raise ConfigError(f"key 'dt': missing, and the environment has no attribute 'dt' that says its control period [s]{hint}")


def _actions(env: Env, actions: Sequence[ActionConfig]) -> tuple[ActionChannel, ...]:
    try:
        low, high = action_limits(env.action_space)
    except ConfigError as error:
        raise ConfigError(f"key 'environment': {error}") from error
    if actions and len(actions) != len(low):
        raise ConfigError(f"key 'actions': the environment takes {len(low)} numbers, got {len(actions)} channels")
    under = mujoco_of(env)
    own = actuator_names(under[0]) if under and under[0].nu == len(low) else tuple(f"action_{i}" for i in range(len(low)))
    channels = []
    for i, action in enumerate(actions or [ActionConfig(n) for n in own]):
        ends = (low[i] if action.low is None else action.low, high[i] if action.high is None else action.high)
        if not all(abs(x) < 1e30 for x in ends):
            raise ConfigError(f"key 'actions': '{action.name}' has no limits in the environment: give 'low' and 'high'")
        rounding = ROUNDING * np.maximum(np.abs((low[i], high[i])), 1.0)
        if ends[0] < low[i] - rounding[0] or ends[1] > high[i] + rounding[1]:
            raise ConfigError(
                f"key 'actions': '{action.name}': {ends[0]:g} to {ends[1]:g} is out of range; allowed: {low[i]:g} to {high[i]:g}"
            )
        channels.append(ActionChannel(action.name, action.unit, float(ends[0]), float(ends[1])))
    return tuple(channels)


def _elements(env: Env, spec: RobotSpec, ranges: Mapping[str, tuple[float, float]]) -> Elements:
    """The parts that changes may name: those of the MuJoCo model, where there is one, and those of any environment."""
    under = mujoco_of(env)
    own = ("action_gain", *CHANGES_ON_THE_WAY, *(("parameters",) if ranges else ()))
    outside: dict[str, Any] = {"actions": numbered(spec.action_names), "parameters": ranges}
    if under is None:
        nothing: dict[str, Any] = {kind: {} for kind in ("actuators", "bodies", "joints", "geoms")}
        lack = "has no MuJoCo model that this could change"
        return Elements(spec.name, **nothing, channels=numbered(spec.obs_names), **outside, changes=own, without=lack)
    lack = "declares no parameters of its own"
    return find_elements(spec.name, under[0], spec.obs_names, **outside, changes=CHANGES_OF_A_MODEL + own, without=lack)
