"""Hold a posture, or move to postures that are given as goals."""

from __future__ import annotations

from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channels import name_of, tilts_of
from sim.init.draft import Entry, Task, rounded
from sim.init.joints import BALL, FREE, HINGE, Joint
from sim.init.tasks.terms import positions_of, small_commands, start_of, velocities_of

_HOLD = 100
"""Control steps between two goals."""
_PART_OF_RANGE = 0.3


def posture(anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...]) -> Task:
    """A robot with a base stays as it starts; one without a base moves its joints to goals."""
    driven = tuple(j for j in anatomy.limbs if j.driven)
    names, start = positions_of(channels, driven)
    if anatomy.base or not names:
        return _hold(anatomy, actuators, channels, names, start)
    goals = [f"goal_{name}" for name in names]
    ranges = [_range(j) for j in driven if j.kind != BALL and j.kind != FREE]
    fixed = {"kind": "distance", "channels": names, "target": start, "weight": 1.0}
    return Task(
        name="posture",
        summary=f"Move the joints to goals that jump every {_HOLD} control steps.",
        objective=(
            Entry({"kind": "distance", "channels": names, "goal": goals, "weight": 1.0}, "pulls from anywhere"),
            Entry(fixed, "or hold the initial posture: use this line instead, and delete `goal` below", False),
            *_calm(channels, driven),
            *small_commands(actuators, 0.05),
        ),
        reset=start_of(anatomy, 0.05),
        goal={
            "names": goals,
            "kind": "uniform",
            "low": [rounded(low) for low, _ in ranges],
            "high": [rounded(high) for _, high in ranges],
            "every": _HOLD,
        },
    )


def _hold(
    anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...], names: list[str], start: list[float]
) -> Task:
    terms = []
    places, at = _place(anatomy, channels)
    if places:
        terms.append(Entry({"kind": "distance", "channels": places, "target": at, "weight": 0.5}, "stay where it starts [m]"))
        terms.append(
            Entry({"kind": "tolerance", "channels": places, "target": at, "scale": 0.25, "weight": 1.0}, "and precisely so")
        )
    tilts = tilts_of(anatomy, channels)
    if tilts:
        terms.append(Entry({"kind": "cosine", "channels": [*tilts], "weight": 0.2}, "upright"))
    if names:
        terms.append(Entry({"kind": "distance", "channels": names, "target": start, "weight": 0.5}, "the initial posture"))
    return Task(
        name="posture",
        summary="Hold the initial posture.",
        objective=(*terms, *_calm(channels, anatomy.joints), *small_commands(actuators, 0.05)),
        reset=start_of(anatomy, 0.05),
    )


def _place(anatomy: Anatomy, channels: tuple[Entry, ...]) -> tuple[list[str], list[float]]:
    """The channels of the base's place, and where it is at the start [m]."""
    found: dict[str, float] = {}
    for joint in anatomy.base:
        if joint.kind == FREE:
            for index in range(3):
                name = name_of(channels, qpos=joint.name, index=index)
                if name is not None:
                    found[name] = rounded(joint.start[index])
        elif joint.kind not in (BALL, HINGE):
            name = name_of(channels, qpos=joint.name)
            if name is not None:
                found[name] = rounded(joint.start[0])
    return [*found], [*found.values()]


def _calm(channels: tuple[Entry, ...], joints: tuple[Joint, ...]) -> tuple[Entry, ...]:
    names = velocities_of(channels, joints)
    return (Entry({"kind": "quadratic", "channels": names, "weight": 0.003}, "without swinging"),) if names else ()


def _range(joint: Joint) -> tuple[float, float]:
    start = joint.start[0]
    low, high = joint.limits or (start - 1.5, start + 1.5)
    spread = _PART_OF_RANGE * (high - low)
    return max(low, start - spread), min(high, start + spread)
