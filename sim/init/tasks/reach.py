"""Move a site, such as an arm's hand, to goals."""

from __future__ import annotations

import re

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.draft import Entry, Task, rounded
from sim.init.joints import HINGE, SLIDE
from sim.init.tasks.terms import small_commands, start_of

_ENDS = re.compile(r"hand|ee\b|eef|end|tip|grip|grasp|tool|tcp|pinch|attachment|finger|flange|palm", re.IGNORECASE)
_NO_ENDS = re.compile(r"target|goal|touch|imu", re.IGNORECASE)
_POSTURES = 400
_PART_OF_RANGE = 0.35
"""How far from the start the postures are whose hands make the box of goals, as a share of each joint's range."""
_FARTHEST = 1.2
"""The same, at most [rad or m]."""
_HOLD = 100
"""Control steps between two goals."""


def reach(anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...]) -> Task:
    """Bring the end of the robot to goals that jump."""
    site = end_site(anatomy)
    assert site is not None, "the choice of the task makes sure of it"
    low, high, size = _box(anatomy, site)
    names, goals = [f"{e.values['name']}" for e in channels if "site" in e.values["source"]], ["goal_x", "goal_y", "goal_z"]
    scale = rounded(0.1 * size, 2)
    far = {"kind": "distance", "channels": names, "goal": goals, "weight": rounded(0.5 / size, 2)}
    near = {"kind": "tolerance", "channels": names, "goal": goals, "scale": scale, "weight": 1.0}
    return Task(
        name="reach",
        summary=f"Move the site {site} to goals that jump every {_HOLD} control steps.",
        objective=(
            Entry(far, "pulls from anywhere"),
            Entry(near, "rewards the last part of the way; `scale` is the distance [m] at which little of it is left"),
            *small_commands(actuators, 0.05),
        ),
        reset=start_of(anatomy, 0.1),
        goal={"names": goals, "kind": "uniform", "low": low, "high": high, "every": _HOLD},
        notes=(
            "The box of goals [m] is where the site gets to from postures around the start. Some corners may be out of reach.",
        ),
    )


def end_site(anatomy: Anatomy) -> str | None:
    """The site that a robot reaches with: one with a telling name, else the one behind the most joints with actuators."""
    candidates = [
        (bool(_ENDS.search(name)), _joints_above(anatomy, int(anatomy.model.site_bodyid[i])), -i, name)
        for i in range(anatomy.model.nsite)
        if (name := anatomy.model.site(i).name) and not _NO_ENDS.search(name)
    ]
    moving = [c for c in candidates if c[1] > 0]
    return max(moving)[-1] if moving else None


def _joints_above(anatomy: Anatomy, body: int) -> int:
    """Number of joints with an actuator between a body and the world."""
    count = 0
    while body > 0:
        count += sum(j.driven for j in anatomy.joints if j.body == body)
        body = int(anatomy.model.body_parentid[body])
    return count


def _box(anatomy: Anatomy, site: str) -> tuple[list[float], list[float], float]:
    """Where the site gets to, as a box, and its distance from the robot's first joint [m]."""
    model, data = anatomy.model, mujoco.MjData(anatomy.model)
    rng = np.random.default_rng(0)
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, site)
    places = np.zeros((_POSTURES, 3))
    for i in range(_POSTURES):
        data.qpos[:] = anatomy.data.qpos
        for joint in anatomy.limbs:
            if joint.driven and joint.kind in (HINGE, SLIDE):
                data.qpos[joint.qpos] = _near(rng, joint.start[0], joint.limits, joint.kind)
        mujoco.mj_kinematics(model, data)
        places[i] = data.site_xpos[index]
    low, high = np.quantile(places, 0.15, axis=0), np.quantile(places, 0.85, axis=0)
    anchor: NDArray[np.float64] = anatomy.data.xpos[anatomy.root]
    size = float(np.quantile(np.linalg.norm(places - anchor, axis=1), 0.9))
    return [_centimetres(x) for x in low], [_centimetres(x) for x in high], max(size, 1e-3)


def _near(rng: np.random.Generator, start: float, limits: tuple[float, float] | None, kind: int) -> float:
    low, high = limits or ((start - 2.0, start + 2.0) if kind == HINGE else (start - 0.5, start + 0.5))
    spread = min(_PART_OF_RANGE * (high - low), _FARTHEST)
    return float(np.clip(start + rng.uniform(-spread, spread), low, high))


def _centimetres(number: float) -> float:
    return round(float(number), 3) + 0.0
