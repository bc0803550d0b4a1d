"""The observation channels of a model: every joint's position and velocity, as far as a controller needs them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sim.init.anatomy import Anatomy
from sim.init.channel_names import ChannelNames
from sim.init.draft import Entry
from sim.init.joints import BALL, FREE, HINGE, SLIDE, Joint
from sim.init.sensors import sensors

SPEED = "forward_speed"
HEIGHT = "height"
_TURNS = {"x": "roll", "y": "pitch", "z": "yaw"}


def observe(anatomy: Anatomy, *, runs: bool, site: str | None) -> tuple[Entry, ...]:
    """The channels of a robot, positions first.

    Args:
        anatomy: what is known of the model.
        runs: whether the robot is to get ahead: then its mean speed is a channel, and how far it has come is none.
        site: a site whose position is observed, such as an arm's hand; None for none.
    """
    names = ChannelNames()
    entries: list[Entry] = []
    if runs:
        entries += _forward_speed(anatomy, names)
    for joint in anatomy.joints:
        entries += _positions(joint, runs, names)
    for joint in anatomy.joints:
        entries += _velocities(joint, names)
    for axis in "xyz" if site is not None else "":
        name = names(f"{site}_{axis}")
        entries.append(_channel(name, "m", {"site": site, "axis": axis}))
    return (*entries, *sensors(anatomy.model, names))


def forward(anatomy: Anatomy) -> tuple[Joint, int, int] | None:
    """The joint along which a robot gets ahead, which of its numbers that is, and -1 if it counts backwards."""
    free = next((j for j in anatomy.base if j.kind == FREE), None)
    if free is not None:
        return free, 0, 1
    slides = [j for j in anatomy.base if j.kind == SLIDE and not j.is_vertical]
    if not slides:
        return None
    along = max(slides, key=lambda j: abs(j.axis[0]))
    return along, 0, 1 if max(along.axis, key=abs) > 0 else -1


def names_of(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    """The names of the channels that count."""
    return tuple(str(e.values["name"]) for e in entries if e.active)


def name_of(entries: tuple[Entry, ...], **source: Any) -> str | None:
    """The channel with this source; None if there is none."""
    return next((str(e.values["name"]) for e in entries if e.active and e.values["source"] == source), None)


def height_of(anatomy: Anatomy, entries: tuple[Entry, ...]) -> tuple[str, float] | None:
    """The channel of the base's height, and its value at the start; None for a robot without one."""
    for joint in anatomy.base:
        if joint.kind == FREE:
            name, start = name_of(entries, qpos=joint.name, index=2), joint.start[2]
        elif joint.kind == SLIDE and joint.is_vertical:
            name, start = name_of(entries, qpos=joint.name), joint.start[0]
        else:
            continue
        if name is not None:
            return name, start
    return None


def tilts_of(anatomy: Anatomy, entries: tuple[Entry, ...]) -> dict[str, float]:
    """The channels of the base's roll and pitch, with their values at the start."""
    found: dict[str, float] = {}
    for joint in anatomy.base:
        if joint.kind == HINGE and not joint.is_vertical:
            name = name_of(entries, qpos=joint.name)
            if name is not None:
                found[name] = joint.start[0]
        for axis in ("roll", "pitch") if joint.kind in (FREE, BALL) else ():
            name = name_of(entries, euler=joint.name, axis=axis)
            if name is not None:
                found[name] = 0.0
    return found


def _channel(name: str, unit: str, source: dict[str, Any], kind: str = "linear", comment: str = "", **more: Any) -> Entry:
    values = {"name": name, "unit": unit, **({} if kind == "linear" else {"kind": kind}), **more, "source": source}
    return Entry(values, comment)


def _forward_speed(anatomy: Anatomy, names: ChannelNames) -> Iterator[Entry]:
    found = forward(anatomy)
    if found is not None:
        joint, index, _ = found
        source: dict[str, Any] = {"displacement_rate": joint.name, **({"index": index} if joint.kind == FREE else {})}
        comment = "mean over the control period; the last one says little about the next: predicted directly"
        yield _channel(names(SPEED), "m/s", source, "velocity", comment, target="direct")


def _positions(joint: Joint, runs: bool, names: ChannelNames) -> Iterator[Entry]:
    prefix = "" if joint.of_base else f"{joint.name}_"
    if joint.kind == FREE:
        for index, axis in enumerate("xyz"):
            if axis == "z" or not (runs and joint.of_base):
                yield _channel(
                    names(HEIGHT if joint.of_base and axis == "z" else prefix + axis), "m", {"qpos": joint.name, "index": index}
                )
    if joint.kind in (FREE, BALL):
        for angle in ("roll", "pitch", "yaw"):
            yield _channel(names(prefix + angle), "rad", {"euler": joint.name, "axis": angle}, "angle")
    if joint.kind == SLIDE and not (runs and joint.of_base and not joint.is_vertical):
        yield _channel(names(_slide_name(joint)), "m", {"qpos": joint.name})
    if joint.kind == HINGE:
        name = _TURNS[joint.letter] if joint.of_base and joint.letter else f"{joint.name}_angle"
        yield _channel(names(name), "rad", {"qpos": joint.name}, "angle" if _wraps(joint) else "linear")


def _velocities(joint: Joint, names: ChannelNames) -> Iterator[Entry]:
    prefix = "" if joint.of_base else f"{joint.name}_"
    if joint.kind == FREE:
        for index, axis in enumerate("xyz"):
            yield _channel(names(f"{prefix}{axis}_velocity"), "m/s", {"qvel": joint.name, "index": index}, "velocity")
    if joint.kind in (FREE, BALL):
        first = 3 if joint.kind == FREE else 0
        for index, angle in enumerate(("roll", "pitch", "yaw")):
            name = names(f"{prefix}{angle}_rate")
            yield _channel(name, "rad/s", {"qvel": joint.name, "index": first + index}, "velocity")
    if joint.kind == SLIDE:
        letter = joint.letter if joint.of_base else None
        yield _channel(names(f"{letter or joint.name}_velocity"), "m/s", {"qvel": joint.name}, "velocity")
    if joint.kind == HINGE:
        turn = f"{_TURNS[joint.letter]}_velocity" if joint.of_base and joint.letter else f"{joint.name}_velocity"
        yield _channel(names(turn), "rad/s", {"qvel": joint.name}, "velocity")


def _slide_name(joint: Joint) -> str:
    if not joint.of_base or joint.letter is None:
        return f"{joint.name}_position"
    return HEIGHT if joint.letter == "z" else joint.letter


def _wraps(joint: Joint) -> bool:
    """Whether a hinge can go round: its limits, if any, leave more than a full turn between them or reach beyond half of one."""
    return joint.limits is None or min(joint.limits) < -math.pi or max(joint.limits) > math.pi
