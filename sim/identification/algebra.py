"""The estimator's algebra: sums of squared residuals over transitions, under heavy tails, and choices robot by robot.

Letters are those of `sim/identification/estimator.py`: B robots, M delays, W transitions, n parameters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.identification.residuals import Fit

Array = NDArray[np.float64]

_TAILS = 4.0
"""c: mean squared residual, in units of the noise, at which a transition counts half: what cannot be explained says little."""


def heavy_tailed(error: Array, noise: Array) -> Array:
    """Sum over transitions of rho, residuals (B, M, T, W, obs_dim) of T candidates and noise (B, obs_dim) -> (B, M, T)."""
    squares = np.square(error / np.sqrt(noise)[:, None, None, None]).mean(-1)
    total: Array = error.shape[-1] * _TAILS * np.log1p(squares / _TAILS).sum(-1)
    return total


def tempered(fit: Fit, noise: Array) -> Fit:
    """Residuals and derivatives times the square root of the weight that each transition has under heavy tails."""
    squares = np.square(fit.error / np.sqrt(noise)[:, None, None]).mean(-1)
    root = 1 / np.sqrt(1 + squares / _TAILS)
    return Fit(fit.error * root[..., None], fit.jacobian * root[..., None, None])


def information_of(fit: Fit, noise: Array) -> Array:
    """J' R^-1 J, summed over transitions, (B, M, n, n)."""
    return _gram(fit.jacobian, fit.jacobian, noise)


def weighted(fit: Fit, error: Array, noise: Array) -> Array:
    """J' R^-1 e, summed over transitions, of a fit's derivatives and residuals (B, M, W, obs_dim) -> (B, M, n)."""
    return _gram(fit.jacobian, error[..., None], noise)[..., 0]


def _gram(left: Array, right: Array, noise: Array) -> Array:
    """Sum over transitions of left' R^-1 right: (B, M, W, obs_dim, i), (B, M, W, obs_dim, j) -> (B, M, i, j)."""
    return np.einsum("bmwdi,bd,bmwdj->bmij", left, 1 / noise, right, optimize=True)


def times(matrix: Array, vector: Array) -> Array:
    """Products of matrices (..., i, j) with vectors (..., j)."""
    return np.einsum("...ij,...j->...i", matrix, vector)


def squared(vector: Array, matrix: Array) -> Array:
    """v' M v of T candidates, (B, M, T, n), and a matrix for each delay, (B, M, n, n) -> (B, M, T)."""
    return np.einsum("bmti,bmij,bmtj->bmt", vector, matrix, vector)


def diagonal(values: Array) -> Array:
    """Diagonal matrices, (..., n) -> (..., n, n)."""
    return values[..., None] * np.eye(values.shape[-1])


def fit_where(first: NDArray[np.bool_], one: Fit, other: Fit) -> Fit:
    """One of two fits for every robot and delay; `first` is (B, 1) or (B, M)."""
    return Fit(*(np.where(first.reshape(*first.shape, *(1,) * (a.ndim - 2)), a, b) for a, b in zip(one, other, strict=True)))


def robot_where(first: NDArray[np.bool_], one: Array, other: Array) -> Array:
    """One of two arrays with the batch axis first for every robot; `first` is (B,)."""
    return np.where(first.reshape(-1, *(1,) * (one.ndim - 1)), one, other)
