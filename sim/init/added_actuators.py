"""Actuators for a model that has none, such as a URDF."""

from __future__ import annotations

import mujoco
import numpy as np

from adaptive_mbrl.errors import ConfigError
from sim.init.anatomy import Anatomy, look_at
from sim.init.joints import HINGE, SLIDE, Joint
from sim.init.loads import ample_force

_STIFFNESS = 10.0
"""Stiffness of a position actuator, as a share of its largest force per rad or m: that force holds against 0.1 rad or 0.1 m."""
_RANGE = 1.0
"""Range of a position actuator to either side of the start where its joint has no limits [rad or m]."""


def add_actuators(spec: mujoco.MjSpec, kind: str) -> int:
    """Give every hinge and slide of the robot an actuator, with limits from the joint's own ones.

    Args:
        spec: the model, whose joints have names; it is edited.
        kind: ``motor`` for a force as command, ``position`` for a position that is held.

    Returns:
        Number of actuators.
    """
    anatomy = look_at(spec.compile())
    joints = [j for j in anatomy.limbs if j.kind in (HINGE, SLIDE)]
    if not joints:
        raise ConfigError(f"--actuators {kind}: the model has no hinge and no slide that an actuator could drive")
    for joint in joints:
        _add(spec, anatomy, joint, kind)
    return len(joints)


def _add(spec: mujoco.MjSpec, anatomy: Anatomy, joint: Joint, kind: str) -> None:
    force = _largest_force(anatomy, joint)
    actuator = spec.add_actuator(name=f"{joint.name}_{kind}", trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint.name)
    actuator.ctrllimited = actuator.forcelimited = 1
    actuator.forcerange = [-force, force]
    if kind == "motor":
        actuator.ctrlrange = [-force, force]
        return
    start = joint.start[0]
    actuator.ctrlrange = list(joint.limits or (start - _RANGE, start + _RANGE))
    actuator.set_to_position(kp=_STIFFNESS * force, dampratio=1.0)


def _largest_force(anatomy: Anatomy, joint: Joint) -> float:
    """The joint's own limit, or one with which it moves with ease [N or N m]."""
    model = anatomy.model
    if model.jnt_actfrclimited[joint.index]:
        return float(np.abs(model.jnt_actfrcrange[joint.index]).max())
    return float(f"{ample_force(model, anatomy.data, joint.dofs[0]):.2g}")
