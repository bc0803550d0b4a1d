"""Recursive estimation of physical parameters: a fixed-lag, iterated Kalman filter for each action delay.

For every delay d = 0..D a Gaussian belief about the parameters theta is kept. At every step the last W transitions are fitted
again, and what is older counts as a quadratic with forgetting g. A damped Gauss-Newton step (Levenberg) makes an iterated Kalman
filter of that (Bell and Cathey, The iterated Kalman filter update as a Gauss-Newton method, 1993):

    minimise   1/2 (theta - theta_0)' P_0^-1 (theta - theta_0)  +  1/2 theta' A theta - b' theta  +  1/2 sum_k rho(e_k' R^-1 e_k)
    A <- g A + J' R^-1 J,   b <- g b + J' R^-1 (J theta - e)        of the transition that leaves the window

    e_k = f(o_k, a_{k-d}; theta) - o_{k+1}   in target stds,  f one control step in MuJoCo,  J = de/dtheta by finite differences
    rho(s) = c log(1 + s / c)                heavy tails: a transition that cannot be explained counts little

The newest transition is first predicted, then used. Its likelihood N(e; 0, J P J' + R) weighs the delays against each other (a
bank of filters: Magill, Optimal adaptive estimation of sampled stochastic processes, 1965). Where even the least surprised one is
surprised, e' S^-1 e > gate * obs_dim, the physics has changed: what is older than this transition is forgotten, and the belief
starts over from the nominal robot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import bounded
from sim.identification.algebra import (
    diagonal,
    fit_where,
    heavy_tailed,
    information_of,
    robot_where,
    squared,
    tempered,
    times,
    weighted,
)
from sim.identification.parameters import KINDS, Parameters
from sim.identification.residuals import Error, Fit, Residuals, Window
from sim.identification.simulations import Simulations

Array = NDArray[np.float64]

_DAMPING = np.array([0.0, 1e2, 1e4, 1e6])
"""Levenberg's, in units of the prior's precision; the step that lowers what is minimised most is taken."""
_HOPELESS = 20.0
"""Log odds at which a delay is given up until the next change."""
_GIVEN_UP = 1e3
_LARGEST = 10.0
"""How many times its expected square a residual may count as noise."""
_SETTLED = 1e-3
"""Squared length of a step, in standard deviations of the belief and per parameter, that is not worth another one."""
_NO_DELAY = np.log(4.0)
"""Log odds of one control step less of delay, before anything was seen."""


@dataclass(frozen=True)
class PhysicsConfig:
    """How physical parameters are estimated.

    Attributes:
        kinds: which kinds of parameters, from `KINDS`; those without influence on the robot are left out.
        max_delay: D, the longest action delay that is considered [control steps].
        lag: W, number of transitions that are fitted again at every step.
        iterations: most Gauss-Newton steps in each control step; fewer where the belief has settled.
        forgetting: g. At every control step, what was learned from all transitions older than the last W counts g times as much
            as at the step before: 1 never forgets, 0.98 halves it in about 34 steps. The log odds of the delays fade alike.
        noise: standard deviation of what the simulator cannot explain, at the start [target stds].
        least_noise: the smallest that it may become.
        noise_memory: weight of the past in the running mean square of what was not explained.
        gate: how surprising a transition has to be to count as a change; 1 is an ordinary one.
    """

    kinds: tuple[str, ...] = KINDS
    max_delay: int = bounded(2, low=0, high=8)
    lag: int = bounded(5, low=1, high=64)
    iterations: int = bounded(4, low=1, high=20)
    forgetting: float = bounded(0.98, low=0.0, high=1.0)
    noise: float = bounded(0.02, low=1e-4, high=10.0)
    least_noise: float = bounded(0.005, low=1e-4, high=10.0)
    noise_memory: float = bounded(0.9, low=0.0, high=1.0)
    gate: float = bounded(10.0, low=1.0, high=1e6)


class Estimate(NamedTuple):
    """A belief about B robots with M = D + 1 possible delays.

    Attributes:
        theta: the most probable coordinates under each delay, (B, M, n).
        covariance: their covariance, (B, M, n, n).
        information: A, (B, M, n, n).
        linear: b, (B, M, n).
        log_odds: of the delays, the largest is 0, (B, M).
        noise: R, the mean square of what is not explained in each channel, (B, obs_dim).
        trusted: number of newest transitions that are believed to come from the present physics, (B,).
    """

    theta: Array
    covariance: Array
    information: Array
    linear: Array
    log_odds: Array
    noise: Array
    trusted: Array


class Estimator:
    """The filter for one robot model.

    Args:
        simulations: simulates the robot.
        parameters: what is estimated.
        error: difference of two next observations in target stds.
        config: the settings.
    """

    def __init__(self, simulations: Simulations, parameters: Parameters, error: Error, config: PhysicsConfig) -> None:
        self.parameters, self.config = parameters, config
        self._residuals = Residuals(simulations, parameters, error)
        self._prior_information = np.linalg.inv(parameters.covariance)

    def prior(self, batch_size: int, obs_dim: int) -> Estimate:
        """What is believed before any transition."""
        shape = (batch_size, self.config.max_delay + 1)
        size = len(self.parameters.all)
        return Estimate(
            np.tile(self.parameters.nominal, (*shape, 1)),
            np.tile(self.parameters.covariance, (*shape, 1, 1)),
            np.zeros((*shape, size, size)),
            np.zeros((*shape, size)),
            np.tile(-_NO_DELAY * np.arange(shape[1]), (batch_size, 1)),
            np.full((batch_size, obs_dim), self.config.noise**2),
            np.zeros(batch_size),
        )

    def update(self, estimate: Estimate, window: Window) -> Estimate:
        """The belief one transition later; a robot whose newest transition is not valid keeps its belief."""
        new = window.valid[:, -1]
        fit = self._residuals.linearise(estimate.theta, window, self._rows(estimate, window, new, unseen=1))
        estimate, changed = self._weigh(estimate, fit, new)
        rows = self._rows(estimate, window, new)
        fit = fit_where(changed[:, None], self._residuals.linearise(estimate.theta, window, rows & changed[:, None, None]), fit)
        fit = Fit(*(np.where(rows.reshape(*rows.shape, *(1,) * (x.ndim - 3)), x, 0.0) for x in fit))
        theta, start = estimate.theta, estimate.theta
        active: NDArray[np.bool_] = np.any(rows, axis=-1)
        fitted = active
        for iteration in range(self.config.iterations):
            if iteration:
                start = np.where(active[..., None], theta, start)
                fit = fit_where(active, self._residuals.linearise(start, window, rows & active[..., None]), fit)
            tried, moved = self._descend(estimate, start, fit, window, rows & active[..., None])
            theta = np.where(active[..., None], tried, theta)
            active = active & moved
            if not active.any():
                break
        fit = tempered(fit, estimate.noise)
        hessian = self._prior_information + estimate.information + information_of(fit, estimate.noise)
        covariance = np.where(fitted[..., None, None], np.linalg.inv(hessian), estimate.covariance)
        return self._fold(estimate._replace(theta=theta, covariance=covariance), start, fit, rows, new)

    def _rows(self, estimate: Estimate, window: Window, new: NDArray[np.bool_], unseen: int = 0) -> NDArray[np.bool_]:
        """The transitions that are fitted under each delay, (B, M, W); `unseen` of them are newer than the estimate."""
        age = np.arange(window.valid.shape[1])[::-1]
        used = window.valid & (age < estimate.trusted[:, None] + unseen) & new[:, None]
        rows: NDArray[np.bool_] = used[:, None] & (estimate.log_odds > -_HOPELESS)[..., None]
        return rows

    def _weigh(self, estimate: Estimate, fit: Fit, new: NDArray[np.bool_]) -> tuple[Estimate, NDArray[np.bool_]]:
        """Weigh the delays by how they predicted the newest transition, and start over where none of them could, (B,) bool."""
        error, jacobian = fit.error[:, :, -1], fit.jacobian[:, :, -1]
        considered = new[:, None] & (estimate.log_odds > -_HOPELESS)
        spread = jacobian @ estimate.covariance @ jacobian.swapaxes(-1, -2) + diagonal(estimate.noise)[:, None]
        surprise = np.einsum("bmd,bmd->bm", error, np.linalg.solve(spread, error[..., None])[..., 0])
        likelihood = -0.5 * (surprise + np.linalg.slogdet(spread)[1])
        odds = np.where(considered, self.config.forgetting * estimate.log_odds + likelihood, -np.inf)
        surprise = np.where(considered, surprise, np.inf)
        changed = new & (surprise.min(1) > self.config.gate * error.shape[-1])
        noise = np.where(new[:, None], self._noise(estimate.noise, error, spread, surprise.argmin(1)), estimate.noise)
        odds = odds - np.where(new, odds.max(1), 0.0)[:, None]
        weighed = estimate._replace(
            log_odds=np.where(new[:, None], np.maximum(odds, -_GIVEN_UP), estimate.log_odds),
            noise=noise,
            trusted=np.minimum(estimate.trusted + new, fit.error.shape[2]),
        )
        prior = self.prior(*noise.shape)._replace(noise=noise, trusted=np.ones_like(estimate.trusted))
        return Estimate(*(robot_where(changed, a, b) for a, b in zip(prior, weighed, strict=True))), changed

    def _noise(self, noise: Array, error: Array, spread: Array, delay: NDArray[np.int64]) -> Array:
        """The running mean square of what is not explained, after the residuals (B, M, obs_dim) of the newest transition.

        A single surprise is a change and counts as a few ordinary ones; only where surprises go on is the simulator wrong.
        """
        at = np.arange(len(delay)), delay
        uncertain = np.diagonal(spread, axis1=-2, axis2=-1)[at] - noise
        missed = np.clip(np.square(error[at]) - uncertain, 0.0, _LARGEST * noise)
        memory = self.config.noise_memory
        return np.maximum(memory * noise + (1 - memory) * missed, self.config.least_noise**2)

    def _descend(
        self, estimate: Estimate, theta: Array, fit: Fit, window: Window, rows: NDArray[np.bool_]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """The damped Gauss-Newton step that lowers what is minimised most, (B, M, n), and where it is a long one, (B, M) bool."""
        parameters, prior = self.parameters, self._prior_information
        weak = tempered(fit, estimate.noise)
        hessian = prior + estimate.information + information_of(weak, estimate.noise)
        gradient = (theta - parameters.nominal) @ prior + times(estimate.information, theta) - estimate.linear
        gradient = gradient + weighted(weak, weak.error, estimate.noise)
        damped = hessian[:, :, None] + _DAMPING[:, None, None] * prior
        steps = -np.linalg.solve(damped, np.broadcast_to(gradient[:, :, None, :, None], (*damped.shape[:-1], 1)))[..., 0]
        tried = np.clip(theta[:, :, None] + steps, parameters.low, parameters.high)
        errors = self._residuals.of(tried, window, rows)
        tried, errors = (np.concatenate([first[:, :, None], x], axis=2) for first, x in ((theta, tried), (fit.error, errors)))
        cost = heavy_tailed(np.where(rows[:, :, None, :, None], errors, 0.0), estimate.noise)
        cost += squared(tried - parameters.nominal, np.broadcast_to(prior, estimate.information.shape))
        cost += squared(tried, estimate.information) - 2 * times(tried, estimate.linear)
        best = np.nan_to_num(cost, nan=np.inf).argmin(2)
        at = np.indices(best.shape)
        length = squared(steps[:, :, :1], hessian)[:, :, 0]
        return tried[at[0], at[1], best], length > _SETTLED * theta.shape[-1]

    def _fold(self, estimate: Estimate, start: Array, fit: Fit, rows: NDArray[np.bool_], new: NDArray[np.bool_]) -> Estimate:
        """Fold in the transition that leaves the window next, and forget a little."""
        full: NDArray[np.bool_] = np.all(np.any(rows, axis=1), axis=1)
        oldest = Fit(fit.error[:, :, :1], fit.jacobian[:, :, :1])
        gained = information_of(oldest, estimate.noise)
        linear = weighted(oldest, times(oldest.jacobian, start[:, :, None]) - oldest.error, estimate.noise)
        kept = np.where(new, self.config.forgetting, 1.0)[:, None, None]
        leaves = full[:, None, None]
        return estimate._replace(
            information=kept[..., None] * estimate.information + np.where(leaves[..., None], gained, 0.0),
            linear=kept * estimate.linear + np.where(leaves, linear, 0.0),
        )
