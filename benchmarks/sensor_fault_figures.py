"""What the checks of the bridge tell of episodes that were observed, and which limits healthy episodes ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from adaptive_mbrl.spec import RobotSpec
from benchmarks.evidence.figures import rate_interval, share_interval
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.derivatives import AVERAGED_STEPS, LONGEST_GAP, Derivatives
from robot_bridge.safety.frozen import FrozenChannels
from robot_bridge.safety.innovations import DRIFT_STEPS, Innovations
from robot_bridge.safety.observation_checks import Observed

Array = NDArray[np.float64]
KINDS = ("frozen", "jump", "drift", "derivative")
LEAST_EPISODES = 8
"""Number of episodes from which a distribution of their largest values is fitted."""
HEADROOM = 1.5
"""A limit is this many times the largest value of all healthy episodes that it is chosen from."""


@dataclass(frozen=True)
class Looked:
    """One episode as the checks see it.

    Attributes:
        seen: observations, (T, obs_dim).
        changes: how each channel changed [target stds], (T, obs_dim).
        innovations: what of this the model had not predicted, (T, obs_dim).
        begin: the step at which a channel began to lie; of no meaning in a healthy episode.
        channel: the channel that lies.
    """

    seen: NDArray[np.float32]
    changes: NDArray[np.float32]
    innovations: NDArray[np.float32]
    begin: int
    channel: int


def told(looked: Looked, spec: RobotSpec, safety: SafetyConfig) -> NDArray[np.bool_]:
    """In which steps which of `KINDS` is told, (T, 4), by the bridge's own checks."""
    frozen = FrozenChannels(spec.obs_names, safety.frozen_steps)
    innovations = Innovations(spec.obs_names, safety.max_jump, safety.max_drift)
    derivatives = Derivatives(spec, safety.derivatives)
    found = np.zeros((len(looked.seen), len(KINDS)), dtype=np.bool_)
    for step in range(len(looked.seen)):
        change, innovation = (x[step].astype(np.float64) for x in (looked.changes, looked.innovations))
        observed = Observed(looked.seen[step].astype(np.float64), np.full(spec.obs_dim, step * spec.dt))
        faults = frozen.look(change, innovation) + innovations.look(innovation) + derivatives.look(observed)
        for fault in faults:
            found[step, KINDS.index(fault.kind)] = True
    return found


def figures(kinds: Mapping[str, Sequence[Looked]], spec: RobotSpec, safety: SafetyConfig) -> dict[str, Any]:
    """False alarms by kind in healthy episodes, with the rate that they allow, and what is told of each lie."""
    healthy = [told(looked, spec, safety) for looked in kinds["none"]]
    hours = sum(map(len, healthy)) * spec.dt / 3600
    alarms = {kind: sum(events(found[:, i]) for found in healthy) for i, kind in enumerate(KINDS)}
    return {
        "limits": limits_in_use(safety),
        "healthy_hours": round(hours, 3),
        "false_alarms": {kind: {"events": n, "per_hour": rate_interval(n, hours)} for kind, n in alarms.items()},
        "all_per_hour": rate_interval(sum(alarms.values()), hours),
        "extrapolated_per_hour": extrapolated(kinds["none"], spec, safety),
        "largest": largest(kinds["none"], spec, safety),
        "lies": {lie: detection(looked, spec, safety) for lie, looked in kinds.items() if lie != "none"},
    }


def limits_in_use(safety: SafetyConfig) -> dict[str, Any]:
    """The limits that a report is about; 0 and an empty list are off."""
    return {
        "frozen_steps": safety.frozen_steps,
        "max_jump": safety.max_jump,
        "max_drift": safety.max_drift,
        "derivatives": {name: pair.tolerance for name, pair in safety.derivatives.items()},
    }


def events(steps: NDArray[np.bool_]) -> int:
    """How often an alarm begins; steps of the same alarm count once, also with pauses of less than a second's worth of steps."""
    at = np.flatnonzero(steps)
    return int(np.count_nonzero(np.diff(at) > 20) + 1) if len(at) else 0


