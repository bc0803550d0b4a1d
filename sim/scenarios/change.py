"""A change of a robot as data, and what it means for the fields of a MuJoCo model.

Every value is relative to the nominal robot: a second change replaces the first one and is not multiplied with it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.errors import ConfigError
from sim.robot.elements import Elements
from sim.scenarios.size import sized_fields

Scale = float | Mapping[str, float]
Array = NDArray[np.float64]

MAX_ACTION_DELAY = 31

# what the names in a mapping refer to
NAMED_AFTER = {
    "actuator_gain": "actuators",
    "body_mass": "bodies",
    "body_size": "bodies",
    "damping": "joints",
    "friction": "geoms",
    "armature": "joints",
    "external_force": "bodies",
    "obs_noise": "channels",
    "action_gain": "actions",
}
ALLOWED: Mapping[str, tuple[float, float]] = {
    "actuator_gain": (-10.0, 10.0),
    "body_mass": (0.01, 100.0),
    "body_size": (0.05, 20.0),
    "damping": (0.0, 1000.0),
    "friction": (0.0, 100.0),
    "armature": (0.0, 1000.0),
    "slope_deg": (-60.0, 60.0),
    "gravity": (-10.0, 10.0),
    "external_force": (-1e5, 1e5),
    "action_delay": (0, MAX_ACTION_DELAY),
    "obs_noise": (0.0, 1e3),
    "action_gain": (-10.0, 10.0),
}
"""The smallest and the largest number of each field of a change."""


@dataclass(frozen=True)
class Change:
    """How a robot differs from its nominal self; the default is no difference.

    A number scales the whole field, a mapping scales the named parts and leaves the others nominal.

    Attributes:
        actuator_gain: scales the force of actuators; 0 is a dead motor.
        body_mass: scales mass and inertia of bodies.
        body_size: scales all lengths of bodies: their geoms, sites and joints, and where their child bodies are attached. The
            mass stays, so that the inertia grows with the square. The length of a thin pole is such a size.
        damping: scales the damping of joints.
        friction: scales the friction of geoms. MuJoCo takes the larger friction of two touching geoms, so a single foot
            cannot become more slippery than its floor.
        armature: scales the armature (rotor inertia) of joints.
        slope_deg: gravity tilted about the y axis [degrees]; positive is uphill for a robot that moves along +x.
        gravity: scales gravity.
        external_force: force on bodies at their centre of mass [N]: x, y, z in the world frame.
        action_delay: number of control steps between sending an action and its effect; until then the actuators rest at zero,
            or as near to it as their limits allow.
        obs_noise: standard deviation of the noise on observation channels, in each channel's own unit.
        action_gain: scales the commands to an environment, which are then clipped to their limits; 0 is a command that does
            not arrive.
        parameters: values of an environment's own parameters, by name, in their own units.
    """

    actuator_gain: Scale = 1.0
    body_mass: Scale = 1.0
    body_size: Scale = 1.0
    damping: Scale = 1.0
    friction: Scale = 1.0
    armature: Scale = 1.0
    slope_deg: float = 0.0
    gravity: float = 1.0
    external_force: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    action_delay: int = 0
    obs_noise: Scale = 0.0
    action_gain: Scale = 1.0
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, (low, high) in ALLOWED.items():
            value = getattr(self, key)
            for name, number in _numbers(value):
                where = f"{key}.{name}" if name else key
                if not math.isfinite(number) or not low <= number <= high:
                    raise ConfigError(f"{where}: {number} is out of range; allowed: {low:g} to {high:g}")

    def check(self, elements: Elements, where: str = "") -> None:
        """Raise a `ConfigError` that lists what is known if this robot has no such part, parameter or kind of change.

        Args:
            elements: the names of the robot's parts.
            where: the key of this change in a file, for the message.
        """
        for key in self.to_changes():
            value = getattr(self, key)
            try:
                elements.require(key)
                for name in value if key in NAMED_AFTER and isinstance(value, Mapping) else ():
                    elements.indices(NAMED_AFTER[key], name)
                for name, number in self.parameters.items() if key == "parameters" else ():
                    elements.require_parameter(name, number)
            except ConfigError as error:
                raise ConfigError(f"key '{where + '.' if where else ''}{key}': {error}") from error

    def to_changes(self) -> dict[str, Any]:
        """The keys that differ from nominal, as a scenario file would write them."""
        nominal = Change()
        return {
            f.name: to_mapping(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if getattr(self, f.name) != getattr(nominal, f.name)
        }


def model_fields(change: Change, model: mujoco.MjModel, elements: Elements) -> dict[str, Array]:
    """The values of every model field that a change can alter, made from the nominal `model`."""
    gain = scale_vector(change.actuator_gain, model.nu, elements.actuators)
    mass = scale_vector(change.body_mass, model.nbody, elements.bodies)
    size = scale_vector(change.body_size, model.nbody, elements.bodies)
    damping = scale_vector(change.damping, model.nv, elements.joints)
    armature = scale_vector(change.armature, model.nv, elements.joints)
    friction = scale_vector(change.friction, model.ngeom, elements.geoms)
    pair = np.maximum(friction[model.pair_geom1], friction[model.pair_geom2])
    force_limits = np.sort(model.actuator_forcerange * gain[:, None], axis=1)
    return {
        "actuator_gainprm": _scaled_force(model.actuator_gainprm, model.actuator_gaintype, gain),
        "actuator_biasprm": _scaled_force(model.actuator_biasprm, model.actuator_biastype, gain),
        "actuator_forcerange": force_limits,
        "body_mass": model.body_mass * mass,
        "body_inertia": model.body_inertia * (mass * size**2)[:, None],
        **sized_fields(model, size),
        "dof_damping": model.dof_damping * damping,
        "dof_dampingpoly": model.dof_dampingpoly * damping[:, None],
        "dof_armature": model.dof_armature * armature,
        "geom_friction": model.geom_friction * friction[:, None],
        "pair_friction": model.pair_friction * pair[:, None],
        "gravity": tilted_gravity(model.opt.gravity, change.gravity, change.slope_deg),
    }


def force_array(change: Change, model: mujoco.MjModel, elements: Elements) -> Array:
    """The content of `xfrc_applied`, (nbody, 6): force [N] and torque [N m] at each body's centre of mass."""
    forces = np.zeros((model.nbody, 6))
    for name, force in change.external_force.items():
        forces[elements.bodies[name], :3] = force
    return forces


