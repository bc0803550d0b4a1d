"""The time of each row of a log, from its column of stamps or from the period of its rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.cells import numbers
from adaptive_mbrl.logs.columns import TimeColumn
from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.logs.samples import Array
from adaptive_mbrl.logs.tables import Table

SECONDS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def times_of(table: Table, config: LogConfig) -> tuple[Array, float | None]:
    """The time of each row of a table [s], (S,), NaN for a row without; and the first stamp, None for a log without stamps.

    Raises:
        ConfigError: there are no rows, or none of them has a time.
    """
    size = len(next(iter(table.columns.values())))
    if size == 0:
        raise ConfigError("it has no rows")
    if config.time is not None:
        return _seconds(table, config.time)
    period = config.dt if config.period is None else config.period
    return period * np.arange(size, dtype=np.float64), None


def require_no_times(config: LogConfig) -> None:
    """Refuse a configuration for bags that says how rows get their times.

    Raises:
        ConfigError: it does.
    """
    for key in ("time", "period"):
        if getattr(config, key) is not None:
            raise ConfigError(
                f"key '{key}': the messages of a bag have stamps of their own; "
                "bags need a YAML file without 'time' and 'period', and tables one of their own"
            )


def _seconds(table: Table, time: TimeColumn) -> tuple[Array, float]:
    """The time of each row since the first one that has a time [s], (S,), NaN for a row without; and that first time."""
    stamps = _stamps(table.columns[time.column], time.column, table.lines)
    known = np.isfinite(stamps)
    if not known.any():
        raise ConfigError(f"column '{time.column}': none of its {len(stamps)} rows has a time")
    first = stamps[known][0]
    passed = stamps - first
    if passed.dtype.kind != "m":
        return SECONDS[time.unit] * passed, float(SECONDS[time.unit] * first)
    since = first - np.datetime64(0, "s") if stamps.dtype.kind == "M" else first
    return passed / np.timedelta64(1, "s"), float(since / np.timedelta64(1, "s"))


def _stamps(column: np.ndarray, name: str, lines: NDArray[np.int64] | None) -> np.ndarray:
    """A column of stamps as numbers, dates or durations, (S,)."""
    if column.dtype.kind in "mM":
        try:
            # whole months and years become seconds, too; anything finer stays as it is
            return column.astype(np.promote_types(column.dtype, f"{column.dtype.kind}8[s]"))
        except TypeError:
            raise ConfigError(f"column '{name}': its durations are months or years, which differ in length") from None
    try:
        return numbers(column, name, lines)
    except ConfigError:
        dates = _dates(column)
        if dates is None:
            raise
        return dates


def _dates(column: np.ndarray) -> NDArray[np.datetime64] | None:
    """Texts as dates, (S,); None if one of them is no date."""
    if column.dtype.kind != "U":
        return None
    try:
        with warnings.catch_warnings():
            # of a date with an offset from UTC, NumPy gives the time in UTC, and warns that it keeps no time zone
            warnings.simplefilter("ignore", UserWarning)
            return column.astype("datetime64[ns]")
    except ValueError:
        return None
