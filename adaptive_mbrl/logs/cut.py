"""Puts the segments of a log on the control grid and cuts out what is not known, with the reason."""

from __future__ import annotations

import math

import numpy as np
import torch

from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.logs.config import LogConfig
from adaptive_mbrl.logs.grid import (
    NO_COMMANDS,
    RATE_TOLERANCE,
    Stretch,
    missing_values,
    period_of,
    phase_of,
    resample,
    runs_of,
    split_by_reason,
)
from adaptive_mbrl.logs.rows import Rows
from adaptive_mbrl.logs.samples import Array, Measured, hold, interpolate

NOT_HEALTHY = "the robot is not healthy"
"""Reason for leaving out the steps after a fall, until the robot is healthy again."""


def cut(rows: Rows, config: LogConfig) -> list[Stretch]:
    """All stretches of a segment in the order of time, those that are left out included.

    An empty cell says nothing new: a command is held, and an observation is interpolated between those before and after, both
    for no longer than `max_gap`.

    Args:
        rows: the segment, in the order of time.
        config: the robot, and what is left out.
    """
    first, last, dt = float(rows.times[0]), float(rows.times[-1]), config.dt
    commands = _commands(rows, config.longest_gap)
    found: list[Stretch] = []
    known_until = first
    for run in runs_of(commands, config.longest_gap):
        times, values = commands.times[run], commands.values[run]
        if times[0] > known_until + dt:
            found.append(Stretch(known_until, float(times[0]), NO_COMMANDS))
        # a command is held until the next one, but there is no observation after the last row
        following = float(commands.times[run.stop]) if run.stop < len(commands.times) else math.inf
        known_until = min(float(times[-1]) + dt, following, last)
        ticks, action = resample(dt, times, values, known_until, _phase(dt, times))
        obs = _observations(rows, ticks, config)
        found += split_by_reason(ticks, obs, action, _reasons(rows, ticks, obs, config), config.min_steps)
    if last > known_until + dt:
        found.append(Stretch(known_until, last, NO_COMMANDS))
    return found


def steps_of(ticks: Array, rows: Rows, config: LogConfig) -> tuple[Array, Array]:
    """The rewards that the log gives to steps, (T, 1 or 0), and the goals during them, (T, goal_dim); NaN where not known.

    Args:
        ticks: times of the control grid [s], (T + 1,).
        rows: the segment that they are in.
        config: the longest time that a reward is held.
    """
    # a row near the begin of a step belongs to the step, whatever its jitter is
    middle = (ticks[:-1] + ticks[1:]) / 2
    return hold(rows.times, rows.reward, middle, config.longest_gap), hold(rows.times, rows.goal, middle, math.inf)


def _commands(rows: Rows, max_gap: float) -> Measured:
    """The rows that hold a command, in which each channel has its newest value."""
    held = hold(rows.times, rows.action, rows.times, max_gap)
    given = np.isfinite(rows.action).any(axis=1) & np.isfinite(held).all(axis=1)
    return Measured(rows.times[given], held[given])


def _phase(dt: float, times: Array) -> float:
    """The phase of commands that come once per control period; the grid of others begins with the first one."""
    return phase_of(dt, times) if abs(period_of(dt, times) - dt) <= RATE_TOLERANCE * dt else 0.0


def _observations(rows: Rows, ticks: Array, config: LogConfig) -> Array:
    """Observations at the ticks, angles within [-pi, pi), (T + 1, obs_dim); NaN where one is not known."""
    columns = []
    for channel, column in zip(config.obs, rows.obs.T, strict=True):
        angle = channel.kind == "angle"
        found = interpolate(rows.times, column, ticks, config.longest_gap, angle=angle)
        columns.append(np.remainder(found + math.pi, 2 * math.pi) - math.pi if angle else found)
    return np.stack(columns, axis=1)


def _reasons(rows: Rows, ticks: Array, obs: Array, config: LogConfig) -> list[str]:
    """The reason for leaving out each step, T entries; empty for a step that can be used."""
    spec = config.spec
    reward, goal = steps_of(ticks, rows, config)
    reasons = missing_values(spec, obs)
    healthy = is_healthy(spec, torch.from_numpy(obs)).numpy()
    for step, reason in enumerate(reasons):
        if reason:
            continue
        if spec.can_end and not healthy[step]:
            reasons[step] = NOT_HEALTHY
        elif np.isnan(reward[step]).any():
            reasons[step] = f"no value of '{config.reward}'"
        elif np.isnan(goal[step]).any():
            reasons[step] = f"no value of '{config.goal[int(np.isnan(goal[step]).argmax())].name}'"
    return reasons
