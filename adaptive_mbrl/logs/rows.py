"""The rows of a log: its columns in SI units, with the time of each row."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.files import is_bag
from adaptive_mbrl.logs.bags.table import read_bag
from adaptive_mbrl.logs.cells import numbers, truths
from adaptive_mbrl.logs.columns import TimeColumn
from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.logs.samples import Array, in_order, measured_at
from adaptive_mbrl.logs.tables import Table, read_table

SECONDS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Rows:
    """Rows of a log. NaN stands for a number that a row does not hold.

    Attributes:
        times: time of each row since the log's first stamp [s], (S,).
        first_stamp: the log's first stamp by its own clock [s], since the epoch for dates; None without stamps.
        obs: observations, (S, obs_dim).
        action: commands, (S, action_dim).
        reward: rewards, (S, 1), or (S, 0) if the log has none.
        goal: goals, (S, goal_dim).
        ended: whether an episode ended by itself at a row, (S,).
        labels: columns that are constant within an episode, (S,) each.
        notes: sentences that a user should read about the file.
    """

    times: Array
    obs: Array
    action: Array
    reward: Array
    goal: Array
    ended: NDArray[np.bool_]
    first_stamp: float | None = None
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    def part(self, which: slice | NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        arrays = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name not in ("labels", "first_stamp", "notes")}
        return replace(self, **arrays, labels={name: label[which] for name, label in self.labels.items()})

    def stamps(self, ticks: Array) -> Array | None:
        """When the observations at some times were measured, by the log's clock [s], (T,); None if the log has no stamps."""
        if self.first_stamp is None:
            return None
        return self.first_stamp + measured_at(ticks, [self.times[np.isfinite(column)] for column in self.obs.T])

    def in_order(self) -> Rows:
        """Rows in the order of time, those of one time in one; what comes too late is left out. All have the same labels."""
        parts = (self.obs, self.action, self.reward, self.goal)
        times, values = in_order(self.times, np.concatenate(parts, axis=1))
        obs, action, reward, goal = np.split(values, np.cumsum([part.shape[1] for part in parts])[:-1], axis=1)
        ended = np.full(len(times), self.ended.any())
        labels = {name: label[: len(times)] for name, label in self.labels.items()}
        return replace(self, times=times, obs=obs, action=action, reward=reward, goal=goal, ended=ended, labels=labels)


def read_rows(path: Path, config: LogConfig) -> Rows:
    """Read a log file; its rows stand in the order of the file, and some may have no time.

    Raises:
        ConfigError: it is damaged, or does not hold what the configuration says.
    """
    if is_bag(path):
        return _rows_of_bag(path, config)
    table = read_table(path, config.columns, config.as_written)
    try:
        times, first_stamp = _times(table, config)
        return replace(_rows(table.columns, times, config, first_stamp, table.lines), notes=table.notes)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


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


def _rows_of_bag(path: Path, config: LogConfig) -> Rows:
    """The rows of a recording of messages, in the order of time: one for each time at which something was measured."""
    try:
        require_no_times(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    bag = read_bag(path, config.columns, config.as_written)
    try:
        return replace(_rows(bag.columns, bag.times, config, bag.first_stamp), notes=bag.notes)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _times(table: Table, config: LogConfig) -> tuple[Array, float | None]:
    """The time of each row [s], (S,), and the first stamp; None for a log without stamps."""
    size = len(next(iter(table.columns.values())))
    if size == 0:
        raise ConfigError("it has no rows")
    if config.time is not None:
        return _seconds(table, config.time)
    period = config.dt if config.period is None else config.period
    return period * np.arange(size, dtype=np.float64), None


def _rows(
    table: Mapping[str, np.ndarray],
    times: Array,
    config: LogConfig,
    first_stamp: float | None,
    lines: NDArray[np.int64] | None = None,
) -> Rows:
    found = {name: numbers(table[name], name, lines) for name in config.numbers}
    size = len(times)
    obs, action, goal = (
        np.stack([channel.values(found) for channel in channels], axis=1) if channels else np.zeros((size, 0))
        for channels in (config.obs, config.action, config.goal)
    )
    return Rows(
        times=times,
        first_stamp=first_stamp,
        obs=obs,
        action=action,
        reward=found[config.reward][:, None] if config.reward else np.zeros((size, 0)),
        goal=goal,
        ended=truths(table[config.ended], config.ended, lines) if config.ended else np.zeros(size, dtype=bool),
        labels={name: _filled(table[name], name) for name in config.labels},
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


def _filled(column: np.ndarray, name: str) -> np.ndarray:
    """A column in which an empty cell has the value of the last row that has one, and the first rows that of the next one."""
    values = column if column.dtype.kind in "biufU" else np.where(column == column, column.astype(np.str_), "")
    known = ~np.isin(np.char.lower(values), ("", "nan")) if values.dtype.kind == "U" else np.isfinite(values)
    if not known.any():
        raise ConfigError(f"column '{name}' is empty")
    newest = np.maximum.accumulate(np.where(known, np.arange(len(values)), int(known.argmax())))
    return values[newest]
