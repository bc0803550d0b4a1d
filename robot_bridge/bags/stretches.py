"""Cuts a bag into stretches on the control grid (see `adaptive_mbrl/logs/grid.py`), and says why the rest is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from adaptive_mbrl.logs.grid import (
    MAX_HELD_PERIODS,
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
from adaptive_mbrl.logs.samples import Array, Measured, interpolate
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bags.other_senders import SOMEBODY_ELSE, Interval, crowded, steps_within
from robot_bridge.safety.states import State

NOT_DRIVEN = (State.ESTOP, State.INACTIVE, State.DRY_RUN)
"""States in which the robot does not follow the commands in the bag."""


def cut(
    spec: RobotSpec,
    commands: Measured,
    channels: Mapping[str, Measured],
    states: Sequence[tuple[float, str]],
    max_age: Mapping[str, float],
    min_steps: int,
    others: Sequence[Interval] = (),
) -> list[Stretch]:
    """All stretches of a recording in the order of time, those that are left out included.

    Args:
        spec: the robot's channels.
        commands: the commands in the spec's order, (S, action_dim); a row with NaN is no command.
        channels: samples of each observation channel, (S, 1).
        states: states of the supervisor, each with the time of its publication [s]; may be empty.
        max_age: longest time between two samples of a channel that is no gap, by channel [s].
        min_steps: number of control steps below which a stretch is left out.
        others: when somebody else commanded the robot, as far as the node's diagnosis tells.
    """
    found: list[Stretch] = []
    for run in runs_of(commands, MAX_HELD_PERIODS * spec.dt):
        times, values = commands.times[run], commands.values[run]
        following = commands.times[run.stop] if run.stop < len(commands.times) else math.inf
        end = min(float(times[-1]) + spec.dt, following)
        reason = _unusable(spec, times, values)
        if reason:
            found.append(Stretch(float(times[0]), end, reason))
        else:
            ticks, action = resample(spec.dt, times, values, end, phase_of(spec.dt, times))
            obs = np.stack([_channel(spec, name, channels[name], ticks, max_age[name]) for name in spec.obs_names], axis=1)
            reasons = _reasons(spec, ticks, obs, states, (*others, *crowded(times, spec.dt)))
            found += split_by_reason(ticks, obs, action, reasons, min_steps)
        if end < following < math.inf:
            found.append(Stretch(end, float(following), NO_COMMANDS))
    return found


def _unusable(spec: RobotSpec, times: Array, values: Array) -> str:
    """The reason for leaving out a whole run of commands; empty if it can be used."""
    if not np.isfinite(values).all():
        return f"a command is not {spec.action_dim} finite numbers"
    period = period_of(spec.dt, times)
    if abs(period - spec.dt) > RATE_TOLERANCE * spec.dt:
        return f"a command every {period:.3g} s; the checkpoint's dt is {spec.dt:g} s"
    return ""


def _channel(spec: RobotSpec, name: str, samples: Measured, ticks: Array, max_age: float) -> Array:
    angle = spec.obs[spec.obs_index(name)].kind == "angle"
    return interpolate(samples.times, samples.values[:, 0], ticks, max_age, angle=angle)


def _reasons(
    spec: RobotSpec, ticks: Array, obs: Array, states: Sequence[tuple[float, str]], others: Sequence[Interval]
) -> list[str]:
    """The reason for leaving out each step, T entries; empty for a step that can be used."""
    state_times = np.array([at for at, _ in states])
    begin, end = np.searchsorted(state_times, ticks[:-1], "right") - 1, np.searchsorted(state_times, ticks[1:], "right")
    not_driven = {state.value for state in NOT_DRIVEN}
    reasons = missing_values(spec, obs)
    for shared in np.flatnonzero(steps_within(ticks, others)):
        reasons[int(shared)] = SOMEBODY_ELSE
    for step in range(len(reasons)):
        during = [state for _, state in states[max(0, begin[step]) : end[step]] if state in not_driven]
        if during:
            reasons[step] = f"state {during[0]}"
    return reasons
