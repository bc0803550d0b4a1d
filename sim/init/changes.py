"""What may happen to a robot: a split with a part for training, one for choosing settings and two for results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.tasks.reach import end_site
from sim.robot.elements import find_elements

Change = dict[str, Any]
STEPS = 200
AT = 100
"""The control step at which an evaluation changes the dynamics."""
_RANGES = {
    # kind: (training, validation, test)
    "mass": ((0.7, 1.3), (1.3, 1.4), (1.4, 1.6)),
    "payload": ((0.5, 2.5), (2.5, 3.0), (3.0, 4.0)),
    "friction": ((0.6, 1.4), (0.5, 0.6), (0.4, 0.5)),
    "damping": ((0.6, 1.6), (1.6, 1.8), (1.8, 2.5)),
    "slope": ((-4.0, 4.0), (4.0, 5.0), (5.0, 6.0)),
}


@dataclass(frozen=True)
class Split:
    """The parts of a split, as lists of alternatives.

    Attributes:
        initial: changes from the start on, in training.
        train: changes in the course of a training episode.
        validation: changes in an evaluation that settings are chosen by.
        test: changes in an evaluation for results.
        test_kinds: kinds of change that no training has.
        at: the control step of an evaluation's change.
        steps: control steps of an evaluation's episode.
    """

    initial: tuple[Change, ...]
    train: tuple[Change, ...]
    validation: tuple[Change, ...]
    test: tuple[Change, ...]
    test_kinds: tuple[Change, ...]
    at: int = AT
    steps: int = STEPS


def changes_of(anatomy: Anatomy, actuators: tuple[Actuator, ...], task: str) -> Split:
    """The changes that fit a robot with one of `TASKS`."""
    motors = tuple(a for a in actuators if a.can_be_scaled)
    single, together, weaker, weakest = _gains(motors)
    bodies = [_bodies(anatomy, task, column) for column in range(3)]
    gains = [{"actuator_gain": g} for g in (single, together) if g]
    body = [b for b in bodies[:1] if b]
    initial = [{"weight": 2}, *({"weight": 1, **c} for c in (*gains[:1], *body))]
    train = [{"weight": 1}, *({"weight": 2 if i == 0 else 1, **c} for i, c in enumerate((*gains, *body)))]
    if gains and body:
        train.append({"weight": 1, **gains[0], **body[0]})
    validation = _held_out(weaker, bodies[1])
    test = _held_out(weakest, bodies[2])
    return Split(tuple(initial), tuple(train), validation, test, _kinds(anatomy))


def _held_out(gain: Any, body: Change) -> tuple[Change, ...]:
    alternatives: list[Change] = [] if gain is None else [{"actuator_gain": gain}]
    if body:
        alternatives.append(body)
    if gain is not None and body:
        # only what a robot is like, not what it stands on, comes together with its motors
        own = {key: value for key, value in body.items() if key in ("body_mass", "damping")}
        alternatives.append({"actuator_gain": gain, **own} if own else {"actuator_gain": gain, **body})
    return tuple(alternatives)


def _gains(motors: tuple[Actuator, ...]) -> tuple[Any, Any, Any, Any]:
    """Gains in training, of one motor and of all, and those of validation and test; None for none."""
    names = [m.name for m in motors]
    if not names:
        return None, None, None, None
    if any(m.is_position for m in motors):
        # a position that is held with the force reversed runs away, which no robot does
        one: Any = {"one_of": names, "value": {"uniform": [0.4, 1.1]}} if len(names) > 1 else {"uniform": [0.5, 1.2]}
        every: Any = {"each": names, "value": {"uniform": [0.6, 1.1]}} if len(names) > 1 else None
        return one, every, {"uniform": [0.4, 0.5]}, {"uniform": [0.3, 0.4]}
    if len(names) == 1:
        either = {"choice": [{"uniform": [-1.2, -0.6]}, {"uniform": [0.6, 1.2]}]}
        return either, None, {"uniform": [-1.35, -1.2]}, {"choice": [{"uniform": [-1.6, -1.4]}, {"uniform": [1.4, 1.6]}]}
    one = {"one_of": names, "value": {"uniform": [-1.0, 1.2]}}
    every = {"each": names, "value": {"uniform": [0.4, 1.2]}}
    last = names[len(names) // 2] if len(names) > 2 else names[1]
    return one, every, {names[0]: -1.0, last: 0.3}, {names[0]: -1.0, last: -1.0}


def _bodies(anatomy: Anatomy, task: str, column: int) -> Change:
    """Masses, damping and what the robot stands on; `column` 0 for training, 1 for validation, 2 for test."""

    def drawn(kind: str) -> dict[str, list[float]]:
        return {"uniform": list(_RANGES[kind][column])}

    change: Change = {}
    part = _part(anatomy, task)
    change["body_mass"] = drawn("mass") if part is None else {part: drawn("payload")}
    if float(anatomy.model.dof_damping.max(initial=0.0)) > 0:
        change["damping"] = drawn("damping")
    if anatomy.floor is not None and anatomy.base and anatomy.has_gravity:
        change["friction"] = drawn("friction")
        change["slope_deg"] = drawn("slope")
        if column == 2:
            # slippery and steep at once is a fall for any controller
            del change["slope_deg"]
    return change


def _part(anatomy: Anatomy, task: str) -> str | None:
    """The body that a payload is put on: the hand of an arm, or the outermost part of what is balanced; None for all bodies."""
    bodies = find_elements("", anatomy.model, ()).bodies
    names = {int(index[0]): name for name, index in bodies.items()}
    if task == "reach" and (site := end_site(anatomy)) is not None:
        body = int(anatomy.model.site_bodyid[mujoco.mj_name2id(anatomy.model, mujoco.mjtObj.mjOBJ_SITE, site)])
        while body not in names or anatomy.model.body_mass[body] < 1e-6:
            body = int(anatomy.model.body_parentid[body])
            if body == 0:
                return None
        return names[body]
    if task == "balance" and not anatomy.base:
        tips = [b for b in names if anatomy.model.body_rootid[b] == anatomy.root and anatomy.model.body_mass[b] > 1e-6]
        return names[max(tips)] if len(tips) > 1 else None
    return None


def _kinds(anatomy: Anatomy) -> tuple[Change, ...]:
    model = anatomy.model
    kinds: list[Change] = [{"action_delay": 1}]
    if anatomy.has_gravity:
        kinds += [{"gravity": {"uniform": [0.7, 0.8]}}, {"gravity": {"uniform": [1.2, 1.3]}}]
    if np.any(model.dof_armature > 0):
        kinds.append({"armature": {"uniform": [1.5, 2.5]}})
    return tuple(kinds)
