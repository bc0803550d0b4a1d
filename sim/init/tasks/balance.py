"""Hold what would fall in the posture in which it stands highest: for pendulums, poles on carts, robots on wheels."""

from __future__ import annotations

import itertools
import math

import mujoco
import numpy as np

from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channels import height_of, name_of, tilts_of
from sim.init.draft import Entry, Task, rounded
from sim.init.joints import HINGE, SLIDE, Joint
from sim.init.tasks.terms import small_commands, start_of, velocities_of

_MOST_HINGES = 6
_SAME_HEIGHT = 1e-3
"""Rise of the centre of mass below which a posture is no higher than another one [m]."""


def balance(anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...]) -> Task:
    """Upright, in the middle of its rail, and at rest."""
    targets = upright(anatomy)
    swings = any(abs(angle - joint.start[0]) > 1e-6 for joint, angle in targets.items())
    terms = [*_upright(anatomy, channels, targets), *_in_the_middle(anatomy, channels), *_at_rest(anatomy, channels)]
    rise = ", ".join(f"{j.name}: {rounded(j.start[0] + math.pi)}" for j in targets) if not swings else ""
    return Task(
        name="balance",
        summary="Swing up, and stay upright." if swings else "Stay upright.",
        objective=(*terms, *small_commands(actuators, 0.02)),
        reset=start_of(anatomy, 0.1 if swings else 0.05),
        reset_comment=f"to let it swing up from hanging, add qpos: {{{rise}}}" if rise else "",
        notes=("It starts hanging, where the model starts." if swings else "It starts upright, where the model starts.",),
    )


def upright(anatomy: Anatomy) -> dict[Joint, float]:
    """The hinges whose angle lifts or lowers the robot, and their angles in its highest posture [rad]."""
    own = [j for j in anatomy.limbs if anatomy.model.body_rootid[j.body] == anatomy.root]
    hinges = [j for j in own if j.kind == HINGE][:_MOST_HINGES]
    choices = [[angle for angle in (j.start[0], j.start[0] + math.pi) if _allows(j, angle)] or [j.start[0]] for j in hinges]
    heights = {angles: _height(anatomy, hinges, angles) for angles in itertools.product(*choices)}
    if not heights:
        return {}
    start = tuple(j.start[0] for j in hinges)
    best = max(heights, key=lambda angles: (round(heights[angles] / _SAME_HEIGHT), angles == start))
    matters = [
        abs(_height(anatomy, hinges, tuple(a + 0.5 * (i == k) for k, a in enumerate(best))) - heights[best]) > _SAME_HEIGHT / 10
        for i in range(len(hinges))
    ]
    return {joint: angle for joint, angle, counts in zip(hinges, best, matters, strict=True) if counts}


def _allows(joint: Joint, angle: float) -> bool:
    return joint.limits is None or joint.limits[0] <= angle <= joint.limits[1]


def _height(anatomy: Anatomy, hinges: list[Joint], angles: tuple[float, ...]) -> float:
    """Height of the robot's centre of mass, against gravity [m]."""
    model, data = anatomy.model, mujoco.MjData(anatomy.model)
    data.qpos[:] = anatomy.data.qpos
    data.qpos[[j.qpos for j in hinges]] = angles
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    gravity = np.asarray(model.opt.gravity)
    return float(-data.subtree_com[anatomy.root] @ gravity / max(float(np.linalg.norm(gravity)), 1e-9))


def _upright(anatomy: Anatomy, channels: tuple[Entry, ...], targets: dict[Joint, float]) -> list[Entry]:
    terms = []
    aims = {name_of(channels, qpos=j.name): rounded(angle, 6) for j, angle in targets.items()}
    aims |= {name: rounded(start, 4) for name, start in tilts_of(anatomy, channels).items()}
    if aims:
        at = {"target": [*aims.values()]} if any(aims.values()) else {}
        weight = rounded(0.5 if len(aims) == 1 else 1.0 / len(aims), 2)
        terms.append(Entry({"kind": "cosine", "channels": [*aims], **at, "weight": weight}, "upright"))
    height = height_of(anatomy, channels)
    if height is not None:
        name, start = height
        terms.append(
            Entry({"kind": "distance", "channels": [name], "target": [rounded(start)], "weight": 1.0}, "as high as it starts")
        )
    return terms


def _in_the_middle(anatomy: Anatomy, channels: tuple[Entry, ...]) -> list[Entry]:
    """A robot on a rail or on wheels stays where it starts."""
    terms = []
    for joint in anatomy.joints:
        name = name_of(channels, qpos=joint.name)
        if joint.kind != SLIDE or joint.is_vertical or name is None:
            continue
        scale = 1.0 if joint.limits is None else rounded(0.5 * (joint.limits[1] - joint.limits[0]) / 2, 2)
        at = {"target": [rounded(joint.start[0])]} if joint.start[0] else {}
        values = {"kind": "tolerance", "channels": [name], **at, "scale": scale, "weight": 0.3}
        terms.append(Entry(values, "where it starts; `scale` is the distance [m] at which little of it is left"))
    return terms


def _at_rest(anatomy: Anatomy, channels: tuple[Entry, ...]) -> list[Entry]:
    loose = tuple(j for j in anatomy.joints if j.kind == HINGE)
    names = velocities_of(channels, loose)
    if not names:
        return []
    return [Entry({"kind": "tolerance", "channels": names, "scale": 4.0, "weight": 0.2}, "at rest; `scale` in rad/s")]
