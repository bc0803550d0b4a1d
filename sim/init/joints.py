"""The joints of a model, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

FREE, BALL, SLIDE, HINGE = (
    int(kind)
    for kind in (
        mujoco.mjtJoint.mjJNT_FREE,
        mujoco.mjtJoint.mjJNT_BALL,
        mujoco.mjtJoint.mjJNT_SLIDE,
        mujoco.mjtJoint.mjJNT_HINGE,
    )
)
_DOFS = {FREE: 6, BALL: 3, SLIDE: 1, HINGE: 1}


@dataclass(frozen=True)
class Joint:
    """One joint.

    Attributes:
        name: its name in the model.
        index: its number in the model.
        kind: FREE, BALL, SLIDE or HINGE.
        body: number of the body that it moves.
        axis: its axis in the world at the start, (3,); of no meaning for a free or ball joint.
        limits: lowest and highest position [m or rad]; None without limits.
        start: its position at the start, as many numbers as it has [m or rad].
        qpos: where its position begins in qpos.
        dofs: the numbers of its degrees of freedom.
        driven: whether an actuator moves it.
        of_base: whether it carries the whole robot and no motor turns it, as the joints between a walker's torso and the world.
    """

    name: str
    index: int
    kind: int
    body: int
    axis: tuple[float, float, float]
    limits: tuple[float, float] | None
    start: tuple[float, ...]
    qpos: int
    dofs: tuple[int, ...]
    driven: bool
    of_base: bool

    @property
    def is_vertical(self) -> bool:
        """Whether its axis points up or down."""
        return abs(self.axis[2]) > 0.9

    @property
    def letter(self) -> str | None:
        """The axis of the world, x, y or z, that its own axis is nearly parallel to; None if it is askew."""
        along = int(np.argmax(np.abs(self.axis)))
        return "xyz"[along] if abs(self.axis[along]) > 0.99 else None


def read_joint(model: mujoco.MjModel, data: mujoco.MjData, index: int, moved: NDArray[np.bool_]) -> Joint:
    """What is known of one joint; `moved` says which dofs an actuator drives, (nv,)."""
    kind = int(model.jnt_type[index])
    dof, qpos = int(model.jnt_dofadr[index]), int(model.jnt_qposadr[index])
    dofs = tuple(range(dof, dof + _DOFS[kind]))
    size = _DOFS[kind] + (kind in (FREE, BALL))
    limits = tuple(map(float, model.jnt_range[index])) if model.jnt_limited[index] and kind in (SLIDE, HINGE) else None
    return Joint(
        name=model.joint(index).name,
        index=index,
        kind=kind,
        body=int(model.jnt_bodyid[index]),
        axis=tuple(map(float, data.xaxis[index])),  # type: ignore[arg-type]
        limits=limits,  # type: ignore[arg-type]
        start=tuple(map(float, data.qpos[qpos : qpos + size])),
        qpos=qpos,
        dofs=dofs,
        driven=bool(moved[list(dofs)].any()),
        of_base=False,
    )
