r"""The objective: a sum of reward terms over named channels.

    r(s, a, s', g) = sum_i w_i * f_i(s', a, g)          (we maximise; there is no cost anywhere)

Terms read the *next* observation s', so that the same objective scores a predicted rollout and a measured transition. The goal g
is an argument and not stored in the objective, because it can change at every control step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.spec import RobotSpec

TermKind = Literal["linear", "quadratic", "distance", "cosine", "tolerance", "action_quadratic", "healthy"]
_WITHOUT_CHANNELS = ("action_quadratic", "healthy")


@dataclass(frozen=True)
class Term:
    """One reward term: a function of some channels x of the next observation and their targets y, or of the action a.

    The difference x - y of angles is taken on the circle. The functions, by `kind`:

    - `linear`: weight * sum (x - y)
    - `quadratic`: -weight * |x - y|^2
    - `distance`: -weight * |x - y|
    - `cosine`: weight * sum cos(x - y)
    - `tolerance`: weight * exp(-|x - y|^2 / scale^2), which is highest at the target and flat far from it
    - `action_quadratic`: -weight * |a|^2
    - `healthy`: weight where the next observation is within the robot's healthy ranges, else 0: what a step alive is worth

    Attributes:
        kind: which of the functions above.
        weight: factor of the function, in reward per unit.
        channels: names of the observation channels x; empty for `action_quadratic` and `healthy`.
        target: fixed targets y, one per channel; 0 if neither they nor `goal` are given.
        goal: names of the goal's entries that are the targets y, one per channel; not together with `target`.
        scale: width of `tolerance`, in the channels' unit.
    """

    kind: TermKind
    weight: float = 1.0
    channels: tuple[str, ...] = ()
    target: tuple[float, ...] = ()
    goal: tuple[str, ...] = ()
    scale: float = 1.0

    def __post_init__(self) -> None:
        if (self.kind in _WITHOUT_CHANNELS) != (not self.channels):
            raise ConfigError(f"term '{self.kind}': 'channels' must be {'empty' if self.channels else 'given'}")
        if self.target and self.goal:
            raise ConfigError(f"term '{self.kind}': give 'target' or 'goal', not both")
        for name in ("target", "goal"):
            if getattr(self, name) and len(getattr(self, name)) != len(self.channels):
                raise ConfigError(f"term '{self.kind}': '{name}' needs one entry per channel ({len(self.channels)})")
        if self.scale <= 0:
            raise ConfigError(f"term '{self.kind}': 'scale' is {self.scale}; allowed: above 0")


class RewardFunction(Protocol):
    """What planners and evaluations maximise and measure; use `Objective` or write your own."""

    @property
    def goal_dim(self) -> int:
        """Number of entries of the goal; 0 if there is no goal."""

    def __call__(self, obs: Tensor, action: Tensor, next_obs: Tensor, goal: Tensor) -> Tensor:
        """Reward of each transition.

        Args:
            obs: observations before the step, (..., obs_dim).
            action: actions of the step, (..., action_dim).
            next_obs: observations after the step, (..., obs_dim).
            goal: goals that the next observations are scored against, (..., goal_dim), broadcast against the others.

        Returns:
            One reward per transition, (...).
        """


@dataclass(frozen=True)
class Objective:
    """A `RewardFunction` made of terms over a robot's named channels.

    Args:
        spec: channels of the robot.
        terms: the terms that are summed, at least one.
        goal_names: names of the goal's entries, in the order of a goal array.
    """

    spec: RobotSpec
    terms: tuple[Term, ...]
    goal_names: tuple[str, ...] = ()
    _columns: tuple[list[int], ...] = field(init=False, repr=False, compare=False)
    _goal_columns: tuple[list[int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.terms:
            raise ConfigError("objective: expected at least one term")
        columns, goal_columns = [], []
        for term in self.terms:
            try:
                columns.append([self.spec.obs_index(c) for c in term.channels])
            except ConfigError as error:
                raise ConfigError(f"key 'channels': reward term '{term.kind}': {error}") from error
            unknown = [g for g in term.goal if g not in self.goal_names]
            if unknown:
                known = ", ".join(self.goal_names) or "none"
                raise ConfigError(f"unknown goal '{unknown[0]}' (key 'goal' of reward term '{term.kind}'); known goals: {known}")
            goal_columns.append([self.goal_names.index(g) for g in term.goal])
        object.__setattr__(self, "_columns", tuple(columns))
        object.__setattr__(self, "_goal_columns", tuple(goal_columns))

    @property
    def goal_dim(self) -> int:
        return len(self.goal_names)

    def __call__(self, obs: Tensor, action: Tensor, next_obs: Tensor, goal: Tensor) -> Tensor:
        """Sum the weighted terms; arguments as of `RewardFunction`."""
        # columns are taken one by one as views, because index tensors would be copied to the device in every control step
        rewards: list[Tensor] = []
        for term, columns, goal_columns in zip(self.terms, self._columns, self._goal_columns, strict=True):
            if term.kind == "action_quadratic":
                rewards.append(-term.weight * action.square().sum(-1))
                continue
            if term.kind == "healthy":
                # a future that is not finite must not pass as one of a robot that is merely not healthy
                broken = 0.0 * next_obs.sum(-1)
                rewards.append(term.weight * is_healthy(self.spec, next_obs).to(next_obs.dtype) + broken)
                continue
            targets: Sequence[Tensor | float] = [goal[..., c] for c in goal_columns] or term.target or (0.0,) * len(columns)
            differences = [next_obs[..., c] - y for c, y in zip(columns, targets, strict=True)]
            wrapped = [
                wrap_angle(d) if self.spec.obs[c].kind == "angle" else d for c, d in zip(columns, differences, strict=True)
            ]
            x = torch.stack(wrapped, dim=-1)
            rewards.append(term.weight * _TERMS[term.kind](x, term.scale))
        return sum(rewards[1:], start=rewards[0])


_TERMS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "linear": lambda x, scale: x.sum(-1),
    "quadratic": lambda x, scale: -x.square().sum(-1),
    # the small constant keeps the gradient finite at the target
    "distance": lambda x, scale: -(x.square().sum(-1) + 1e-12).sqrt(),
    "cosine": lambda x, scale: x.cos().sum(-1),
    "tolerance": lambda x, scale: (-x.square().sum(-1) / scale**2).exp(),
}
