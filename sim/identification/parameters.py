"""The parameters of a robot's physics that are estimated: their names, their prior, and the change that they mean.

Parameters are estimated in coordinates theta in which the prior is a Gaussian. Those that cannot be negative enter as logarithms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.robot.robot import Robot
from sim.scenarios.change import Change
from sim.scenarios.parameters import AXES
from sim.simulation.physics import Physics

Array = NDArray[np.float64]

KINDS = ("actuator_gain", "body_mass", "damping", "friction", "slope_deg", "external_force")
_STATES, _STEPS = 8, 30
_COMMON_MASS_STD = 0.25


class Parameter(NamedTuple):
    """One number of the physics.

    Attributes:
        kind: a field of `Change`.
        part: the actuator, body or axis that it belongs to; empty where it belongs to the whole robot.
        nominal: its value on the nominal robot.
        std: standard deviation of the prior, of the logarithm if `is_log`.
        low, high: the smallest and the largest value that are possible.
        is_log: whether its logarithm is estimated.
    """

    kind: str
    part: str
    nominal: float
    std: float
    low: float
    high: float
    is_log: bool = False

    @property
    def name(self) -> str:
        """For example ``actuator_gain fthigh``."""
        return f"{self.kind} {self.part}".strip()


class Parameters:
    """The parameters of one robot, n of them.

    What has no influence on the robot is left out, such as friction where nothing touches, or a force across a plane that the
    robot cannot leave. This is tried in simulation.

    Args:
        robot: the robot.
        kinds: which kinds are estimated, from `KINDS`.

    Raises:
        ConfigError: a kind is unknown, or none of them has an influence.
    """

    def __init__(self, robot: Robot, kinds: Sequence[str] = KINDS) -> None:
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ConfigError(f"unknown kind of parameter '{unknown[0]}'; known kinds: {', '.join(KINDS)}")
        self.force_body = _force_body(robot)
        candidates = [p for p in _candidates(robot, self.force_body) if p.kind in kinds]
        effects = _effects(robot, [self._change([(p, _raised(p))]) for p in candidates])
        self.all = tuple(p for p, effect in zip(candidates, effects, strict=True) if effect)
        if not self.all:
            raise ConfigError(f"robot '{robot.name}': none of the parameters {', '.join(kinds)} has an influence on it")
        self._log = np.array([p.is_log for p in self.all])
        self.nominal, self.low, self.high = (self._theta([getattr(p, k) for p in self.all]) for k in ("nominal", "low", "high"))
        self.std = np.array([p.std for p in self.all])
        masses = np.array([p.kind == "body_mass" for p in self.all], dtype=float)
        self.covariance: Array = np.diag(self.std**2)
        if masses.sum() > 1:
            # a robot is rarely heavier in one part alone: what all parts have in common is likelier than what each has of its own
            self.covariance += _COMMON_MASS_STD**2 * np.outer(masses, masses)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return tuple(p.name for p in self.all)

    def values(self, theta: Array) -> Array:
        """Parameters in their own units, (..., n), of coordinates (..., n)."""
        return np.where(self._log, np.exp(np.where(self._log, theta, 0.0)), theta)

    def stds(self, theta: Array, std: Array) -> Array:
        """Standard deviations in the parameters' own units, (..., n), of those of the coordinates, to first order."""
        return np.where(self._log, self.values(theta) * std, std)

    def change(self, theta: Array) -> Change:
        """The change that coordinates (n,) mean."""
        return self._change(zip(self.all, self.values(theta).tolist(), strict=True))

    def _change(self, values: Iterable[tuple[Parameter, float]]) -> Change:
        fields: dict[str, dict[str, float]] = {}
        for parameter, value in values:
            fields.setdefault(parameter.kind, {})[parameter.part] = value
        force = fields.pop("external_force", None)
        found: dict[str, Any] = {kind: parts.get("", parts) for kind, parts in fields.items()}
        if force is not None:
            found["external_force"] = {self.force_body: tuple(force.get(axis, 0.0) for axis in AXES)}
        return Change(**found)

    def _theta(self, values: Sequence[float]) -> Array:
        array = np.array(values, dtype=np.float64)
        return np.where(self._log, np.log(np.where(self._log, array, 1.0)), array)


def _raised(parameter: Parameter) -> float:
    """The value one standard deviation above the nominal one."""
    return parameter.nominal * np.exp(parameter.std) if parameter.is_log else parameter.nominal + parameter.std


def _candidates(robot: Robot, force_body: str) -> list[Parameter]:
    """All parameters that a robot may have."""
    weight = float(robot.model.body_mass.sum() * np.linalg.norm(robot.model.opt.gravity)) or 10.0
    gains = [Parameter("actuator_gain", name, 1.0, 1.0, -2.0, 3.0) for name in (a.name for a in robot.spec.action)]
    masses = [Parameter("body_mass", name, 1.0, 0.15, 0.2, 5.0, is_log=True) for name in robot.elements.bodies]
    factors = [
        Parameter("damping", "", 1.0, 0.5, 0.05, 20.0, is_log=True),
        Parameter("friction", "", 1.0, 0.4, 0.1, 5.0, is_log=True),
        Parameter("slope_deg", "", 0.0, 8.0, -45.0, 45.0),
    ]
    forces = [Parameter("external_force", axis, 0.0, 0.15 * weight, -weight, weight) for axis in AXES] if force_body else []
    return [*gains, *masses, *factors, *forces]


def _force_body(robot: Robot) -> str:
    """The body that an unknown force acts on: the first one of a robot that moves about, the last one of a robot on a base."""
    model = robot.model
    names = {int(index[0]): name for name, index in robot.elements.bodies.items()}
    roots = [b for b in range(1, model.nbody) if model.body_parentid[b] == 0 and model.body_dofnum[b] > 1 and b in names]
    depth = np.zeros(model.nbody, dtype=int)
    for body in range(1, model.nbody):
        depth[body] = depth[model.body_parentid[body]] + 1
    last = max(names, key=lambda b: depth[b], default=None)
    return names[roots[0]] if roots else names.get(last, "") if last is not None else ""


def _effects(robot: Robot, changes: Sequence[Change]) -> list[bool]:
    """Whether each of the changes can be seen in what a robot does from its initial states under random actions."""
    physics = Physics(robot, _STATES * (len(changes) + 1))
    for index, change in enumerate(changes):
        physics.set_change(np.arange(_STATES) + _STATES * index, change)
    copies = len(changes) + 1
    qpos, qvel = (np.tile(np.stack([robot.initial.sample(seed)[i] for seed in range(_STATES)]), (copies, 1)) for i in (0, 1))
    physics.place(qpos, qvel)
    rng, seen = np.random.default_rng(0), np.zeros(len(changes), dtype=bool)
    for _ in range(_STEPS):
        previous = physics.arrays["qpos"].copy()
        action = rng.uniform(robot.action_low, robot.action_high, (_STATES, len(robot.action_low)))
        physics.step(np.tile(action, (copies, 1)))
        obs = physics.observe(previous).reshape(copies, _STATES, -1)
        seen |= (np.abs(obs[:-1] - obs[-1]) > 1e-6).any(axis=(1, 2))
    return list(map(bool, seen))