def scale_vector(scale: Scale, size: int, named: Mapping[str, NDArray[np.int64]], default: float = 1.0) -> Array:
    """One factor per part of the robot.

    Args:
        scale: one number for all parts, or numbers by the names of the parts.
        size: number of parts.
        named: indices of the parts, by name.
        default: factor of the parts that `scale` does not name.

    Returns:
        Factors, (size,).
    """
    if not isinstance(scale, Mapping):
        return np.full(size, float(scale))
    factors = np.full(size, default)
    for name, factor in scale.items():
        factors[named[name]] = factor
    return factors


def tilted_gravity(gravity: Array, scale: float, slope_deg: float) -> Array:
    """Gravity [m/s^2] as felt on a floor that rises by `slope_deg` along +x."""
    x, y, z = scale * np.asarray(gravity)
    angle = math.radians(slope_deg)
    return np.array([x * math.cos(angle) + z * math.sin(angle), y, z * math.cos(angle) - x * math.sin(angle)])


def _scaled_force(parameters: Array, types: NDArray[np.int32], gain: Array) -> Array:
    """Scale the force of each actuator: its affine coefficients, or a muscle's peak force and scale."""
    scaled = np.array(parameters)
    last = int(mujoco.mjtGain.mjGAIN_MUSCLE)  # the same number as mjBIAS_MUSCLE
    muscle = types == last
    if np.any((types > last) & (gain != 1.0)):
        raise ConfigError(
            "actuator_gain: allowed for motor, position, velocity, general (fixed or affine) and muscle actuators only"
        )
    scaled[~muscle, :3] *= gain[~muscle, None]
    scaled[muscle, 2:4] *= gain[muscle, None]
    return scaled


def _numbers(value: Any) -> list[tuple[str, float]]:
    if not isinstance(value, Mapping):
        return [("", float(value))]
    return [(name, float(n)) for name, entry in value.items() for n in (entry if isinstance(entry, tuple | list) else (entry,))]
