"""Motors that are wired backwards: for each action, whether it acts with the opposite sign.

If s * a is what acts where a is sent, then the transitions (o, s * a, o') are those of a robot whose motors are right, and a rule
believes of them what it has learned in training. So an adapter need not have seen all motors reversed to know such a robot; it
needs the signs. They are those of the gains g, by which actions would have to be multiplied for the prior to have predicted what
was seen, but for an error b that stays the same, such as that of a load:

    o' = f(o, g * a) + b  ~  f(o, s * a) + sum_j (g_j - s_j) J_j + b,       J_j = (f(o, s * a) - f(o, s' * a)) / (2 s_j),

where s' is s with its j-th sign turned. All is counted in target stds, and each channel has a J, b and M of its own. g and b are
found together by recursive least squares with exponential forgetting (Astrom and Wittenmark, Adaptive Control, 1995, section
2.2), with a prior that motors act as they are believed to and that b is N(0, q^2). With y = o' - f(o, s * a) + sum_j s_j J_j, and
with L and e summed over channels:

    w <- k w + 1,     M <- k M + J,     m <- k m + y,     L <- k L + J J^T,     e <- k e + J y,
    L' = L - M M^T / (w + v / q^2),     e' = e - M m / (w + v / q^2),
    g = P (e' / v + s / p^2),           P = (L' / v + I / p^2)^-1,

and v = (r + v_0) / (w + 1), but no less than a floor, where r is the forgotten sum of the mean squares of y - sum_j g_j J_j - b,
with the g and b of before each transition. A sign is turned where g_j has the other one: where it is by z standard deviations
beyond -m s_j. How strong a motor is stays the rule's to find out, and with the margin m so does what is weakly reversed: another
change may look like it, such as more mass to a rotor that has become weak. z is not to be read as a probability, since errors of
a model are neither independent nor Gaussian; it was chosen by trying.

That the sign of what a command does has to be learned is the problem of the unknown control direction (Nussbaum 1983).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief, select
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.predictor import Prediction, Predictor, Trajectories
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.transitions import Transitions

_LOG = logging.getLogger(__name__)

_SYMMETRIC = 0.1
"""The limits of an action are symmetric if they differ by this share at most."""
_MAX_ERROR = 10.0
"""Larger errors count alike [target stds]: a spike of a sensor must not turn a motor round."""


@dataclass(frozen=True)
class ReversalConfig:
    """How motors that are wired backwards are found.

    Attributes:
        forgetting: k, weight of the past. Sums of nearly all that was ever seen would lose their digits.
        confidence: z, by how many standard deviations a gain must be beyond the margin.
        margin: m, how strong a motor must be in the other direction, as a share of a right one.
        prior_std: p, standard deviation of a gain before anything was seen.
        load_std: q, of the error of each channel that stays the same [target stds]; 0 for no such error.
        noise_std: root of v_0, of what is mispredicted otherwise, before anything was seen [target stds].
        least_noise_std: the smallest that is believed [target stds].
    """

    forgetting: float = bounded(0.85, low=0.0, high=0.98)
    confidence: float = bounded(1.5, low=0.0, high=100.0)
    margin: float = bounded(0.5, low=0.0, high=10.0)
    prior_std: float = bounded(2.0, low=1e-3, high=10.0)
    load_std: float = bounded(1.0, low=0.0, high=10.0)
    noise_std: float = bounded(0.3, low=1e-3, high=1e3)
    least_noise_std: float = bounded(0.05, low=1e-6, high=1e3)


class Signs(NamedTuple):
    """What is believed of the motors of B robots. R of their actions are looked at, C is the number of predicted channels.

    Attributes:
        sign: of each action, +1 or -1, (B, action_dim).
        gain: g, (B, R).
        load: b, (B, C).
        slope_sum: M, (B, R, C).
        explained_sum: m, (B, C).
        information: L, (B, R, R).
        evidence: e, (B, R).
        misfit: r, the forgotten sum of mean squared residuals [target stds squared], (B,).
        weight: w, the forgotten number of transitions, (B,).
    """

    sign: Tensor
    gain: Tensor
    load: Tensor
    slope_sum: Tensor
    explained_sum: Tensor
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
    """An adapter that knows robots whose motors are right, and may know some of those whose motors are reversed, on all of them.

    It is put around an adapter after that was trained, and has nothing to train.

    Args:
        inner: the adapter.
        can_be_reversed: for each action, whether its motor is looked at; at least one is.
        config: how reversed motors are found.
    """

    def __init__(self, inner: Adapter[Any], can_be_reversed: Sequence[bool], config: ReversalConfig) -> None:
        super().__init__()
        self.inner, self.config, self._action_dim = inner, config, len(can_be_reversed)
        self._looked_at = [i for i, is_looked_at in enumerate(can_be_reversed) if is_looked_at]

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
        return ReversalBelief(self.inner.prior(batch_size), self._all_right(batch_size))

    def update(self, belief: ReversalBelief, recent: Transitions) -> ReversalBelief:
        """The signs after the newest transition, and the inner belief about the window under them."""
        recent = recent.finite()
        signs = self._after(belief.signs, recent.steps(slice(-1, None)))
        # what a rule carries from step to step was learned under other signs
        turned = (signs.sign != belief.signs.sign).any(1)
        inner = select(turned, self.inner.prior(len(turned)), belief.inner)
        return ReversalBelief(self.inner.update(inner, _signed(recent, signs.sign)), signs)

    def infer(self, recent: Transitions) -> ReversalBelief:
        """The signs after all transitions, one after the other, and the inner belief about the window under them."""
        recent = recent.finite()
        signs = self._all_right(len(recent.obs))
        for step in range(recent.obs.shape[1]):
            signs = self._after(signs, recent.steps(slice(step, step + 1)))
        return ReversalBelief(self.inner.infer(_signed(recent, signs.sign)), signs)

    def condition(self, belief: ReversalBelief, noise: Tensor | None = None) -> SignedPredictor:
        return SignedPredictor(self.inner.condition(belief.inner, noise), belief.signs.sign)

    def signs(self, belief: ReversalBelief) -> Tensor:
        return belief.signs.sign

    def draw_noise(self, belief: ReversalBelief, generator: torch.Generator) -> Tensor | None:
        return self.inner.draw_noise(belief.inner, generator)

    def _all_right(self, batch_size: int) -> Signs:
        """Nothing is known, and all motors are right."""
        like, looked_at = self.normalizer.target_std, len(self._looked_at)

        def zeros(*shape: int) -> Tensor:
            return like.new_zeros(batch_size, *shape)

        return Signs(
            sign=like.new_ones(batch_size, self._action_dim),
            gain=like.new_ones(batch_size, looked_at),
            load=zeros(len(like)),
            slope_sum=zeros(looked_at, len(like)),
            explained_sum=zeros(len(like)),
            information=zeros(looked_at, looked_at),
            evidence=zeros(looked_at),
            misfit=zeros(),
            weight=zeros(),
        )

    def _after(self, signs: Signs, newest: Transitions) -> Signs:
        """The signs after one more transition, (B, 1, ...)."""
        config, looked_at = self.config, self._looked_at
        sign = signs.sign[:, looked_at]
        of_action = torch.eye(self._action_dim, dtype=sign.dtype, device=sign.device)[looked_at]
        one_turned = torch.cat([torch.ones_like(of_action[:1]), 1 - 2 * of_action])
        tried = signs.sign[:, None] * one_turned * newest.action
        # the prior is the same about all robots: as if they were one, which is seen in many states
        predictor = self.inner.condition(self.inner.prior(1))
        states = newest.obs.expand(-1, len(one_turned), -1)
        mean = predictor.predict(states.flatten(0, 1)[None], tried.flatten(0, 1)[None]).mean[0].unflatten(0, tried.shape[:2])
        missed = predictor.error(newest.next_obs.expand_as(mean), mean).nan_to_num(nan=_MAX_ERROR).clamp(-_MAX_ERROR, _MAX_ERROR)
        slope = (missed[:, 1:] - missed[:, :1]) / (2 * sign[..., None])
        explained = missed[:, 0] + (sign[:, None] @ slope)[:, 0]
        residual = explained - (signs.gain[:, None] @ slope)[:, 0] - signs.load

        k = config.forgetting
        weight = k * signs.weight + 1
        slope_sum, explained_sum = k * signs.slope_sum + slope, k * signs.explained_sum + explained
        information = k * signs.information + slope @ slope.mT
        evidence = k * signs.evidence + (slope @ explained[..., None])[..., 0]
        misfit = k * signs.misfit + residual.square().mean(-1)

        noise = ((misfit + config.noise_std**2) / (weight + 1)).clamp(min=config.least_noise_std**2)
        # without a load, 1 / q^2 is infinite
        share = config.load_std**2 / (config.load_std**2 * weight + noise)
        of_gains = information - share[:, None, None] * slope_sum @ slope_sum.mT
        of_evidence = evidence - share[:, None] * (slope_sum @ explained_sum[..., None])[..., 0]
        pull = config.prior_std**-2
        precision = of_gains / noise[:, None, None] + pull * torch.eye(len(looked_at), dtype=sign.dtype, device=sign.device)
        factor = torch.linalg.cholesky_ex(precision).L
        covariance = torch.cholesky_inverse(factor)
        gain = (covariance @ (of_evidence / noise[:, None] + pull * sign)[..., None])[..., 0]
        load = share[:, None] * (explained_sum - (gain[:, None] @ slope_sum)[:, 0])
        std = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        turns = gain * sign + config.confidence * std < -config.margin
        now = signs.sign * (1 - 2 * turns.to(sign.dtype) @ of_action)
        after = Signs(now, gain, load, slope_sum, explained_sum, information, evidence, misfit, weight)
        return select(newest.valid[:, 0], after, signs)


def with_reversals(adapter: Adapter[Any], spec: RobotSpec, config: ReversalConfig) -> Adapter[Any]:
    """The adapter that finds reversed motors of a robot, or the adapter itself where there are none to look at.

    The motors are those whose limits are about symmetric, so that an action can be sent with the opposite sign. What the negative
    of a thrust does that cannot be negative, the model was never asked.
    """
    can_be_reversed = [math.isclose(channel.low, -channel.high, rel_tol=_SYMMETRIC) for channel in spec.action]
    left_out = [channel.name for channel, is_looked_at in zip(spec.action, can_be_reversed, strict=True) if not is_looked_at]
    if left_out:
        _LOG.info("not looked at for a reversed motor, because the limits are not symmetric: %s", ", ".join(left_out))
    return ReversalAdapter(adapter, can_be_reversed, config) if any(can_be_reversed) else adapter


def as_wired(adapter: Adapter[Any]) -> Adapter[Any]:
    """The adapter that takes all motors to be right."""
    return adapter.inner if isinstance(adapter, ReversalAdapter) else adapter


def _signed(recent: Transitions, sign: Tensor) -> Transitions:
    return recent._replace(action=sign[:, None] * recent.action)
