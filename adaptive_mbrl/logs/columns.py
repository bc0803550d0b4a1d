"""Where a channel stands in a log file, and how its column becomes SI units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.orientation import Angle, angle_of
from adaptive_mbrl.logs.samples import Array
from adaptive_mbrl.spec import ActionChannel, Channel
from adaptive_mbrl.units import require_kind, require_si


@dataclass(frozen=True)
class TimeColumn:
    """The time stamps of a log's rows.

    Attributes:
        column: name of the column.
        unit: unit of its numbers; dates, such as ``2024-05-31T14:00:00.25``, and durations bring their own.
    """

    column: str
    unit: Literal["s", "ms", "us", "ns"] = "s"


@dataclass(frozen=True)
class NumberColumn:
    """A quantity, and the column that holds it. Its value in SI units is ``scale * column + offset``.

    Attributes:
        name: name of the quantity.
        column: name of the column; the quantity's name if not given.
        scale: factor from the column's unit to the SI unit.
        offset: what is then added, in the SI unit.
        degrees: whether the column is in degrees, or degrees per second; takes the place of `scale`.
    """

    name: str
    column: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    degrees: bool = False

    def __post_init__(self) -> None:
        if self.degrees and self.scale != 1.0:
            raise ConfigError(f"'{self.name}': both 'degrees' and 'scale' convert the unit; allowed: one of them")
        if self.scale == 0.0:
            raise ConfigError(f"'{self.name}': with scale 0 every value is the same; allowed: any other number")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the quantity is made of."""
        return (self.column or self.name,)

    def values(self, table: Mapping[str, Array]) -> Array:
        """The quantity in each row, (S,); NaN where the log does not say it."""
        factor = math.pi / 180 if self.degrees else self.scale
        return factor * table[self.columns[0]] + self.offset


@dataclass(frozen=True)
class LogAction(NumberColumn, ActionChannel):
    """An action channel, and the column that holds its commands."""

    def __post_init__(self) -> None:
        require_si(self.name, self.unit)
        NumberColumn.__post_init__(self)
        ActionChannel.__post_init__(self)


@dataclass(frozen=True)
class LogChannel(NumberColumn, Channel):
    """An observation channel, and the column that holds it, or the four columns of an orientation that it is an angle of.

    Attributes:
        quaternion: the columns w, x, y and z of an orientation, instead of `column`.
        angle: which angle of the orientation the channel is.
    """

    quaternion: tuple[str, str, str, str] | None = None
    angle: Angle | None = None

    def __post_init__(self) -> None:
        require_si(self.name, self.unit)
        require_kind(self.name, self.unit, self.kind)
        NumberColumn.__post_init__(self)
        Channel.__post_init__(self)
        if (self.quaternion is None) != (self.angle is None):
            raise ConfigError(f"'{self.name}': 'quaternion' and 'angle' belong together; allowed: both or none")
        if self.quaternion is not None and (self.column is not None or self.degrees or self.scale != 1.0):
            raise ConfigError(f"'{self.name}': an angle of a quaternion has no 'column', 'scale' or 'degrees'; allowed: offset")

    @property
    def columns(self) -> tuple[str, ...]:
        return self.quaternion or super().columns

    def values(self, table: Mapping[str, Array]) -> Array:
        if self.quaternion is None or self.angle is None:
            return super().values(table)
        w, x, y, z = (table[column] for column in self.quaternion)
        return angle_of(w, x, y, z, self.angle) + self.offset
