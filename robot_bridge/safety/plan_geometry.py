"""Points and contacts of the robot along a plan, by the robot's MJCF. The only part of the running bridge that needs MuJoCo.

The simulation's room `sim` knows how to read joint positions out of observations and what touches then. It is loaded only where a
bridge file asks for it, so that a bridge without `points` and `collision` needs no simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.config import Range
from robot_bridge.safety.faults import FaultKind
from robot_bridge.safety.observation_checks import without_margin
from robot_bridge.safety.plan_limits import Look, PlanLimits, Violations, Workspace, beyond, by_particle, goes_out
from robot_bridge.safety.plan_limits_config import CollisionConfig, PlanLimitsConfig

Array = NDArray[np.float64]
TOLERANCE = 1e-3
"""How much nearer two parts may come than they are at the beginning of the plan, and how far a point may go out [m]."""
AXES = ("x", "y", "z")


class Approach(Protocol):
    """Two parts that come nearer than they may."""

    @property
    def between(self) -> tuple[str, str]:
        """The names of the two parts."""

    @property
    def low(self) -> float:
        """The smallest allowed distance [m]."""

    @property
    def distances(self) -> Array:
        """Their distance at each pose, (P, S) [m]; infinite where it is not below `low`."""


def make_plan_limits(spec: RobotSpec, config: PlanLimitsConfig) -> PlanLimits:
    """What finds the faults of plans for a robot.

    Args:
        spec: the robot's channels, those of the checkpoint.
        config: the limits.

    Raises:
        ConfigError: a channel, a name or the robot's file is wrong.
    """
    for name in config.workspace:
        if name not in spec.obs_names:
            known = ", ".join(spec.obs_names)
            raise ConfigError(f"key 'plan_limits.workspace': unknown channel '{name}'; the checkpoint's robot has {known}")
    looks: list[Look] = [Workspace(spec, config.workspace, config.margin)] if config.workspace else []
    if config.points or config.collision is not None:
        try:
            looks += _with_geometry(spec, config)
        except ConfigError as error:
            raise ConfigError(f"key 'plan_limits': {error}") from error
    return PlanLimits(looks, config.max_share)


def _with_geometry(spec: RobotSpec, config: PlanLimitsConfig) -> list[Look]:
    from sim.robot.contact_model import ContactRules
    from sim.robot.contacts import Geometry
    from sim.robot.robot import load_robot

    robot = load_robot(config.robot or spec.name)
    if robot.spec.obs_names != spec.obs_names:
        raise ConfigError(f"robot '{robot.name}' has other observations than the checkpoint's robot '{spec.name}'")
    rules = None if config.collision is None else ContactRules(**_rules(config.collision))
    geometry = Geometry(robot, tuple(config.points), rules)
    looks: list[Look] = []
    if config.points:
        looks.append(Places(geometry.places, config, spec.dt))
    if rules is not None:
        looks.append(Contacts(geometry.approaches, config.every, spec.dt))
    return looks


def _rules(config: CollisionConfig) -> dict[str, Any]:
    """The arguments of the simulation's `ContactRules`."""
    return {
        "self_collision": config.self_collision,
        "obstacles": config.obstacles,
        "boxes": {name: (box.low, box.high) for name, box in config.boxes.items()},
        "clearance": config.clearance,
        "allowed": config.allowed,
        "distances": {name: (*distance.between, distance.low) for name, distance in config.distances.items()},
    }


def looked_at(steps: int, every: int) -> NDArray[np.int64]:
    """The steps of a plan that are looked at, of 0 .. `steps`: the beginning, and then every how many-th one, or the last one."""
    return np.array([0, *(range(every, steps + 1, every) or [steps])])


class Places:
    """Allowed places of points along a plan.

    Args:
        places: gives their positions at observations (P, S, obs_dim) that are some time apart [s]: (P, S, number, 3) [m].
        config: the limits.
        dt: control period [s].
    """

    kind: FaultKind = "plan_leaves_workspace"

    def __init__(self, places: Callable[[Array, float], Array], config: PlanLimitsConfig, dt: float) -> None:
        self._places, self._every, self._dt = places, config.every, dt
        self._names = tuple(config.points)
        limits = [[_ends(getattr(point, axis), config.margin) for axis in AXES] for point in config.points.values()]
        self._low, self._high = np.moveaxis(np.array(limits), -1, 0)

    def __call__(self, predicted: Array) -> list[Violations]:
        """Look at predicted observations, (P, 1 + n, obs_dim)."""
        steps = looked_at(predicted.shape[1] - 1, self._every)
        positions = self._places(predicted[:, steps], steps[1] * self._dt)
        is_known = np.isfinite(predicted[:, steps].sum(-1))[..., None, None]
        excess = np.where(is_known, beyond(positions, self._low, self._high), np.inf)
        out = goes_out(excess, TOLERANCE)
        return [self._violation(k, a, out[..., k, a], steps) for k, a in np.argwhere(out.any((0, 1)))]

    def _violation(self, k: int, a: int, out: NDArray[np.bool_], steps: NDArray[np.int64]) -> Violations:
        seconds = steps[1 + int(np.flatnonzero(out.any(0))[0])] * self._dt
        allowed = f"{self._low[k, a]:g} to {self._high[k, a]:g} m"
        words = f"the plan leads {AXES[a]} of '{self._names[k]}' out of {allowed} in {seconds:.2f} s"
        return Violations(by_particle(out), self.kind, words, self._names[k])


class Contacts:
    """What touches along a plan.

    Args:
        approaches: gives the pairs that come too near at observations (P, S, obs_dim) that are some time apart [s], as
            `sim.robot.contacts.Geometry` does.
        every: look at every how many-th step.
        dt: control period [s].
    """

    kind: FaultKind = "plan_collides"

    def __init__(self, approaches: Callable[[Array, float], Sequence[Approach]], every: int, dt: float) -> None:
        self._approaches, self._every, self._dt = approaches, every, dt

    def __call__(self, predicted: Array) -> list[Violations]:
        """Look at predicted observations, (P, 1 + n, obs_dim)."""
        steps = looked_at(predicted.shape[1] - 1, self._every)
        found = []
        for approach in self._approaches(predicted[:, steps], steps[1] * self._dt):
            out = goes_out(np.maximum(approach.low - approach.distances, 0.0), TOLERANCE)
            if out.any():
                found.append(self._violation(approach, out, steps))
        unknown = by_particle(~np.isfinite(predicted[:, steps].sum(-1)))
        if unknown.any():
            found.append(Violations(unknown, self.kind, "the prediction of the plan is not finite", ""))
        return found

    def _violation(self, approach: Approach, out: NDArray[np.bool_], steps: NDArray[np.int64]) -> Violations:
        first = 1 + int(np.flatnonzero(out.any(0))[0])
        one, other = approach.between
        nearest, low = approach.distances[:, first].min(), approach.low
        how = "lets them touch" if low == 0 else f"brings them to {nearest:.3f} m; allowed: {low:g} m"
        words = f"'{one}' and '{other}': the plan {how} in {steps[first] * self._dt:.2f} s"
        return Violations(by_particle(out), self.kind, words, f"{one} {other}")


def _ends(limits: Range | None, margin: float) -> tuple[float, float]:
    return (-np.inf, np.inf) if limits is None else without_margin(limits, margin)
