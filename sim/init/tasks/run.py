"""Get ahead along x and stay upright: for a base that moves freely, with legs, wheels or fins."""

from __future__ import annotations

import math

import mujoco

from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channels import SPEED, forward, height_of, tilts_of
from sim.init.draft import Entry, Task, rounded
from sim.init.tasks.terms import small_commands, start_of

_FROUDE = 0.5
"""Speed of an easy walk, as a share of the root of gravity times height; people run from 0.7 on."""
_FARTHEST = 100.0


def run(anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...]) -> Task:
    """Go at a speed that suits the robot's size, as high and as upright as it starts."""
    found = forward(anatomy)
    sign = 1 if found is None else found[2]
    stands = (
        anatomy.floor is not None
        and anatomy.has_gravity
        and (height_of(anatomy, channels) is not None or bool(tilts_of(anatomy, channels)))
    )
    gap = _gap(anatomy) if stands else 0.0
    size = _height(anatomy) - gap if stands else 0.0
    walks = stands and size > 0.01
    terms = _speed(sign, size, walks)
    if walks:
        terms += _upright(anatomy, channels, gap, size)
    noise = min(0.05, 0.1 * size) if walks else 0.05
    return Task(
        name="run",
        summary="Get ahead along x, and stay upright." if walks else "Get ahead along x.",
        objective=(*terms, *small_commands(actuators, 0.1)),
        reset=start_of(anatomy, noise),
        healthy=_healthy(anatomy, channels, gap, size) if walks else (),
        notes=() if not walks else ("A fall ends no episode: the robot may stand up again.",),
    )


def _speed(sign: int, size: float, walks: bool) -> tuple[Entry, ...]:
    speed = rounded(_FROUDE * math.sqrt(9.81 * size), 2) if walks else 1.0
    steady = {"kind": "distance", "channels": [SPEED], "target": [sign * speed], "weight": rounded(1 / speed, 2)}
    fast = {"kind": "linear", "channels": [SPEED], "weight": float(sign)}
    if walks:
        return (
            Entry(steady, "this speed [m/s]; it is an easy one for the robot's height"),
            Entry(fast, "or as fast as it can", False),
        )
    return (Entry(fast, "as fast as it can"), Entry(steady, "or at this speed [m/s]", False))


def _upright(anatomy: Anatomy, channels: tuple[Entry, ...], gap: float, size: float) -> tuple[Entry, ...]:
    terms = []
    height, tilts = height_of(anatomy, channels), tilts_of(anatomy, channels)
    if height is not None:
        target = rounded(height[1] - gap, 3)
        weight = rounded(1.5 / size, 2)
        terms.append(
            Entry({"kind": "distance", "channels": [height[0]], "target": [target], "weight": weight}, "as high as it stands")
        )
    if tilts:
        targets = [rounded(start, 3) for start in tilts.values()]
        at = {"target": targets} if any(targets) else {}
        terms.append(Entry({"kind": "cosine", "channels": [*tilts], **at, "weight": 1.0}, "upright"))
    return tuple(terms)


def _healthy(anatomy: Anatomy, channels: tuple[Entry, ...], gap: float, size: float) -> tuple[Entry, ...]:
    """What a fall would be, to be switched on."""
    ranges = []
    height, tilts = height_of(anatomy, channels), tilts_of(anatomy, channels)
    if height is not None:
        ranges.append(Entry({"name": height[0], "low": rounded(height[1] - gap - 0.4 * size, 2)}, active=False))
    for name, start in tilts.items():
        ranges.append(Entry({"name": name, "low": rounded(start - 1.0, 2), "high": rounded(start + 1.0, 2)}, active=False))
    return tuple(ranges)


def _height(anatomy: Anatomy) -> float:
    """Height of the base above the floor at the start [m]."""
    data = anatomy.data
    floor = 0.0 if anatomy.floor is None else float(data.geom_xpos[anatomy.floor, 2])
    return float(data.xipos[anatomy.root, 2]) - floor


def _gap(anatomy: Anatomy) -> float:
    """How far the robot's lowest part is above the floor at the start [m]; below 0 if it is in it."""
    model, data, floor = anatomy.model, anatomy.data, anatomy.floor
    if floor is None or model.geom_type[floor] != mujoco.mjtGeom.mjGEOM_PLANE:
        return 0.0
    gaps = [
        mujoco.mj_geomDistance(model, data, geom, floor, _FARTHEST, None)
        for geom in range(model.ngeom)
        if model.body_rootid[model.geom_bodyid[geom]] == anatomy.root
        and (model.geom_contype[geom] or model.geom_conaffinity[geom])
    ]
    return float(min(gaps, default=0.0))
