"""Cuts a recording into stretches on the control grid, and says why the rest is left out.

Commands and samples have their own times. The grid has exactly the checkpoint's control period dt, whatever jitter the loop had.
Its phase is that of the commands, so that a loop without jitter gives back its own commands. In general

    action_k = 1/dt  integral over [t_k, t_k + dt] of the command that was held        obs_k = obs(t_k)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bags.samples import Measured, interpolate
from robot_bridge.safety.states import State

Array = NDArray[np.float64]
MAX_HELD_PERIODS = 2.5
"""A command that is held for more than this many periods makes a gap: by then the driver may have stopped the robot by itself."""
RATE_TOLERANCE = 0.2
"""How much the median time between commands may differ from dt, as a share of dt."""
NO_COMMANDS = "no commands"
"""Reason for leaving out a stretch without commands."""
ROUNDING = 1e-6
"""Rounding error of time differences, as a share of dt."""
NOT_DRIVEN = (State.ESTOP, State.INACTIVE, State.DRY_RUN)
"""States in which the robot does not follow the commands in the bag."""


@dataclass(frozen=True)
class Stretch:
    """A part of a recording.

    Attributes:
        begin: first time of the stretch, since the bag's start [s].
        end: last time of the stretch, since the bag's start [s].
        reason: reason for leaving the stretch out; empty if it is kept.
        ticks: times of the control grid since the bag's start [s], (T + 1,); empty if the stretch is left out.
        obs: observations at the ticks, (T + 1, obs_dim).
        action: mean command from each tick to the next, (T, action_dim).
    """

    begin: float
    end: float
    reason: str = ""
    ticks: Array = field(default_factory=lambda: np.zeros(0))
    obs: Array = field(default_factory=lambda: np.zeros((0, 0)))
    action: Array = field(default_factory=lambda: np.zeros((0, 0)))


def cut(
    spec: RobotSpec,
    commands: Measured,
    channels: Mapping[str, Measured],
    states: Sequence[tuple[float, str]],
    max_age: Mapping[str, float],
    min_steps: int,
) -> list[Stretch]:
    """All stretches of a recording in the order of time, those that are left out included.

    Args:
        spec: the robot's channels.
        commands: the commands in the spec's order, (S, action_dim); a row with NaN is no command.
        channels: samples of each observation channel, (S, 1).
        states: states of the supervisor, each with the time of its publication [s]; may be empty.
        max_age: longest time between two samples of a channel that is no gap, by channel [s].
        min_steps: number of control steps below which a stretch is left out.
    """
    found: list[Stretch] = []
    for run in _runs(spec, commands):
        times, values = commands.times[run], commands.values[run]
        following = commands.times[run.stop] if run.stop < len(commands.times) else math.inf
        end = min(float(times[-1]) + spec.dt, following)
        reason = _unusable(spec, times, values)
        if reason:
            found.append(Stretch(float(times[0]), end, reason))
        else:
            ticks, action = _resampled(spec.dt, times, values, end)
            obs = np.stack([_channel(spec, name, channels[name], ticks, max_age[name]) for name in spec.obs_names], axis=1)
            found += _split_by_reason(ticks, obs, action, _reasons(spec, ticks, obs, states), min_steps)
        if end < following < math.inf:
            found.append(Stretch(end, float(following), NO_COMMANDS))
    return found


def _runs(spec: RobotSpec, commands: Measured) -> list[slice]:
    """Runs of successive messages without a gap in which either all are commands or none is."""
    usable = np.asarray(np.isfinite(commands.values).all(axis=1))
    breaks = (np.diff(commands.times) > MAX_HELD_PERIODS * spec.dt) | np.diff(usable)
    edges = [0, *(np.flatnonzero(breaks) + 1), len(commands.times)]
    return [slice(int(a), int(b)) for a, b in pairwise(edges) if a < b]


def _unusable(spec: RobotSpec, times: Array, values: Array) -> str:
    """The reason for leaving out a whole run of commands; empty if it can be used."""
    if not np.isfinite(values).all():
        return f"a command is not {spec.action_dim} finite numbers"
    period = float(np.median(np.diff(times))) if len(times) > 1 else spec.dt
    if abs(period - spec.dt) > RATE_TOLERANCE * spec.dt:
        return f"a command every {period:.3g} s; the checkpoint's dt is {spec.dt:g} s"
    return ""


def _resampled(dt: float, times: Array, values: Array, end: float) -> tuple[Array, Array]:
    """Put commands on the control grid; each is held until the next one or until `end`.

    Returns:
        Ticks [s], (T + 1,), and the mean command from each tick to the next, (T, action_dim).
    """
    phase = float(np.angle(np.exp(2j * math.pi * (times - times[0]) / dt).mean())) * dt / (2 * math.pi)
    # rounding must not cost the first or the last step of a loop without jitter
    begin = times[0] + phase + (dt if phase < -ROUNDING * dt else 0.0)
    ticks = begin + dt * np.arange(max(0, math.floor((end - begin) / dt + ROUNDING)) + 1)
    knots = np.append(times, end)
    integral = np.cumsum(values * np.diff(knots)[:, None], axis=0)
    integral = np.concatenate([np.zeros((1, values.shape[1])), integral])
    at_ticks = np.stack([np.interp(ticks, knots, column) for column in integral.T], axis=1)
    return ticks, np.diff(at_ticks, axis=0) / dt


def _channel(spec: RobotSpec, name: str, samples: Measured, ticks: Array, max_age: float) -> Array:
    angle = spec.obs[spec.obs_index(name)].kind == "angle"
    return interpolate(samples.times, samples.values[:, 0], ticks, max_age, angle=angle)


def _reasons(spec: RobotSpec, ticks: Array, obs: Array, states: Sequence[tuple[float, str]]) -> list[str]:
    """The reason for leaving out each step, T entries; empty for a step that can be used."""
    state_times = np.array([at for at, _ in states])
    begin, end = np.searchsorted(state_times, ticks[:-1], "right") - 1, np.searchsorted(state_times, ticks[1:], "right")
    not_driven = {state.value for state in NOT_DRIVEN}
    missing = np.isnan(obs[:-1]) | np.isnan(obs[1:])
    reasons = []
    for step in range(len(ticks) - 1):
        during = [state for _, state in states[max(0, begin[step]) : end[step]] if state in not_driven]
        if during:
            reasons.append(f"state {during[0]}")
        elif missing[step].any():
            reasons.append(f"no value of '{spec.obs_names[int(missing[step].argmax())]}'")
        else:
            reasons.append("")
    return reasons


def _split_by_reason(ticks: Array, obs: Array, action: Array, reasons: list[str], min_steps: int) -> list[Stretch]:
    """Join neighbouring steps with the same reason to stretches; those that are too short to keep get a reason, too."""
    edges = [0, *(k for k in range(1, len(reasons)) if reasons[k] != reasons[k - 1]), len(reasons)]
    found = []
    for a, b in pairwise(edges):
        reason, begin, end = reasons[a] if reasons else "", float(ticks[a]), float(ticks[b])
        if not reason and b - a < min_steps:
            reason = f"{b - a} steps; at least {min_steps} are needed"
        kept = () if reason else (ticks[a : b + 1], obs[a : b + 1], action[a:b])
        found.append(Stretch(begin, end, reason, *kept))
    return found
