"""What kind of robot a MuJoCo model is: its base, its joints, what its actuators move, and whether it stands on something."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.init.joints import FREE, SLIDE, Joint, read_joint

Array = NDArray[np.float64]
_PREFERRED_KEYFRAMES = ("home", "stand", "standing", "init")


@dataclass(frozen=True)
class Anatomy:
    """What is known of a model.

    Attributes:
        model: the compiled model.
        data: the model's state at the start, after a forward pass.
        keyframe: name of the keyframe that episodes start from; None for the model's own initial state.
        joints: all joints that have a name, in the order of the model.
        driven: which dof each actuator moves, and how much force it gets per unit of the actuator's force, (nu, nv).
        floor: number of the geom that the robot stands on or may fall onto; None if it touches nothing fixed.
    """

    model: mujoco.MjModel
    data: mujoco.MjData
    keyframe: str | None
    joints: tuple[Joint, ...]
    driven: Array
    floor: int | None

    @property
    def base(self) -> tuple[Joint, ...]:
        """The joints of a base that moves freely; none for a robot that is bolted down or runs on a rail."""
        return tuple(j for j in self.joints if j.of_base)

    @property
    def limbs(self) -> tuple[Joint, ...]:
        """All joints that are none of the base."""
        return tuple(j for j in self.joints if not j.of_base)

    @property
    def root(self) -> int:
        """Number of the body that carries the robot: the one below the world whose tree the actuators move."""
        moved = np.flatnonzero(np.abs(self.driven).sum(axis=0))
        bodies = self.model.dof_bodyid[moved] if len(moved) else np.array([min(1, self.model.nbody - 1)])
        return int(np.bincount(self.model.body_rootid[bodies]).argmax())

    @property
    def flies(self) -> bool:
        """Whether actuators push the base itself, as rotors do."""
        dofs = [d for j in self.base for d in j.dofs]
        thrusters = ~_through_joints(self.model)
        return bool(np.abs(self.driven[thrusters][:, dofs]).sum() > 0)

    @property
    def has_gravity(self) -> bool:
        """Whether anything falls down."""
        return float(np.linalg.norm(self.model.opt.gravity)) > 0.1

    @property
    def weight(self) -> float:
        """Weight of the robot [N]."""
        return float(self.model.body_subtreemass[self.root] * np.linalg.norm(self.model.opt.gravity))


def look_at(model: mujoco.MjModel, *, use_keyframe: bool = True) -> Anatomy:
    """Find out what kind of robot a model is.

    Args:
        model: the model; its joints have names.
        use_keyframe: whether episodes may start from a keyframe of the model.
    """
    data = mujoco.MjData(model)
    keyframe = _keyframe(model) if use_keyframe else None
    if keyframe is not None:
        mujoco.mj_resetDataKeyframe(model, data, keyframe)
    mujoco.mj_forward(model, data)
    driven = _driven(model, data)
    moved = np.abs(driven[_through_joints(model)]).sum(axis=0) > 0
    joints = tuple(read_joint(model, data, i, moved) for i in range(model.njnt))
    found = Anatomy(model, data, None if keyframe is None else model.key(keyframe).name, joints, driven, None)
    base = _base(found)
    marked = tuple(j if j.index not in base else replace(j, of_base=True) for j in joints)
    return Anatomy(model, data, found.keyframe, marked, driven, _floor(model, found.root))


def _keyframe(model: mujoco.MjModel) -> int | None:
    """The keyframe that a robot starts from: one with a telling name, else the first that has a name at all."""
    names = [model.key(i).name for i in range(model.nkey)]
    wanted = [name for name in (*_PREFERRED_KEYFRAMES, *names) if name and name in names]
    return names.index(wanted[0]) if wanted else None


def _driven(model: mujoco.MjModel, data: mujoco.MjData) -> Array:
    """The moment arms of all actuators, (nu, nv)."""
    moments = np.zeros((model.nu, model.nv))
    for actuator in range(model.nu):
        start, count = int(data.moment_rowadr[actuator]), int(data.moment_rownnz[actuator])
        moments[actuator, data.moment_colind[start : start + count]] = data.actuator_moment[start : start + count]
    moments[np.abs(moments) < 1e-9] = 0.0
    return moments


def _through_joints(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """Which actuators pull at joints or tendons; the others push at a site or a body, as a rotor does, (nu,)."""
    pushes = (int(mujoco.mjtTrn.mjTRN_SITE), int(mujoco.mjtTrn.mjTRN_BODY))
    return ~np.isin(model.actuator_trntype, pushes)


def _base(found: Anatomy) -> set[int]:
    """The joints of a base that moves: a free joint, or a slide without a motor, and the other joints of that body."""
    own = [j for j in found.joints if j.body == found.root]
    if any(j.kind == FREE for j in own):
        return {j.index for j in own}
    carries = any(j.kind == SLIDE and not j.driven and not j.is_vertical for j in own)
    return {j.index for j in own} if carries else set()


def _floor(model: mujoco.MjModel, root: int) -> int | None:
    """A fixed geom that the robot can touch; the largest plane, if there are several."""
    robot = [g for g in range(model.ngeom) if model.body_rootid[model.geom_bodyid[g]] == root]
    fixed = [
        g
        for g in range(model.ngeom)
        if model.body_weldid[model.geom_bodyid[g]] == 0 and any(_collide(model, g, other) for other in robot)
    ]
    planes = [g for g in fixed if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_PLANE]
    return next(iter((*planes, *fixed)), None)


def _collide(model: mujoco.MjModel, one: int, other: int) -> bool:
    return bool(
        model.geom_contype[one] & model.geom_conaffinity[other] or model.geom_contype[other] & model.geom_conaffinity[one]
    )
