"""Reward terms that several tasks have."""

from __future__ import annotations

from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channels import name_of
from sim.init.draft import Entry, rounded
from sim.init.joints import HINGE, SLIDE, Joint


def small_commands(actuators: tuple[Actuator, ...], cost: float) -> tuple[Entry, ...]:
    """A term for small commands, which costs `cost` where all actuators do their utmost; none for joint positions."""
    if any(a.unit in ("rad", "m") for a in actuators):
        return ()
    utmost = sum(max(abs(a.low), abs(a.high)) ** 2 for a in actuators)
    weight = rounded(cost / utmost, 2)
    return (Entry({"kind": "action_quadratic", "weight": weight}, "small commands: less heat, less wear"),)


def positions_of(channels: tuple[Entry, ...], joints: tuple[Joint, ...]) -> tuple[list[str], list[float]]:
    """The channels of the positions of hinges and slides, and where they are at the start."""
    found = [(name_of(channels, qpos=j.name), j.start[0]) for j in joints if j.kind in (HINGE, SLIDE)]
    present = [(name, rounded(start, 4)) for name, start in found if name is not None]
    return [name for name, _ in present], [start for _, start in present]


def velocities_of(channels: tuple[Entry, ...], joints: tuple[Joint, ...]) -> list[str]:
    """The channels of the velocities of hinges and slides."""
    found = [name_of(channels, qvel=j.name) for j in joints if j.kind in (HINGE, SLIDE)]
    return [name for name in found if name is not None]


def start_of(anatomy: Anatomy, noise: float) -> dict[str, object]:
    """An episode that starts where the model does, with some noise."""
    keyframe = {} if anatomy.keyframe is None else {"keyframe": anatomy.keyframe}
    return {**keyframe, "qpos_noise": rounded(noise, 2), "qvel_noise": rounded(noise, 2)}
