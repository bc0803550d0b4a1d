"""How far simulated transitions are from what was observed, under many hypotheses, and how that depends on the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.identification.parameters import Parameters
from sim.identification.simulations import Simulations

Array = NDArray[np.float64]
Error = Callable[[Array, Array], Array]
"""Difference of two next observations, (..., obs_dim), in target stds."""

_STEP = 0.02
"""Finite differences in prior stds: observations are float32, so that smaller ones drown in rounding."""
_BROKEN = 1e4
"""Error in every channel [target stds] of a transition whose simulation broke: larger than any that a prediction has."""


class Window(NamedTuple):
    """The last W transitions, as every delay sees them.

    Attributes:
        obs: (B, W, obs_dim).
        applied: the actions that reached the actuators under each delay, (B, M, W, action_dim).
        next_obs: (B, W, obs_dim).
        valid: (B, W) bool.
    """

    obs: Array
    applied: Array
    next_obs: Array
    valid: NDArray[np.bool_]


class Fit(NamedTuple):
    """Residuals e (B, M, W, obs_dim) and their derivatives J (B, M, W, obs_dim, n) at some theta; zero where nothing is wanted.

    A transition whose simulation broke has a large error that says nothing about where theta should go.
    """

    error: Array
    jacobian: Array


class Residuals:
    """Simulates the transitions of a window under every hypothesis, all in one batch.

    Args:
        simulations: simulates the robot.
        parameters: what is estimated.
        error: in what units, see `Error`.
    """

    def __init__(self, simulations: Simulations, parameters: Parameters, error: Error) -> None:
        self._simulations, self._parameters, self._error = simulations, parameters, error

    def linearise(self, theta: Array, window: Window, rows: NDArray[np.bool_]) -> Fit:
        """Residuals and derivatives of the transitions `rows`, (B, M, W), by forward differences that stay within the bounds.

        Where a simulation broke, its error is large and its derivatives are zero: it must not count as a perfect prediction.
        """
        parameters, size = self._parameters, theta.shape[-1]
        step = _STEP * parameters.std
        step = np.where(theta + step > parameters.high, -step, step)
        tried = np.concatenate([theta[..., None, :], theta[..., None, :] + step[..., None, :] * np.eye(size)], axis=-2)
        errors = self.of(tried, window, rows)
        jacobian = (errors[:, :, 1:] - errors[:, :, :1]) / step[..., None, None]
        error = np.where(rows[..., None], np.nan_to_num(errors[:, :, 0], nan=_BROKEN), 0.0)
        return Fit(error, np.nan_to_num(np.moveaxis(jacobian, 2, -1)))

    def of(self, tried: Array, window: Window, rows: NDArray[np.bool_]) -> Array:
        """Residuals of every transition under each of `tried`, (B, M, T, n) -> (B, M, T, W, obs_dim).

        NaN where a transition is not in `rows`, and where its simulation broke.
        """
        robots, delays, count = tried.shape[:3]
        lag, obs_dim = window.obs.shape[1:]
        shape = (robots, delays, count, lag)
        wanted = np.broadcast_to(rows[:, :, None], shape).reshape(-1, lag)
        needed: NDArray[np.bool_] = np.any(wanted, axis=1)
        flat = tried.reshape(-1, tried.shape[-1])
        nominal = self._parameters.change(self._parameters.nominal)
        changes = [self._parameters.change(t) if use else nominal for t, use in zip(flat, needed, strict=True)]
        obs = np.broadcast_to(window.obs[:, None, None], (*shape, obs_dim)).reshape(-1, lag, obs_dim)
        applied = np.broadcast_to(window.applied[:, :, None], (*shape, window.applied.shape[-1]))
        next_obs = self._simulations.step(changes, obs, applied.reshape(-1, *applied.shape[3:]), wanted).reshape(*shape, obs_dim)
        return self._error(next_obs, window.next_obs[:, None, None])
