"""Whether a number can be what its channel says: compared with the values that the checkpoint was trained on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

WARN_STDS, FAIL_STDS = 6.0, 30.0
"""Distance from the training mean, in training stds, that is unusual, and that no robot of this kind has."""
_DEGREES, _RPM, _MILLI = 180 / math.pi, 30 / math.pi, 1000.0
_MISTAKES: dict[str, tuple[tuple[str, float], ...]] = {
    "rad": (("degrees", _DEGREES),),
    "rad/s": (("degrees/s", _DEGREES), ("rpm", _RPM)),
    "m": (("mm", _MILLI),),
    "m/s": (("mm/s", _MILLI),),
    "N m": (("N mm", _MILLI),),
}
"""By SI unit: what it is easily taken for, and how many times as large the number then is."""
_NEARLY = 1.6
"""A ratio this close to a factor, as a quotient, is taken for it."""


def distance(values: NDArray[np.float64], mean: float, std: float) -> float:
    """Of the value furthest from the training mean [training stds]."""
    return float(np.max(np.abs(values - mean)) / std)


def mistaken_unit(values: NDArray[np.float64], mean: float, std: float, unit: str) -> str:
    """The units that implausible values would be plausible in, joined by `or`; empty if there are none."""
    factors = _MISTAKES.get(unit, ())
    return " or ".join(name for name, factor in factors if distance(values / factor, mean, std) <= WARN_STDS)


def unit_of_ratio(ratio: float, unit: str) -> str:
    """The unit in which a change is `ratio` times as large as expected; empty if there is none."""
    for name, factor in _MISTAKES.get(unit, ()):
        if factor / _NEARLY <= abs(ratio) <= factor * _NEARLY:
            return name
    return ""
