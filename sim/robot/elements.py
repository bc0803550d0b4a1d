"""Names of a model's parts, as scenarios refer to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError

Indices = Mapping[str, NDArray[np.int64]]

CHANGES_OF_A_MODEL = (
    "actuator_gain",
    "body_mass",
    "body_size",
    "damping",
    "friction",
    "armature",
    "slope_deg",
    "gravity",
    "external_force",
)
"""Keys of a change that a MuJoCo model is needed for."""
CHANGES_ON_THE_WAY = ("action_delay", "obs_noise")
"""Keys of a change that any simulated robot can have, since they act on commands and observations on their way."""


@dataclass(frozen=True)
class Elements:
    """Index arrays into the model's fields, by name.

    Attributes:
        robot: the robot's name, for error messages.
        actuators: the actuators; one without a name in the MJCF is named after its joint.
        bodies: all bodies but the world; one without a name in the MJCF is named after its first joint.
        joints: the degrees of freedom (dofs) of each joint.
        geoms: the geoms; one without a name in the MJCF is named after its body, so that several may share a name.
        channels: the observation channels.
        actions: the action channels, where their gains can be changed.
        parameters: the smallest and the largest value of each of an environment's own parameters, by name.
        changes: the keys of changes that the robot can have.
        without: what the robot lacks for other changes, for error messages.
    """

    robot: str
    actuators: Indices
    bodies: Indices
    joints: Indices
    geoms: Indices
    channels: Indices
    actions: Indices = field(default_factory=dict)
    parameters: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    changes: tuple[str, ...] = CHANGES_OF_A_MODEL + CHANGES_ON_THE_WAY
    without: str = "is no environment, which is what that needs"

    def indices(self, kind: str, name: str) -> NDArray[np.int64]:
        """The indices of a named part; the error about an unknown name lists the known ones.

        Args:
            kind: kind of the part: ``actuators``, ``bodies``, ``joints``, ``geoms`` or ``channels``.
            name: name of the part in the MJCF.
        """
        known: Indices = getattr(self, kind)
        if name not in known:
            singular = {"bodies": "body"}.get(kind, kind.removesuffix("s"))
            raise ConfigError(f"unknown {singular} '{name}' of robot '{self.robot}'; known {kind}: {', '.join(known) or 'none'}")
        return known[name]

    def require(self, key: str) -> None:
        """Refuse a key of a change that this robot cannot have."""
        if key not in self.changes:
            raise ConfigError(f"the robot '{self.robot}' {self.without}; allowed: {', '.join(self.changes)}")

    def require_parameter(self, name: str, value: float) -> None:
        """Refuse a value that a parameter of the environment cannot have."""
        if name not in self.parameters:
            known = ", ".join(self.parameters) or "none"
            hint = did_you_mean(name, self.parameters)
            raise ConfigError(f"unknown parameter '{name}'{hint} of robot '{self.robot}'; known parameters: {known}")
        low, high = self.parameters[name]
        if not low <= value <= high:
            raise ConfigError(f"parameter '{name}': {value:g} is out of range; allowed: {low:g} to {high:g}")


def actuator_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """One name per actuator: its own name, else the name of the joint that it drives, else its number."""
    names = []
    for i in range(model.nu):
        name = model.actuator(i).name
        drives_joint = int(model.actuator_trntype[i]) in (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
        if not name and drives_joint:
            name = model.joint(int(model.actuator_trnid[i, 0])).name
        names.append(name or f"actuator_{i}")
    return tuple(names)


def find_elements(robot: str, model: mujoco.MjModel, channels: tuple[str, ...], **further: Any) -> Elements:
    """Collect the names of the parts of `model`; `further` are attributes of `Elements` that the model does not say."""
    joints = {model.joint(j).name: _dofs(model, j) for j in range(model.njnt) if model.joint(j).name}
    bodies = {name: np.array([b]) for b in range(1, model.nbody) if (name := _body_name(model, b))}
    geoms: dict[str, list[int]] = {}
    for g in range(model.ngeom):
        name = model.geom(g).name or _body_name(model, int(model.geom_bodyid[g]))
        if name:
            geoms.setdefault(name, []).append(g)
    return Elements(
        robot=robot,
        actuators=numbered(actuator_names(model)),
        bodies=bodies,
        joints=joints,
        geoms={name: np.array(ids) for name, ids in geoms.items()},
        channels=numbered(channels),
        **further,
    )


def numbered(names: Sequence[str]) -> Indices:
    """The place of each name, as an index of its own."""
    return {name: np.array([i]) for i, name in enumerate(names)}


def _body_name(model: mujoco.MjModel, body: int) -> str:
    name = str(model.body(body).name)
    if not name and model.body_jntnum[body]:
        name = str(model.joint(int(model.body_jntadr[body])).name)
    return name


def _dofs(model: mujoco.MjModel, joint: int) -> NDArray[np.int64]:
    start = int(model.jnt_dofadr[joint])
    count = {mujoco.mjtJoint.mjJNT_FREE: 6, mujoco.mjtJoint.mjJNT_BALL: 3}.get(mujoco.mjtJoint(model.jnt_type[joint]), 1)
    return np.arange(start, start + count)
