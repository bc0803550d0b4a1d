"""Names of a model's parts, as scenarios refer to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError

Indices = Mapping[str, NDArray[np.int64]]


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
    """

    robot: str
    actuators: Indices
    bodies: Indices
    joints: Indices
    geoms: Indices
    channels: Indices

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


def find_elements(robot: str, model: mujoco.MjModel, channels: tuple[str, ...]) -> Elements:
    """Collect the names of the parts of `model`."""
    joints = {model.joint(j).name: _dofs(model, j) for j in range(model.njnt) if model.joint(j).name}
    bodies = {name: np.array([b]) for b in range(1, model.nbody) if (name := _body_name(model, b))}
    geoms: dict[str, list[int]] = {}
    for g in range(model.ngeom):
        name = model.geom(g).name or _body_name(model, int(model.geom_bodyid[g]))
        if name:
            geoms.setdefault(name, []).append(g)
    return Elements(
        robot=robot,
        actuators={name: np.array([i]) for i, name in enumerate(actuator_names(model))},
        bodies=bodies,
        joints=joints,
        geoms={name: np.array(ids) for name, ids in geoms.items()},
        channels={name: np.array([i]) for i, name in enumerate(channels)},
    )


def _body_name(model: mujoco.MjModel, body: int) -> str:
    name = str(model.body(body).name)
    if not name and model.body_jntnum[body]:
        name = str(model.joint(int(model.body_jntadr[body])).name)
    return name


def _dofs(model: mujoco.MjModel, joint: int) -> NDArray[np.int64]:
    start = int(model.jnt_dofadr[joint])
    count = {mujoco.mjtJoint.mjJNT_FREE: 6, mujoco.mjtJoint.mjJNT_BALL: 3}.get(mujoco.mjtJoint(model.jnt_type[joint]), 1)
    return np.arange(start, start + count)
