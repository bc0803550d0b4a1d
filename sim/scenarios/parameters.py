"""The parameters of a change as named numbers.

A name is a key of `Change`, for a part of the robot followed by that part's name, and for a force by its direction: `slope_deg`,
`actuator_gain rotor_1`, `external_force torso x`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.robot.elements import Elements
from sim.robot.robot import Robot
from sim.scenarios.change import NAMED_AFTER, Change, scale_vector

Array = NDArray[np.float64]
AXES = ("x", "y", "z")
_NOMINAL = Change()


def varying_parameters(changes: Iterable[Change]) -> tuple[str, ...]:
    """The parameters that are not the same in all changes, in the order of the keys of `Change`.

    A key that some change gives by part is taken part by part; what is only ever scaled as a whole is one parameter.
    """
    changes = list(changes)
    parts: dict[str, dict[str, None]] = {}
    for change in changes:
        for key in change.to_changes():
            value = getattr(change, key)
            parts.setdefault(key, {}).update(dict.fromkeys(value if isinstance(value, Mapping) else ()))
    order = list(Change.__dataclass_fields__)
    names = [name for key in sorted(parts, key=order.index) for name in _names(key, sorted(parts[key]))]
    values = np.array([parameter_values(change, names) for change in changes]).reshape(len(changes), len(names))
    return tuple(name for name, column in zip(names, values.T, strict=True) if np.ptp(column) > 0)


def parameter_values(change: Change, names: Sequence[str]) -> Array:
    """The numbers of the named parameters under a change, (L,).

    NaN stands for a parameter of the whole robot that the change gives part by part: there is no such number.
    """
    return np.array([_value(change, name) for name in names])


def motor_gains(change: Change, robot: Robot) -> Array:
    """The gain of each action's motor under a change, (action_dim,)."""
    return scale_vector(change.actuator_gain, robot.model.nu, robot.elements.actuators)[robot.actuators]


def with_parameter(change: Change, name: str, value: float, elements: Elements) -> Change:
    """The change with another number for one named parameter, and everything else as it is.

    Args:
        change: the change.
        name: the parameter; one of the whole robot replaces what the change says part by part.
        value: its number.
        elements: the names of the robot's parts, for a part of what the change scales as a whole.
    """
    key, _, part = name.partition(" ")
    present, nominal = getattr(change, key), getattr(_NOMINAL, key)
    new: Any
    if key == "external_force":
        body, _, axis = part.rpartition(" ")
        force = list(present.get(body, (0.0, 0.0, 0.0)))
        force[AXES.index(axis)] = value
        new = {**present, body: tuple(force)}
        new = {name: force for name, force in new.items() if any(force)}
    elif part:
        parts = present if isinstance(present, Mapping) else dict.fromkeys(getattr(elements, NAMED_AFTER[key]), present)
        new = {name: scale for name, scale in {**parts, part: value}.items() if scale != nominal} or nominal
    else:
        new = round(value) if isinstance(nominal, int) else float(value)
    return replace(change, **{key: new})


def _names(key: str, parts: Sequence[str]) -> list[str]:
    if key == "external_force":
        return [f"{key} {part} {axis}" for part in parts for axis in AXES]
    return [f"{key} {part}" for part in parts] or [key]


def _value(change: Change, name: str) -> float:
    key, _, part = name.partition(" ")
    value = getattr(change, key)
    if key == "external_force":
        body, _, axis = part.rpartition(" ")
        return float(value.get(body, (0.0, 0.0, 0.0))[AXES.index(axis)])
    if key == "parameters":
        # what an environment has there by itself is not known here
        return float(value.get(part, float("nan")))
    if isinstance(value, Mapping):
        return float(value.get(part, getattr(_NOMINAL, key))) if part else float("nan")
    return float(value)
