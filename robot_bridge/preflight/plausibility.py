"""Compares the values of a channel with those of the training data: are they plausible, or in another unit?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

WARN_STDS = 6.0
"""A distance from the training mean that is unusual [training stds]."""
_DEGREES, _RPM, _MILLI = 180 / math.pi, 30 / math.pi, 1000.0
_MISTAKES: dict[str, tuple[tuple[str, float], ...]] = {
    "rad": (("degrees", _DEGREES),),
    "rad/s": (("degrees/s", _DEGREES), ("rpm", _RPM)),
    "m": (("mm", _MILLI),),
    "m/s": (("mm/s", _MILLI),),
    "N m": (("N mm", _MILLI),),
}
"""Other units that drivers may use by mistake, by the SI unit of the channel, each with its factor on the number."""
_NEARLY = 1.6
"""A ratio is taken for a unit's factor if the two differ by less than this factor."""


def distance(values: NDArray[np.float64], mean: float, std: float) -> float:
    """Distance of the furthest value from the training mean [training stds]."""
    return float(np.max(np.abs(values - mean)) / std)


def mistaken_unit(values: NDArray[np.float64], mean: float, std: float, unit: str) -> str:
    """The units in which implausible values would be plausible, joined by `or`; empty if there are none."""
    factors = _MISTAKES.get(unit, ())
    return " or ".join(name for name, factor in factors if distance(values / factor, mean, std) <= WARN_STDS)


def unit_of_ratio(ratio: float, unit: str) -> str:
    """The mistaken unit that explains why a change is `ratio` times as large as expected; empty if there is none."""
    for name, factor in _MISTAKES.get(unit, ()):
        if factor / _NEARLY <= abs(ratio) <= factor * _NEARLY:
            return name
    return ""
