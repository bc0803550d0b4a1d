"""The control grid of a recording, and the stretches in which everything is known.

Commands and samples have their own times. The grid has exactly the robot's control period dt, whatever jitter the loop had. Its
phase is that of the commands, so that a loop without jitter gives back its own commands. In general

    action_k = 1/dt  integral over [t_k, t_k + dt] of the command that was held        obs_k = obs(t_k)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.logs.samples import Array, Measured
from adaptive_mbrl.spec import RobotSpec

MAX_HELD_PERIODS = 2.5
"""A command that is held for more than this many periods makes a gap: by then the driver may have stopped the robot by itself."""
RATE_TOLERANCE = 0.2
"""How much the median time between commands of a control loop may differ from dt, as a share of dt."""
NO_COMMANDS = "no commands"
"""Reason for leaving out a stretch without commands."""
ROUNDING = 1e-6
"""Rounding error of time differences, as a share of dt."""


@dataclass(frozen=True)
class Stretch:
    """A part of a recording.

    Attributes:
        begin: first time of the stretch, since the recording's start [s].
        end: last time of the stretch, since the recording's start [s].
        reason: reason for leaving the stretch out; empty if it is kept.
        ticks: times of the control grid since the recording's start [s], (T + 1,); empty if the stretch is left out.
        obs: observations at the ticks, (T + 1, obs_dim).
        action: mean command from each tick to the next, (T, action_dim).
    """

    begin: float
    end: float
    reason: str = ""
    ticks: Array = field(default_factory=lambda: np.zeros(0))
    obs: Array = field(default_factory=lambda: np.zeros((0, 0)))
    action: Array = field(default_factory=lambda: np.zeros((0, 0)))


def runs_of(commands: Measured, max_held: float) -> list[slice]:
    """Runs of successive messages without a gap in which either all are commands or none is.

    Args:
        commands: the commands, (S, action_dim); a row with NaN is no command.
        max_held: longest time between two commands that is no gap [s].
    """
    usable = np.asarray(np.isfinite(commands.values).all(axis=1))
    breaks = (np.diff(commands.times) > max_held) | np.diff(usable)
    edges = [0, *(np.flatnonzero(breaks) + 1), len(commands.times)]
    return [slice(int(a), int(b)) for a, b in pairwise(edges) if a < b]


def period_of(dt: float, times: Array) -> float:
    """The median time between commands at these times [s]; dt for a single command."""
    return float(np.median(np.diff(times))) if len(times) > 1 else dt


def phase_of(dt: float, times: Array) -> float:
    """How much later than the first command the control grid begins [s], so that jitter is as often ahead of it as behind."""
    return float(np.angle(np.exp(2j * math.pi * (times - times[0]) / dt).mean())) * dt / (2 * math.pi)


def resample(dt: float, times: Array, values: Array, end: float, phase: float) -> tuple[Array, Array]:
    """Put commands on the control grid; each is held until the next one or until `end`.

    Args:
        dt: control period [s].
        times: times of the commands [s], increasing, (S,).
        values: the commands, (S, action_dim), all finite.
        end: time until which the last command is held [s].
        phase: how much later than the first command the grid begins [s]; if it is negative, the grid begins one period later.

    Returns:
        Ticks [s], (T + 1,), and the mean command from each tick to the next, (T, action_dim).
    """
    # rounding must not cost the first or the last step of a loop without jitter
    begin = times[0] + phase + (dt if phase < -ROUNDING * dt else 0.0)
    ticks = begin + dt * np.arange(max(0, math.floor((end - begin) / dt + ROUNDING)) + 1)
    knots = np.append(times, end)
    integral = np.cumsum(values * np.diff(knots)[:, None], axis=0)
    integral = np.concatenate([np.zeros((1, values.shape[1])), integral])
    at_ticks = np.stack([np.interp(ticks, knots, column) for column in integral.T], axis=1)
    return ticks, np.diff(at_ticks, axis=0) / dt


def missing_values(spec: RobotSpec, obs: Array) -> list[str]:
    """The reason for leaving out each step at whose begin or end an observation is not known; empty for the other steps.

    Args:
        spec: the robot's channels.
        obs: observations at the ticks, (T + 1, obs_dim); NaN where one is not known.
    """
    missing: NDArray[np.bool_] = np.isnan(obs[:-1]) | np.isnan(obs[1:])
    return [f"no value of '{spec.obs_names[int(step.argmax())]}'" if step.any() else "" for step in missing]


def split_by_reason(ticks: Array, obs: Array, action: Array, reasons: Sequence[str], min_steps: int) -> list[Stretch]:
    """Join neighbouring steps with the same reason to stretches; those that are too short to keep get a reason, too.

    Args:
        ticks: times of the control grid [s], (T + 1,).
        obs: observations at the ticks, (T + 1, obs_dim).
        action: mean command from each tick to the next, (T, action_dim).
        reasons: the reason for leaving out each step, T entries; empty for a step that can be used.
        min_steps: number of control steps below which a stretch is left out.
    """
    edges = [0, *(k for k in range(1, len(reasons)) if reasons[k] != reasons[k - 1]), len(reasons)]
    found = []
    for a, b in pairwise(edges):
        reason, begin, end = reasons[a] if reasons else "", float(ticks[a]), float(ticks[b])
        if not reason and b - a < min_steps:
            reason = f"{b - a} steps; at least {min_steps} are needed"
        kept = () if reason else (ticks[a : b + 1], obs[a : b + 1], action[a:b])
        found.append(Stretch(begin, end, reason, *kept))
    return found
