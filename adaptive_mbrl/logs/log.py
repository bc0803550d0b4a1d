"""One log file: from its rows to episodes, with everything that was left out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.logs.cut import cut, steps_of
from adaptive_mbrl.logs.grid import Stretch
from adaptive_mbrl.logs.rows import Rows, read_rows
from adaptive_mbrl.logs.segments import segments_of
from adaptive_mbrl.logs.tags import plain

MOST_APART = 100.0
"""Rows that are so many times further apart than `dt`, or closer, have another unit of time."""
ROUNDING = 1e-3
"""How far beyond its limits a command may be without a word, as a share of their range; logs round their numbers."""


@dataclass(frozen=True)
class Log:
    """What a log file gives.

    Attributes:
        episodes: its episodes.
        stretches: the stretches that they are, and those that were left out, in the order of the file.
        notes: sentences that a user should read.
    """

    episodes: tuple[Episode, ...]
    stretches: tuple[Stretch, ...]
    notes: tuple[str, ...]


def read_log(path: Path, config: LogConfig) -> Log:
    """Read a log file as episodes.

    Raises:
        ConfigError: it is damaged, or does not hold what the configuration says.
    """
    tags = {"source": "log", "file": path.name, **config.tags.of_path(path)}
    rows, notes = _clipped(read_rows(path, config), config)
    notes = [*rows.notes, *notes, *_about_time(rows, config)]
    segments = segments_of(rows, config)
    episodes: list[Episode] = []
    stretches = [Stretch(a, b, f"a gap of {b - a:.3g} s") for a, b in segments.gaps]
    for segment in segments.rows:
        found = cut(segment, config)
        stretches += found
        own = {**tags, **{name: plain(segment.labels[name][0]) for name in config.tags.columns}}
        if config.situation:
            own["situation"] = {name: own.get(name) for name in config.situation}
        episodes += [_episode(stretch, segment, config, own) for stretch in found if not stretch.reason]
    return Log(tuple(episodes), tuple(sorted(stretches, key=lambda s: s.begin)), (*segments.notes, *notes))


def _about_time(rows: Rows, config: LogConfig) -> list[str]:
    """What there is to say about the times of a log that were not given, or that cannot be right."""
    if config.time is None:
        if config.period is not None or rows.first_stamp is not None:
            return []
        return [f"there is no 'time', so rows are taken to be {config.dt:g} s apart, as 'dt' says; give 'period' if they are not"]
    apart = np.diff(rows.times[np.isfinite(rows.times)])
    apart = apart[apart > 0]  # rows of one time are joined
    typical = float(np.median(apart)) if len(apart) else config.dt
    if config.dt / MOST_APART <= typical <= MOST_APART * config.dt:
        return []
    return [f"rows are {typical:g} s apart, and 'dt' is {config.dt:g} s; is 'time.unit: {config.time.unit}' right?"]


def _clipped(rows: Rows, config: LogConfig) -> tuple[Rows, list[str]]:
    """The rows with all commands within their limits, as the robot will have limited them, and what there is to say about it."""
    low, high = (np.array([getattr(channel, limit) for channel in config.action]) for limit in ("low", "high"))
    notes = []
    for channel, column in zip(config.action, rows.action.T, strict=True):
        rounding = ROUNDING * (channel.high - channel.low)
        given = np.isfinite(column).sum()
        outside = (column < channel.low - rounding) | (column > channel.high + rounding)
        if outside.any():
            notes.append(
                f"'{channel.name}': {outside.sum()} of {given} commands are outside of {channel.low:g} to {channel.high:g} "
                f"(they go from {np.nanmin(column):.3g} to {np.nanmax(column):.3g}), and are clipped to it"
            )
    return replace(rows, action=np.clip(rows.action, low, high)), notes


def _episode(stretch: Stretch, segment: Rows, config: LogConfig, tags: Mapping[str, Any]) -> Episode:
    """A stretch as an episode.

    It ended by itself if the robot was no longer healthy after its last step and the robot's spec says that this is an end, or if
    it reaches the end of a segment at which the log says so.
    """
    obs, action = stretch.obs.astype(np.float32), stretch.action.astype(np.float32)
    reward, goal = steps_of(stretch.ticks, segment, config)
    total = reward.sum(axis=1)
    objective = config.reward_function
    if objective is not None:
        total = objective(*(torch.from_numpy(x) for x in (obs[:-1], action, obs[1:], goal.astype(np.float32)))).numpy()
    fell = config.spec.can_end and not bool(is_healthy(config.spec, torch.from_numpy(obs[-1])))
    reached = bool(segment.ended[-1]) and stretch.end > _last_time(segment, config.longest_gap) - config.dt
    tags = {**tags, "begin_seconds": round(stretch.begin, 3) + 0.0}
    stamps = segment.stamps(stretch.ticks)
    return Episode(obs, action, total.astype(np.float32), tags, ended=fell or reached, stamps=stamps)


def _last_time(segment: Rows, max_gap: float) -> float:
    """The last time at which all observations of a segment are known, as each topic of a bag ends at a time of its own.

    A channel that was lost more than `max_gap` before the end of the segment is none of its end.
    """
    last = min(float(segment.times[np.isfinite(column)].max(initial=-np.inf)) for column in segment.obs.T)
    return max(last, float(segment.times[-1]) - max_gap)