def detection(looked: Sequence[Looked], spec: RobotSpec, safety: SafetyConfig) -> dict[str, Any]:
    """How many of the lies are told, by which check first, and after how many steps."""
    delays, first, unseen = [], dict.fromkeys(KINDS, 0), []
    for episode in looked:
        after = told(episode, spec, safety)[episode.begin :]
        steps = np.flatnonzero(after.any(axis=1))
        if len(steps):
            delays.append(int(steps[0]))
            first[KINDS[int(np.argmax(after[steps[0]]))]] += 1
        elif len(after):
            unseen.append(spec.obs_names[episode.channel])
    of = sum(len(episode.seen) > episode.begin for episode in looked)
    return {
        "told": len(delays),
        "of": of,
        "share_95": share_interval(len(delays), of),
        "steps_median": float(np.median(delays)) if delays else None,
        "steps_max": max(delays, default=None),
        "first_told_by": {kind: n for kind, n in first.items() if n},
        "not_told": sorted(set(unseen)),
    }


def largest(looked: Sequence[Looked], spec: RobotSpec, safety: SafetyConfig) -> dict[str, Any]:
    """The largest value of each statistic in these episodes, whatever the limits are."""
    jump = max(float(np.nanmax(np.abs(np.nan_to_num(episode.innovations)))) for episode in looked)
    return {
        "jump": round(jump, 2),
        "drift": round(max(_largest_drift(episode.innovations, math.inf) for episode in looked), 3),
        "derivatives": {name: round(value, 4) for name, value in _largest_differences(looked, spec, safety).items()},
    }


def extrapolated(looked: Sequence[Looked], spec: RobotSpec, safety: SafetyConfig) -> dict[str, float | None]:
    """False alarms per hour that a Gumbel distribution of the largest values of episodes expects, for each limit that is on.

    It says more than a count of alarms where there are few hours, and is worth as much as that distribution fits.
    """
    hours = sum(len(episode.seen) for episode in looked) * spec.dt / 3600
    if len(looked) < LEAST_EPISODES:
        return {}
    each = [largest([episode], spec, safety) for episode in looked]
    statistics = {"jump": (safety.max_jump, [e["jump"] for e in each]), "drift": (safety.max_drift, [e["drift"] for e in each])}
    for name, pair in safety.derivatives.items():
        statistics[name] = (pair.tolerance, [e["derivatives"][name] for e in each])
    found: dict[str, float | None] = {}
    for name, (limit, values) in statistics.items():
        if limit > 0 and np.std(values) > 0:
            tail = stats.gumbel_r.sf(limit, *stats.gumbel_r.fit(values))
            found[name] = float(f"{tail * len(looked) / hours:.2g}")
    return found


def proposed_limits(looked: Sequence[Looked], spec: RobotSpec, safety: SafetyConfig) -> dict[str, Any]:
    """Limits for a bridge file: `HEADROOM` times the largest of these healthy episodes."""
    found = largest(looked, spec, safety)
    return {
        "episodes": len(looked),
        "hours": round(sum(len(episode.seen) for episode in looked) * spec.dt / 3600, 3),
        "largest": found,
        "max_jump": rounded_up(HEADROOM * found["jump"]),
        "max_drift": rounded_up(HEADROOM * found["drift"]),
        "derivatives": {name: rounded_up(HEADROOM * value) for name, value in found["derivatives"].items()},
    }


def rounded_up(value: float) -> float:
    """A number with two digits that is not smaller."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.6g}")


def _largest_drift(innovations: NDArray[np.float32], limit: float) -> float:
    mean, most = np.zeros(innovations.shape[1]), 0.0
    for innovation in np.nan_to_num(innovations.astype(np.float64)):
        mean += (np.clip(innovation, -limit, limit) - mean) / DRIFT_STEPS
        most = max(most, float(np.abs(mean).max()))
    return most


def _largest_differences(looked: Sequence[Looked], spec: RobotSpec, safety: SafetyConfig) -> dict[str, float]:
    """The largest mean difference of each pair of position and velocity, as `Derivatives` forms it without gaps in time."""
    assert LONGEST_GAP >= 1
    most = dict.fromkeys(safety.derivatives, 0.0)
    for episode in looked:
        values = episode.seen.astype(np.float64)
        for name, pair in safety.derivatives.items():
            moved = np.diff(values[:, spec.obs_index(name)])
            if spec.obs[spec.obs_index(name)].kind == "angle":
                moved = np.arctan2(np.sin(moved), np.cos(moved))
            velocity = values[:, spec.obs_index(pair.velocity)]
            difference, mean = moved / spec.dt - (velocity[1:] + velocity[:-1]) / 2, 0.0
            for value in difference:
                mean += (float(value) - mean) / AVERAGED_STEPS
                most[name] = max(most[name], abs(mean))
    return most
