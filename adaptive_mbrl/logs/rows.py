"""The rows of a log: its columns in SI units, with the time of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.files import is_bag
from adaptive_mbrl.logs.bags.table import read_bag
from adaptive_mbrl.logs.cells import numbers, truths
from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.logs.row_times import require_no_times, times_of
from adaptive_mbrl.logs.samples import Array, in_order, measured_at
from adaptive_mbrl.logs.tables import read_table


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
        times, first_stamp = times_of(table, config)
        return replace(_rows(table.columns, times, config, first_stamp, table.lines), notes=table.notes)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


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


def _filled(column: np.ndarray, name: str) -> np.ndarray:
    """A column in which an empty cell has the value of the last row that has one, and the first rows that of the next one."""
    values = column if column.dtype.kind in "biufU" else np.where(column == column, column.astype(np.str_), "")
    known = ~np.isin(np.char.lower(values), ("", "nan")) if values.dtype.kind == "U" else np.isfinite(values)
    if not known.any():
        raise ConfigError(f"column '{name}' is empty")
    newest = np.maximum.accumulate(np.where(known, np.arange(len(values)), int(known.argmax())))
    return values[newest]
