"""Looks at where a plan leads before it is sent: the trajectory that the adapted model predicts must stay within limits.

    x_0, x_1 .. x_n     predicted observations, x_0 when the plan begins to act, by each of P particles
    e_h = max(low - x_h, x_h - high, 0)

A particle leaves the workspace if at any step e_h > e_0: a robot that is outside may come back, and may not go further out. A
prediction that is not finite counts as outside. The plan is at fault if more than `max_share` of the particles leave in any way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.controller import Command
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.circle import on_circle
from robot_bridge.safety.config import Range
from robot_bridge.safety.faults import Fault, FaultKind
from robot_bridge.safety.observation_checks import without_margin

Array = NDArray[np.float64]
ROUNDING = 1e-6
"""How much further out a prediction may be than the beginning of the plan, as a share of the range: it is made in float32."""


@dataclass(frozen=True)
class Violations:
    """What the particles do wrong, in one respect.

    Attributes:
        by: which particles do it, (P,).
        kind: the kind of fault.
        words: what it is, for people.
        about: the channel or the parts that it is about.
    """

    by: NDArray[np.bool_]
    kind: FaultKind
    words: str
    about: str


class Look(Protocol):
    """Finds violations of one kind."""

    @property
    def kind(self) -> FaultKind:
        """The kind of fault that it finds, and that a plan has which it cannot look at."""

    def __call__(self, predicted: Array) -> Sequence[Violations]:
        """Look at predicted observations, (P, 1 + n, obs_dim)."""


def beyond(values: Array, low: Array | float, high: Array | float) -> Array:
    """How far values are outside of ranges, zero within them, infinite for values that are not finite."""
    return np.where(np.isfinite(values), np.maximum(np.maximum(low - values, values - high), 0.0), np.inf)


def goes_out(excess: Array, tolerance: Array | float) -> NDArray[np.bool_]:
    """Whether an excess (P, 1 + n, ...) grows beyond that at the beginning of the plan, at each step, (P, n, ...)."""
    with np.errstate(invalid="ignore"):
        at_first = np.where(np.isfinite(excess[:, :1]), excess[:, :1], 0.0)
        grown = excess[:, 1:] > at_first + tolerance
    return grown | ~np.isfinite(excess[:, 1:])


def by_particle(out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which particles are out at any of their steps, (P,), from (P, n)."""
    return np.asarray(out.any(1), dtype=bool)


class Workspace:
    """Allowed ranges of observation channels along a plan.

    Args:
        spec: the robot's channels.
        ranges: the allowed ranges by channel.
        margin: share of each range that is kept free at either end.
    """

    kind: FaultKind = "plan_leaves_workspace"

    def __init__(self, spec: RobotSpec, ranges: Mapping[str, Range], margin: float) -> None:
        self._names, self._dt = tuple(ranges), spec.dt
        self._index = np.array([spec.obs_index(name) for name in ranges], dtype=np.int64)
        self._low, self._high = np.array([without_margin(limits, margin) for limits in ranges.values()]).reshape(-1, 2).T
        self._is_angle = np.array([spec.obs[i].kind == "angle" for i in self._index], dtype=bool)

    def __call__(self, predicted: Array) -> list[Violations]:
        """Look at predicted observations, (P, 1 + n, obs_dim)."""
        values = predicted[..., self._index]
        # an angle may count turns
        with np.errstate(invalid="ignore"):
            values = np.where(self._is_angle, on_circle(values), values)
        out = goes_out(beyond(values, self._low, self._high), ROUNDING * (self._high - self._low))
        return [self._violation(int(i), out[..., i], values[..., i]) for i in np.flatnonzero(out.any((0, 1)))]

    def _violation(self, i: int, out: NDArray[np.bool_], values: Array) -> Violations:
        """Words about the first step at which a particle leaves, and the value there."""
        step = int(np.flatnonzero(out.any(0))[0])
        particle = int(np.flatnonzero(out[:, step])[0])
        words = (
            f"the plan leads '{self._names[i]}' to {values[particle, step + 1]:.4g} in {(step + 1) * self._dt:.2f} s; "
            f"allowed: {self._low[i]:g} to {self._high[i]:g}"
        )
        return Violations(by_particle(out), self.kind, words, self._names[i])


class PlanLimits:
    """Finds the faults of a plan; runs on the thread that plans, and never raises.

    Args:
        looks: what is looked at.
        max_share: largest share of the particles that may violate.
    """

    def __init__(self, looks: Sequence[Look], max_share: float) -> None:
        self._looks, self._max_share = looks, max_share

    def __call__(self, command: Command) -> tuple[Fault, ...]:
        """The faults of a plan.

        Args:
            command: the plan, with what was predicted of it.
        """
        return tuple(fault for kind in dict.fromkeys(look.kind for look in self._looks) for fault in self._faults(kind, command))

    def _faults(self, kind: FaultKind, command: Command) -> list[Fault]:
        """The faults of one kind. The share is that of the particles that violate in any respect of this kind."""
        found: list[Violations] = []
        failed: list[Fault] = []
        for look in (look for look in self._looks if look.kind == kind):
            try:
                found += look(_predicted(command))
            except Exception as error:
                # a plan that could not be looked at is no better than one that violates
                failed.append(Fault(kind, f"the plan could not be checked: {type(error).__name__}: {error}"))
        share = np.any([violations.by for violations in found], axis=0).mean()
        return [*failed, *(Fault(v.kind, v.words, v.about) for v in found if share > self._max_share)]


def _predicted(command: Command) -> Array:
    """What is predicted of a plan for the robot, (P, 1 + n, obs_dim)."""
    predicted = command.info.predicted[0].astype(np.float64)
    if predicted.shape[0] == 0 or predicted.shape[1] < 2:
        raise ValueError(f"no prediction of the plan, got shape {predicted.shape}")
    return predicted
