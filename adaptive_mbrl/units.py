"""Which units channels have: SI units, spelled in one way, that fit the channel's kind.

Positions and velocities find each other by their units, and whoever reads a value later takes it for SI. So what is imported is
refused with a usual mistake, and a unit that nobody knows here is named.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec

KNOWN = (
    *("1", "1/s", "m", "m/s", "m/s^2", "m/s^3", "rad", "rad/s", "rad/s^2", "rad/s^3", "s", "Hz", "kg", "kg m^2", "m^2", "m^3"),
    *("N", "N/s", "N m", "N m/s", "N/m", "N m/rad", "N s/m", "N m s/rad", "Pa", "J", "W", "A", "V", "C", "K", "T"),
)
"""Units that are known here; others are allowed."""
_SPELLINGS = {
    "1": ("", "-", "none", "unitless"),
    "m": ("meter", "meters", "metre", "metres"),
    "m/s": ("m/sec", "mps", "m s^-1", "m*s^-1"),
    "m/s^2": ("m/s2", "m/s**2", "m/s²", "m/s/s"),
    "rad": ("radian", "radians", "rads"),
    "rad/s": ("rad/sec", "radians/s", "rad s^-1", "rad*s^-1"),
    "rad/s^2": ("rad/s2", "rad/s**2", "rad/s²", "rad/s/s"),
    "s": ("sec", "second", "seconds"),
    "N": ("newton", "newtons"),
    "N m": ("nm", "n*m", "n·m", "n-m", "n.m"),
    "V": ("volt", "volts"),
    "A": ("ampere", "amps"),
}
"""The spelling that is used here, and other usual ones in small letters."""
_CONVERTED = {
    ("rad", "degrees: true"): ("deg", "degree", "degrees", "°"),
    ("rad/s", "degrees: true"): ("deg/s", "deg/sec", "degrees/s", "dps", "°/s"),
    ("rad/s", "scale: 0.10472"): ("rpm",),
    ("m/s", "scale: 0.27778"): ("km/h", "kmh", "kph"),
    ("m/s", "scale: 0.01"): ("cm/s",),
    ("m/s", "scale: 0.001"): ("mm/s",),
    ("m", "scale: 1000"): ("km",),
    ("m", "scale: 0.01"): ("cm",),
    ("m", "scale: 0.001"): ("mm",),
    ("s", "scale: 0.001"): ("ms",),
    ("V", "scale: 0.001"): ("mv",),
    ("A", "scale: 0.001"): ("ma",),
    ("1", "scale: 0.01"): ("%", "percent"),
    ("K", "offset: 273.15"): ("°c",),
}
"""An SI unit and how a log's column is converted to it, and the units that are, in small letters."""
_SPELLED = {other: unit for unit, others in _SPELLINGS.items() for other in others}
_OTHERS = {other: to for to, others in _CONVERTED.items() for other in others}


def require_si(name: str, unit: str, *, has_column: bool = True) -> None:
    """Refuse a unit that is no SI unit, or that is spelled in another way than here.

    Args:
        name: name of the channel, for the message.
        unit: its unit.
        has_column: whether the channel is made of a column that can be converted.
    """
    small = unit.strip().lower()
    if unit in KNOWN:
        return
    if small in _OTHERS:
        right, how = _OTHERS[small]
        allowed = f"{_quoted(right)} with {how}" if has_column else f"{_quoted(right)}, and numbers that are in it"
        raise ConfigError(f"'{name}': channels have SI units, got '{unit}'; allowed: unit: {allowed}")
    if small in _SPELLED:
        raise ConfigError(f"'{name}': a unit is spelled in one way, got '{unit}'; allowed: unit: {_quoted(_SPELLED[small])}")


def require_kind(name: str, unit: str, kind: str) -> None:
    """Refuse a velocity whose unit is known and is none per second."""
    if kind == "velocity" and unit in KNOWN and unit not in ("1", "Hz") and "/s" not in unit:
        rate = f"{unit}/s"
        allowed = f"unit: {rate}, or another kind" if rate in KNOWN else "another kind"
        raise ConfigError(f"'{name}': a velocity has a unit per second, got '{unit}'; allowed: {allowed}")


def require_units(spec: RobotSpec) -> None:
    """Refuse a robot with a channel whose unit is a usual mistake.

    Raises:
        ConfigError: there is one.
    """
    for name, unit in _units(spec):
        require_si(name, unit, has_column=False)
    for channel in spec.obs:
        require_kind(channel.name, channel.unit, channel.kind)


def notes_on_units(spec: RobotSpec) -> Iterator[str]:
    """A sentence about each unit that nobody knows here."""
    told = set()
    for name, unit in _units(spec):
        if unit not in KNOWN and unit not in told:
            told.add(unit)
            yield f"the unit '{unit}' of '{name}' is none that is known here{did_you_mean(unit, KNOWN)}; is it an SI unit?"


def _units(spec: RobotSpec) -> list[tuple[str, str]]:
    """Name and unit of each channel."""
    return [*((c.name, c.unit) for c in spec.obs), *((c.name, c.unit) for c in spec.action)]


def _quoted(unit: str) -> str:
    """A unit as YAML has to write it to be a text."""
    return f'"{unit}"' if unit == "1" else unit
