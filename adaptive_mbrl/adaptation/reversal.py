"""Motors that are wired backwards: for each action, whether it acts with the opposite sign.

If s * a is what acts where a is sent, then the transitions (o, s * a, o') are those of a robot whose motors are right, and a rule
believes of them what it has learned in training. So an adapter need not have seen all motors reversed to know such a robot; it
needs the signs. They are those of the gains g, by which actions would have to be multiplied for the prior to have predicted what
was seen:

    o' = f(o, g * a)  ~  f(o, s * a) + sum_j (g_j - s_j) J_j,       J_j = (f(o, s * a) - f(o, s' * a)) / (2 s_j),

where s' is s with its j-th sign turned. All is counted in target stds. g is found by recursive least squares with exponential
forgetting (Astrom and Wittenmark, Adaptive Control, 1995, section 2.2), with a prior that motors act as they are believed to:

    L <- k L + J J^T,   e <- k e + J (o' - f(o, s * a) + J^T s),   v <- the forgotten mean of squared residuals,
    g = P (e / v + s / p^2),   P = (L / v + I / p^2)^-1.

A sign is turned where g_j has the other one: where it is by z standard deviations beyond -m s_j. How strong a motor is stays the
rule's to find out, and with the margin m so does what is weakly reversed: another change may look like it, such as more mass to a
rotor that has become weak. That the sign of what a command does has to be learned is the problem of the unknown control direction
(Nussbaum 1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief, select
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.predictor import Prediction, Predictor, Trajectories
from adaptive_mbrl.transitions import Transitions

_MAX_ERROR = 10.0
"""Larger errors count alike [target stds]: a spike of a sensor must not turn a motor round."""


@dataclass(frozen=True)
class ReversalConfig:
    """How motors that are wired backwards are found.

    Attributes:
        forgetting: k, weight of the past.
        confidence: z, by how many standard deviations a gain must be beyond the margin.
        margin: m, how strong a motor must be in the other direction, as a share of a right one.
        prior_std: p, standard deviation of a gain before anything was seen.
        noise_std: of what the prior mispredicts before anything was seen [target stds].
        least_noise_std: the smallest that is believed [target stds].
    """

    forgetting: float = bounded(0.85, low=0.0, high=1.0)
    confidence: float = bounded(1.5, low=0.0, high=100.0)
    margin: float = bounded(0.5, low=0.0, high=10.0)
    prior_std: float = bounded(2.0, low=1e-3, high=1e3)
    noise_std: float = bounded(0.3, low=1e-3, high=1e3)
    least_noise_std: float = bounded(0.05, low=1e-6, high=1e3)


class Signs(NamedTuple):
    """What is believed of the motors of B robots.

    Attributes:
        sign: of each action, +1 or -1, (B, action_dim).
        gain: g, (B, action_dim).
        information: L, (B, action_dim, action_dim).
        evidence: e, (B, action_dim).
        misfit: the forgotten sum of mean squared residuals [target stds squared], (B,).
        weight: the forgotten number of them, (B,).
    """

    sign: Tensor
    gain: Tensor
    information: Tensor
    evidence: Tensor
    misfit: Tensor
    weight: Tensor


class ReversalBelief(NamedTuple):
    """A belief about robots any of whose motors may be reversed.

    Attributes:
        inner: about the robots as they would be with all motors right.
        signs: about the motors.
    """

    inner: Belief
    signs: Signs


class SignedPredictor:
    """The dynamics of robots some of whose motors are wired backwards.

    Args:
        inner: the dynamics with all motors right.
        sign: of each action, (B, action_dim).
    """

    def __init__(self, inner: Predictor, sign: Tensor) -> None:
        self._inner, self._sign = inner, sign

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        return self._inner.predict(obs, self._sign[:, None] * action)

    def roll_out(self, obs: Tensor, actions: Tensor) -> Trajectories:
        return self._inner.roll_out(obs, self._sign[:, None, None] * actions)

    def features(self, obs: Tensor, action: Tensor) -> Tensor:
        return self._inner.features(obs, self._sign[:, None] * action)

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        return self._inner.error(predicted, observed)

    def shift(self, obs: Tensor, error: Tensor) -> Tensor:
        return self._inner.shift(obs, error)

    def to(self, dtype: torch.dtype) -> SignedPredictor:
        return SignedPredictor(self._inner.to(dtype), self._sign)


class ReversalAdapter(Adapter[ReversalBelief]):
    """An adapter that was trained with motors that are right, or not much reversed, on robots that have any of them reversed.

    Args:
        inner: the adapter.
        action_dim: number of actions.
        config: how reversed motors are found.
    """

    def __init__(self, inner: Adapter[Any], action_dim: int, config: ReversalConfig) -> None:
        super().__init__()
        self.inner, self.config, self._action_dim = inner, config, action_dim

    @property
    def normalizer(self) -> Normalizer:
        return self.inner.normalizer

    @property
    def takes_pending(self) -> bool:
        return self.inner.takes_pending

    @property
    def carried(self) -> int:
        return self.inner.carried

    def prior(self, batch_size: int) -> ReversalBelief:
        return ReversalBelief(self.inner.prior(batch_size), self._right(batch_size))

    def update(self, belief: ReversalBelief, recent: Transitions) -> ReversalBelief:
        """The signs after the newest transition, and the inner belief about the window under them."""
        recent = recent.finite()
        signs = self._told(belief.signs, recent.steps(slice(-1, None)))
        # what a rule carries from step to step was learned under other signs
        turned = (signs.sign != belief.signs.sign).any(1)
        inner = select(turned, self.inner.prior(len(turned)), belief.inner)
        return ReversalBelief(self.inner.update(inner, _signed(recent, signs.sign)), signs)

    def infer(self, recent: Transitions) -> ReversalBelief:
        """The signs after all transitions, one after the other, and the inner belief about the window under them."""
        recent = recent.finite()
        signs = self._right(len(recent.obs))
        for step in range(recent.obs.shape[1]):
            signs = self._told(signs, recent.steps(slice(step, step + 1)))
        return ReversalBelief(self.inner.infer(_signed(recent, signs.sign)), signs)

    def condition(self, belief: ReversalBelief, noise: Tensor | None = None) -> SignedPredictor:
        return SignedPredictor(self.inner.condition(belief.inner, noise), belief.signs.sign)

    def signs(self, belief: ReversalBelief) -> Tensor:
        return belief.signs.sign

    def draw_noise(self, belief: ReversalBelief, generator: torch.Generator) -> Tensor | None:
        return self.inner.draw_noise(belief.inner, generator)

    def _right(self, batch_size: int) -> Signs:
        """Nothing is known, and all motors are right."""
        like, dim = self.normalizer.target_std, self._action_dim
        one, zero = like.new_ones(batch_size, dim), like.new_zeros(batch_size)
        return Signs(one, one.clone(), like.new_zeros(batch_size, dim, dim), torch.zeros_like(one), zero, zero.clone())

    def _told(self, signs: Signs, newest: Transitions) -> Signs:
        """The signs after one more transition, (B, 1, ...)."""
        config, sign = self.config, signs.sign
        eye = torch.eye(self._action_dim, device=sign.device)
        turned = torch.cat([torch.ones_like(eye[:1]), 1 - 2 * eye])
        tried = sign[:, None] * turned * newest.action
        # the prior is the same about all robots: as if they were one, which is seen in many states
        predictor = self.inner.condition(self.inner.prior(1))
        states = newest.obs.expand(-1, len(turned), -1)
        mean = predictor.predict(states.flatten(0, 1)[None], tried.flatten(0, 1)[None]).mean[0].unflatten(0, tried.shape[:2])
        missed = predictor.error(newest.next_obs.expand_as(mean), mean).nan_to_num(nan=_MAX_ERROR).clamp(-_MAX_ERROR, _MAX_ERROR)
        slope = (missed[:, 1:] - missed[:, :1]) / (2 * sign[..., None])
        explained = missed[:, 0] + (sign[:, None] @ slope)[:, 0]
        residual = explained - (signs.gain[:, None] @ slope)[:, 0]
        misfit = config.forgetting * signs.misfit + residual.square().mean(-1)
        weight = config.forgetting * signs.weight + 1
        information = config.forgetting * signs.information + slope @ slope.mT
        evidence = config.forgetting * signs.evidence + (slope @ explained[..., None])[..., 0]
        noise = ((misfit + config.noise_std**2) / (weight + 1)).clamp(min=config.least_noise_std**2)[:, None]
        pull = config.prior_std**-2
        factor = torch.linalg.cholesky_ex(information / noise[..., None] + pull * eye).L
        covariance = torch.cholesky_solve(eye.expand_as(factor), factor)
        gain = (covariance @ (evidence / noise + pull * sign)[..., None])[..., 0]
        std = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        turns = gain * sign + config.confidence * std < -config.margin
        told = Signs(torch.where(turns, -sign, sign), gain, information, evidence, misfit, weight)
        return select(newest.valid[:, 0], told, signs)


def as_wired(adapter: Adapter[Any]) -> Adapter[Any]:
    """The adapter that takes all motors to be right."""
    return adapter.inner if isinstance(adapter, ReversalAdapter) else adapter


def _signed(recent: Transitions, sign: Tensor) -> Transitions:
    return recent._replace(action=sign[:, None] * recent.action)
