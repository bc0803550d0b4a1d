"""The actuators of a model: what each command means, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from sim.init.anatomy import Anatomy
from sim.init.draft import Entry, rounded
from sim.init.joints import HINGE, SLIDE, Joint
from sim.init.loads import ample_force
from sim.robot.elements import actuator_names

_FARTHEST_POSITION = 1.5
"""How far from the start a joint is commanded, where the model allows more [rad or m]."""


@dataclass(frozen=True)
class Actuator:
    """One actuator.

    Attributes:
        name: its name, as the robot's file and scenarios refer to it.
        index: its number in the model.
        joint: the joint that it drives; None for one that pulls at a tendon or pushes at a site.
        is_position: whether its command is a joint's position, which a controller inside of the model then holds.
        can_be_scaled: whether scenarios can scale its force.
        unit: unit of its command.
        low: smallest command.
        high: largest command.
        comment: where the limits come from if the model has none.
    """

    name: str
    index: int
    joint: Joint | None
    is_position: bool
    can_be_scaled: bool
    unit: str
    low: float
    high: float
    comment: str

    @property
    def entry(self) -> Entry:
        """Its entry in the robot's file."""
        return Entry({"name": self.name, "unit": self.unit, "low": self.low, "high": self.high}, self.comment)


def actuators_of(anatomy: Anatomy) -> tuple[Actuator, ...]:
    """All actuators, in the order of the model."""
    names = actuator_names(anatomy.model)
    found = tuple(_actuator(anatomy, i, names[i]) for i in range(anatomy.model.nu))
    if all(a.is_position and a.joint is not None for a in found):
        return found
    # a bridge holds either positions or other commands, so positions beside other commands are plain numbers
    return tuple(a if a.unit not in ("rad", "m") else _unitless(a) for a in found)


def largest_force(anatomy: Anatomy, actuator: Actuator) -> float:
    """The largest force of an actuator, before its gear [N or N m]."""
    model, index = anatomy.model, actuator.index
    if model.actuator_forcelimited[index]:
        return float(np.abs(model.actuator_forcerange[index]).max())
    if model.actuator_gaintype[index] == mujoco.mjtGain.mjGAIN_MUSCLE:
        return max(float(model.actuator_gainprm[index, 2]), 1.0)
    return abs(float(model.actuator_gainprm[index, 0])) * max(abs(actuator.low), abs(actuator.high))


def _unitless(actuator: Actuator) -> Actuator:
    return Actuator(**{**actuator.__dict__, "unit": "1"})


def _actuator(anatomy: Anatomy, index: int, name: str) -> Actuator:
    model = anatomy.model
    joint = _joint_of(anatomy, index)
    gear = float(model.actuator_gear[index, 0])
    is_position = _is_position(model, index) and joint is not None and abs(gear - 1) < 1e-9
    low, high, comment = _limits(anatomy, index, joint, is_position)
    return Actuator(
        name=name,
        index=index,
        joint=joint,
        is_position=is_position,
        can_be_scaled=int(model.actuator_gaintype[index]) <= int(mujoco.mjtGain.mjGAIN_MUSCLE)
        and int(model.actuator_biastype[index]) <= int(mujoco.mjtBias.mjBIAS_MUSCLE),
        unit=_unit(model, index, joint, is_position),
        low=low,
        high=high,
        comment=comment,
    )


def _joint_of(anatomy: Anatomy, index: int) -> Joint | None:
    kind = int(anatomy.model.actuator_trntype[index])
    if kind not in (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT)):
        return None
    target = int(anatomy.model.actuator_trnid[index, 0])
    return next((j for j in anatomy.joints if j.index == target and j.kind in (HINGE, SLIDE)), None)


def _is_position(model: mujoco.MjModel, index: int) -> bool:
    """Whether the force pulls the joint to the command: it falls with the position as much as it rises with the command."""
    gain, bias = float(model.actuator_gainprm[index, 0]), float(model.actuator_biasprm[index, 1])
    fixed = model.actuator_gaintype[index] == mujoco.mjtGain.mjGAIN_FIXED
    return bool(fixed and model.actuator_biastype[index] == mujoco.mjtBias.mjBIAS_AFFINE and gain > 0 and abs(gain + bias) < 1e-6)


def _unit(model: mujoco.MjModel, index: int, joint: Joint | None, is_position: bool) -> str:
    if joint is None:
        return "1"
    if is_position:
        return "rad" if joint.kind == HINGE else "m"
    plain = (
        model.actuator_gaintype[index] == mujoco.mjtGain.mjGAIN_FIXED
        and model.actuator_biastype[index] == mujoco.mjtBias.mjBIAS_NONE
        and abs(float(model.actuator_gear[index, 0]) * float(model.actuator_gainprm[index, 0]) - 1) < 1e-9
    )
    if not plain:
        return "1"
    return "N m" if joint.kind == HINGE else "N"


def _limits(anatomy: Anatomy, index: int, joint: Joint | None, is_position: bool) -> tuple[float, float, str]:
    """The limits of the commands: those of the model, or sensible ones with a comment that says where they come from."""
    model = anatomy.model
    if model.actuator_ctrllimited[index]:
        low, high = map(float, model.actuator_ctrlrange[index])
        if is_position and joint is not None and high - low > 2 * _FARTHEST_POSITION:
            allowed = f"the model allows {low:.3g} to {high:.3g}; a planner that searches all of it finds little"
            start = float(np.clip(joint.start[0], low, high))
            return max(low, rounded(start - _FARTHEST_POSITION)), min(high, rounded(start + _FARTHEST_POSITION)), allowed
        return low, high, ""
    missing = "the model gives no ctrlrange: "
    if is_position and joint is not None:
        low, high = joint.limits or (joint.start[0] - 1.0, joint.start[0] + 1.0)
        where = "the joint's own limits" if joint.limits else "1 to either side of the start, a guess"
        return rounded(low), rounded(high), f"{missing}{where}"
    gain = abs(float(model.actuator_gainprm[index, 0]) or 1.0)
    if model.actuator_forcelimited[index]:
        limit = rounded(float(np.abs(model.actuator_forcerange[index]).max()) / gain)
        return -limit, limit, f"{missing}from its forcerange"
    arm = np.abs(anatomy.driven[index])
    if joint is not None and model.jnt_actfrclimited[joint.index]:
        force = float(np.abs(model.jnt_actfrcrange[joint.index]).max())
        limit = rounded(force / (gain * max(float(arm.max()), 1e-9)))
        return -limit, limit, f"{missing}from the joint's own limit of {force:g}"
    limit = rounded(_ample(anatomy, index) / gain, 2)
    return -limit, limit, f"{missing}a guess, twice what carries the weight; write your motor's own limit here"


def _ample(anatomy: Anatomy, index: int) -> float:
    """A force that moves what hangs on the actuator with ease, before its gear [N or N m]."""
    arms = np.abs(anatomy.driven[index])
    if not arms.any():
        return 1.0
    dof = int(arms.argmax())
    return ample_force(anatomy.model, anatomy.data, dof) / float(arms[dof])
