"""What docs/adaptation.md proves about the error of `bayes_linear`, against random data and against the rule itself."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from tests.core.analytic import mixed_model, mixed_transitions
from tests.core.rules import WINDOW, stirred_adapter

Array = NDArray[np.float64]
FEATURES, STEPS, SIGMA = 5, 60, 0.3


class Stream(NamedTuple):
    """What one output of the last layer sees.

    Attributes:
        phi: features, (T, F).
        true: the weights W* at each step, (T, F).
        error: what features and W* do not explain, (T,).
        prior: S^-1, (F, F).
        start: W_0, (F,).
    """

    phi: Array
    true: Array
    error: Array
    prior: Array
    start: Array

    @property
    def target(self) -> Array:
        return (self.phi * self.true).sum(1) + self.error

    def size(self, weights: Array) -> float:
        """Squared distance from W_0, in stds of the prior."""
        return squared(weights - self.start, self.prior)


class Belief(NamedTuple):
    precision: Array
    weights: Array


def stream(seed: int, drift: float = 0.0, directions: int = FEATURES) -> Stream:
    """Random features in some directions of the space, and weights that wander."""
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=(STEPS, FEATURES)) * (np.arange(FEATURES) < directions) * rng.exponential(size=(STEPS, 1))
    true = rng.normal(size=FEATURES) + drift * rng.normal(size=(STEPS, FEATURES)).cumsum(0)
    # not noise: errors with a mean, as a model that cannot express something makes them
    error = 0.2 + 0.4 * rng.normal(size=STEPS)
    return Stream(phi, true, error, np.diag(rng.uniform(0.5, 4.0, FEATURES)), rng.normal(size=FEATURES))


def squared(x: Array, precision: Array) -> float:
    return float(x @ precision @ x)


def step(belief: Belief, data: Stream, t: int, forgetting: float, prior: float = 1.0) -> Belief:
    """Recursive least squares; with `prior` 0 it forgets its prior, too."""
    kept = (1 - forgetting) * prior * data.prior
    precision = forgetting * belief.precision + kept + np.outer(data.phi[t], data.phi[t]) / SIGMA**2
    information = forgetting * belief.precision @ belief.weights + kept @ data.start + data.phi[t] * data.target[t] / SIGMA**2
    return Belief(precision, np.linalg.solve(precision, information))


def beliefs(data: Stream, forgetting: float, first: Belief | None = None) -> list[Belief]:
    """One before the first step and one after each."""
    found = [first or Belief(data.prior, data.start)]
    for t in range(STEPS):
        found.append(step(found[-1], data, t, forgetting))
    return found


def batch(phi: Array, target: Array, data: Stream, forgetting: float) -> Belief:
    """All transitions at once: weighted ridge regression."""
    weight = forgetting ** np.arange(len(phi) - 1, -1, -1) / SIGMA**2
    precision = data.prior + (phi.T * weight) @ phi
    return Belief(precision, data.start + np.linalg.solve(precision, (phi.T * weight) @ (target - phi @ data.start)))


def wrong_start(data: Stream, seed: int = 0) -> Belief:
    """A belief that is certain of something else, as one is after a change."""
    rng = np.random.default_rng(seed)
    some = rng.normal(size=(20, FEATURES))
    return Belief(data.prior + some.T @ some, 10 * rng.normal(size=FEATURES))


FORGETTING = [0.6, 0.95, 1.0]
SEEDS = range(3)


@pytest.mark.parametrize("forgetting", FORGETTING)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_recursion_is_the_batch_form_at_every_step(seed: int, forgetting: float):
    data = stream(seed, drift=0.1)
    for t, belief in enumerate(beliefs(data, forgetting)):
        expected = batch(data.phi[:t], data.target[:t], data, forgetting)
        np.testing.assert_allclose(belief.precision, expected.precision, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(belief.weights, expected.weights, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("forgetting", FORGETTING)
@pytest.mark.parametrize("directions", [2, FEATURES])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_error_of_one_step_is_bounded_by_that_of_the_step_before(seed: int, directions: int, forgetting: float):
    """V_t <= lambda V_(t-1) + (1 - lambda) D + eps_t^2 / sigma^2; what is missing is what the new weights do not explain."""
    data = stream(seed, directions=directions)
    true = data.true[0]
    for first in (Belief(data.prior, data.start), wrong_start(data)):
        found = beliefs(data, forgetting, first)
        for t, (before, after) in enumerate(itertools.pairwise(found)):
            bound = forgetting * squared(before.weights - true, before.precision)
            bound += (1 - forgetting) * data.size(true) + (data.error[t] / SIGMA) ** 2
            missing = forgetting * squared(after.weights - before.weights, before.precision)
            missing += (1 - forgetting) * data.size(after.weights)
            missing += ((data.target[t] - data.phi[t] @ after.weights) / SIGMA) ** 2
            assert squared(after.weights - true, after.precision) == pytest.approx(bound - missing, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("forgetting", FORGETTING)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_wrong_start_is_forgotten_and_what_remains_is_bounded(seed: int, forgetting: float):
    """Also where W* changes at every step: each change counts once, and is forgotten as the start is."""
    for drift in (0.0, 0.2):
        data = stream(seed, drift)
        found = beliefs(data, forgetting, wrong_start(data))
        steady, changed = squared(found[0].weights - data.true[0], found[0].precision), 0.0
        for t, belief in enumerate(found[1:]):
            moved = data.true[t] - data.true[max(t - 1, 0)]
            changed = np.sqrt(forgetting) * (changed + np.sqrt(squared(moved, found[t].precision)))
            steady = forgetting * steady + (1 - forgetting) * data.size(data.true[t]) + (data.error[t] / SIGMA) ** 2
            error = squared(belief.weights - data.true[t], belief.precision)
            assert np.sqrt(error) <= np.sqrt(steady) + changed + 1e-9
            # and with it what is predicted anywhere
            asked = np.random.default_rng(t).normal(size=FEATURES)
            std = np.sqrt(asked @ np.linalg.solve(belief.precision, asked))
            assert abs(asked @ (belief.weights - data.true[t])) <= std * np.sqrt(error) * (1 + 1e-9)
            assert std <= np.sqrt(asked @ np.linalg.solve(data.prior, asked)) * (1 + 1e-9)


@pytest.mark.parametrize("forgetting", [0.6, 0.95])
def test_without_errors_a_belief_comes_to_be_no_worse_than_the_prior(forgetting: float):
    data = stream(0, directions=2)._replace(error=np.zeros(STEPS))
    last = beliefs(data, forgetting, wrong_start(data))[-1]

    left = forgetting**STEPS * squared(wrong_start(data).weights - data.true[0], wrong_start(data).precision)
    assert squared(last.weights - data.true[0], data.prior) <= data.size(data.true[0]) + left


@pytest.mark.parametrize("forgetting", FORGETTING)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_window_bounds_the_error_with_any_forgetting(seed: int, forgetting: float):
    """V <= D + sum over the K transitions; a change of W* within the window counts as an error of the transitions before it."""
    data, size = stream(seed, drift=0.1), 8
    for t in range(size, STEPS):
        recent = slice(t - size, t)
        phi, target, true = data.phi[recent], data.target[recent], data.true[t - 1]
        belief = batch(phi, target, data, forgetting)
        weight = forgetting ** np.arange(size - 1, -1, -1)
        bound = data.size(true) + (weight * ((target - phi @ true) / SIGMA) ** 2).sum()
        assert squared(belief.weights - true, belief.precision) <= bound + 1e-9


@pytest.mark.parametrize("forgetting", FORGETTING)
@pytest.mark.parametrize("seed", SEEDS)
def test_excitation_shrinks_the_error_in_every_direction(seed: int, forgetting: float):
    """mu: how much more is known in the direction of which least is known than the prior knows."""
    data = stream(seed)
    scale = np.diag(np.diag(data.prior) ** -0.5)
    bound = data.size(data.true[0])
    for t, belief in enumerate(beliefs(data, forgetting)[1:]):
        bound = forgetting * bound + (1 - forgetting) * data.size(data.true[0]) + (data.error[t] / SIGMA) ** 2
        excitation = np.linalg.eigvalsh(scale @ (belief.precision - data.prior) @ scale)[0]
        assert squared(belief.weights - data.true[0], data.prior) <= bound / (1 + excitation) + 1e-9
    assert excitation > (0.05 if forgetting < 0.9 else 1.0)


@pytest.mark.parametrize("forgetting", [0.6, 0.95])
def test_a_belief_that_forgets_its_prior_winds_up_without_excitation(forgetting: float):
    """Nothing is seen of one direction for long; then a little of it is seen, with an error that is otherwise harmless."""
    data = stream(0, directions=2)
    small, steps = 1e-6, round(np.log(1e-20) / np.log(forgetting))
    last = data._replace(phi=np.eye(FEATURES)[[4]] * small, true=data.true[:1], error=np.array([SIGMA]))
    moved = {}
    for prior in (0.0, 1.0):
        silent = Belief(data.prior, data.true[0])
        for t in range(steps):
            silent = step(silent, data, t % STEPS, forgetting, prior)
        moved[prior] = step(silent, last, 0, forgetting, prior).weights[4] - silent.weights[4]
        certainty = silent.precision[4, 4] / data.prior[4, 4]
        assert certainty == pytest.approx(forgetting**steps if prior == 0 else 1.0)

    # eps / phi, however small phi is; and at most half a prior std for each sigma of error, whatever phi is
    assert moved[0.0] == pytest.approx(SIGMA / small, rel=1e-3)
    assert abs(moved[1.0]) <= 0.5 * data.prior[4, 4] ** -0.5


@torch.no_grad()
@pytest.mark.parametrize("forgetting", [0.7, 1.0])
def test_the_rule_keeps_to_the_bound(forgetting: float):
    """The last layer that is predicted with, for every member, robot and output; W* is that which explains most."""
    adapter = stirred_adapter((BayesLinearConfig(prior_std=0.3, noise_std=0.2, forgetting=forgetting),), mixed_model())
    recent, base = mixed_transitions(2, WINDOW), NetworkPredictor(adapter.model)
    rule, (belief,) = adapter.rules[0], adapter.infer(recent)
    name = adapter.model.net.num_layers - 1
    after, before = (
        torch.cat([p.per_robot(f"{kind}_{name}").expand(-1, 2, -1, -1) for kind in ("weight", "bias")], dim=-2).double().numpy()
        for p in (adapter.condition((belief,)), base)
    )
    noise = rule.log_noise_std.double().exp().item()
    for member in range(2):
        prior = np.diag(np.exp(-2 * rule.log_prior_std[member].double().numpy()))
        for robot in range(2):
            phi, residual = (x[robot, member].double().numpy() for x in (belief.features, belief.residual))
            true = np.linalg.lstsq(phi, residual, rcond=None)[0]
            error = (after - before)[member, robot] - true
            precision = prior + phi.T @ phi / noise**2
            bound = (true * (prior @ true)).sum(0) + ((residual - phi @ true) ** 2).sum(0) / noise**2
            assert ((error * (precision @ error)).sum(0) <= bound * (1 + 1e-4)).all()
