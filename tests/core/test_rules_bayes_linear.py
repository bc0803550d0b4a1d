"""The Bayesian last layer against direct linear regression, and the context rule's indifference to order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.adaptation.context import ContextConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.adaptation.recurrent import RecurrentConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED, mixed_model, mixed_transitions
from tests.core.rules import RULES, WINDOW, answers, questions, stirred_adapter

TASKS, SAMPLES = 2, 4000
VALID = torch.tensor([[True] * WINDOW, [False, True, True, False, True, True]])


class Posterior(NamedTuple):
    """Of one robot under one member: means of the normalised targets, (N, obs_dim), and their covariance, (N, N)."""

    mean: np.ndarray
    covariance: np.ndarray


def adapter_with(samples: int = 0, forgetting: float = 1.0, **model: object) -> NetworkAdapter:
    rules = (BayesLinearConfig(prior_std=0.3, noise_std=0.2, samples=samples, forgetting=forgetting),)
    return stirred_adapter(rules, mixed_model(**model))


def window() -> Transitions:
    return mixed_transitions(TASKS, WINDOW)._replace(valid=VALID)


def design(predictor: NetworkPredictor, obs: Tensor, action: Tensor) -> np.ndarray:
    """Features with a column of ones, (P, B, N, F + 1)."""
    features = predictor.features(obs, action).double().numpy()
    return np.concatenate([features, np.ones((*features.shape[:-1], 1))], axis=-1)


class Regression(NamedTuple):
    """Of one robot under one member, in float64.

    Attributes:
        phi: features with a column of ones, (K, F + 1).
        residual: what the prior misses, (K, obs_dim).
        prior_precision: of the weights, (F + 1, F + 1).
        noise_variance: of the newest transition.
    """

    phi: np.ndarray
    residual: np.ndarray
    prior_precision: np.ndarray
    noise_variance: float


@torch.no_grad()
def regression(adapter: NetworkAdapter, recent: Transitions, member: int, task: int) -> Regression:
    """All K transitions; those that are not valid are zero."""
    rule, base = adapter.rules[0], NetworkPredictor(adapter.model)
    valid = recent.valid[task].numpy()[:, None]
    phi = design(base, recent.obs, recent.action)[member, task]
    target = adapter.normalizer.target(recent.obs, recent.next_obs)[task].double().numpy()
    residual = target - base.target(recent.obs, recent.action).mean[member, task].double().numpy()
    prior_precision = np.diag(np.exp(-2 * rule.log_prior_std[member].double().numpy()))
    return Regression(phi * valid, residual * valid, prior_precision, np.exp(2 * rule.log_noise_std.item()))


@torch.no_grad()
def posterior(adapter: NetworkAdapter, recent: Transitions, obs: Tensor, action: Tensor, member: int, task: int) -> Posterior:
    """Weighted ridge regression by its normal equations."""
    data, base = regression(adapter, recent, member, task), NetworkPredictor(adapter.model)
    weight = adapter.rules[0].config.forgetting ** np.arange(WINDOW - 1, -1, -1) / data.noise_variance
    asked = design(base, obs, action)[member, task]
    covariance = np.linalg.inv((data.phi.T * weight) @ data.phi + data.prior_precision)
    moved = covariance @ (data.phi.T * weight) @ data.residual
    prior_mean = base.target(obs, action).mean[member, task].double().numpy()
    return Posterior(prior_mean + asked @ moved, asked @ covariance @ asked.T)


@pytest.mark.parametrize("forgetting", [1.0, 0.7])
@pytest.mark.parametrize("learned_variance", [False, True])
def test_the_mean_is_that_of_ridge_regression(learned_variance: bool, forgetting: float):
    adapter = adapter_with(forgetting=forgetting, learned_variance=learned_variance)
    recent, (obs, action) = window(), questions(TASKS)
    with torch.no_grad():
        prediction = adapter.condition(adapter.infer(recent)).target(obs, action)

    for member in range(2):
        for task in range(TASKS):
            expected = posterior(adapter, recent, obs, action, member, task).mean
            np.testing.assert_allclose(prediction.mean[member, task], expected, atol=2e-4)
    # a learned variance is not what the last layer is believed about
    with torch.no_grad():
        torch.testing.assert_close(prediction.log_std, NetworkPredictor(adapter.model).target(obs, action).log_std)


@pytest.mark.parametrize("forgetting", [1.0, 0.7])
def test_the_predicted_std_has_the_posteriors_variance_in_it(forgetting: float):
    adapter, recent, (obs, action) = adapter_with(forgetting=forgetting), window(), questions(TASKS)
    with torch.no_grad():
        predictor = adapter.condition(adapter.infer(recent))
        without = NetworkPredictor(adapter.model, predictor.parameters).predict(obs, action).std
        added = (predictor.predict(obs, action).std.square() - without.square()) / adapter.normalizer.target_std.square()

    for task in range(TASKS):
        members = [np.diag(posterior(adapter, recent, obs, action, member, task).covariance) for member in range(2)]
        expected = np.mean(members, axis=0)[:, None].repeat(MIXED.obs_dim, axis=1)
        np.testing.assert_allclose(added[task], expected, rtol=1e-2, atol=1e-4)


def test_the_predicted_std_shrinks_with_data_and_grows_away_from_it():
    adapter, recent = adapter_with(members=1), mixed_transitions(TASKS, WINDOW)
    far = recent.obs + 4.0
    with torch.no_grad():
        stds = []
        for known in (0, 2, WINDOW):
            valid = (torch.arange(WINDOW) < known).expand(TASKS, -1)
            predictor = adapter.condition(adapter.infer(recent._replace(valid=valid)))
            stds.append(predictor.predict(recent.obs[:, :2], recent.action[:, :2]).std)
        away = predictor.predict(far[:, :2], recent.action[:, :2]).std

    assert (stds[1] < 0.8 * stds[0]).all()
    assert (stds[2] < stds[1]).all()
    assert (away > 1.2 * stds[2]).all()


@pytest.mark.parametrize("forgetting", [1.0, 0.7])
def test_posterior_samples_have_the_posteriors_mean_and_covariance(forgetting: float):
    """Every sample is one function: what it says at several questions varies together."""
    adapter, recent, (obs, action) = adapter_with(SAMPLES, forgetting), window(), questions(TASKS)
    with torch.no_grad():
        belief = adapter.infer(recent)
        noise = adapter.draw_noise(belief, torch.Generator().manual_seed(0))
        sampled = adapter.condition(belief, noise).target(obs, action).mean.double().numpy()

    sampled = sampled.reshape(SAMPLES, 2, TASKS, *sampled.shape[-2:])
    for member in range(2):
        for task in range(TASKS):
            expected = posterior(adapter, recent, obs, action, member, task)
            drawn = sampled[:, member, task]
            scale = np.sqrt(np.diag(expected.covariance))
            assert (np.abs(drawn.mean(0) - expected.mean) < 5 * scale[:, None] / np.sqrt(SAMPLES)).all()
            for channel in range(MIXED.obs_dim):
                difference = np.cov(drawn[..., channel].T) - expected.covariance
                assert (np.abs(difference) < 0.12 * np.outer(scale, scale)).all()


@torch.no_grad()
def test_forgetting_is_recursive_least_squares_that_keeps_the_prior():
    """Transition by transition; where one is not valid time passes all the same."""
    forgetting = 0.7
    adapter, recent, (obs, action) = adapter_with(forgetting=forgetting), window(), questions(TASKS)
    said = adapter.condition(adapter.infer(recent)).target(obs, action).mean
    prior = NetworkPredictor(adapter.model).target(obs, action).mean

    for member in range(2):
        for task in range(TASKS):
            data = regression(adapter, recent, member, task)
            precision, information = data.prior_precision, np.zeros((data.phi.shape[1], MIXED.obs_dim))
            for phi, residual in zip(data.phi, data.residual, strict=True):
                seen = np.outer(phi, phi) / data.noise_variance
                precision = forgetting * precision + (1 - forgetting) * data.prior_precision + seen
                information = forgetting * information + np.outer(phi, residual) / data.noise_variance
            asked = design(NetworkPredictor(adapter.model), obs, action)[member, task]
            expected = prior[member, task].numpy() + asked @ np.linalg.solve(precision, information)
            np.testing.assert_allclose(said[member, task], expected, atol=2e-4)


@torch.no_grad()
def test_forgetting_follows_a_change_within_the_window():
    """In the older half a force acts that is gone in the newer half: what it left behind in the prediction is smaller."""
    recent, force = mixed_transitions(TASKS, WINDOW), torch.tensor([0.5, 0.0, 0.5, 0.5])
    old = torch.arange(WINDOW)[None, :, None] < WINDOW // 2
    pushed = recent._replace(next_obs=recent.next_obs + torch.where(old, force, 0.0))
    asked, left_behind = (recent.obs[:, -2:], recent.action[:, -2:]), []
    for forgetting in (1.0, 0.5):
        adapter = adapter_with(forgetting=forgetting)
        means = [adapter.condition(adapter.infer(seen)).target(*asked).mean for seen in (pushed, recent)]
        left_behind.append((means[0] - means[1])[..., [0, 2, 3]].abs().mean())

    assert left_behind[1] < 0.7 * left_behind[0]


@torch.no_grad()
def test_a_belief_that_forgets_is_never_less_certain_than_the_prior():
    """One transition again and again; least squares that forgets its prior, too, winds up in all other directions."""
    forgetting = 0.3
    adapter, asked = adapter_with(forgetting=forgetting, members=1), questions(TASKS)
    same = Transitions(*(field[:, :1].repeat_interleave(WINDOW, 1) for field in mixed_transitions(TASKS, WINDOW)))
    data = regression(adapter, same, 0, 0)
    precision = data.prior_precision
    for phi in data.phi:
        precision = forgetting * precision + np.outer(phi, phi) / data.noise_variance
    features = design(NetworkPredictor(adapter.model), *asked)[0, 0]
    variances = [np.diag(features @ np.linalg.inv(p) @ features.T) for p in (precision, data.prior_precision)]
    assert (variances[0] > 2 * variances[1]).any()

    stds = [adapter.condition(belief).predict(*asked).std for belief in (adapter.infer(same), adapter.prior(TASKS))]

    assert (stds[0] <= stds[1]).all()


def test_samples_are_shared_by_all_robots():
    """A batch plans as each robot would alone: equal windows give equal samples."""
    adapter, (obs, action) = adapter_with(samples=3), questions(1)
    recent = Transitions(*(field.repeat(2, *(1,) * (field.dim() - 1)) for field in mixed_transitions(1, WINDOW)))
    with torch.no_grad():
        belief = adapter.infer(recent)
        noise = adapter.draw_noise(belief, torch.Generator().manual_seed(0))
        futures = (
            adapter.condition(belief, noise).roll_out(obs[:, 0].repeat(2, 1), action[:, :, None].repeat(2, 1, 1, 1)).next_obs
        )

    assert len(futures) == 3 * 2
    torch.testing.assert_close(futures[:, 0], futures[:, 1])


@pytest.mark.parametrize("after", [GradientConfig(), NoneConfig(), BayesLinearConfig(samples=2)], ids=lambda config: config.TAG)
def test_a_rule_that_samples_must_be_the_last_one(after):
    with pytest.raises(ConfigError, match="a rule with samples > 0 must be the last one") as caught:
        make_adapter(mixed_model(), (BayesLinearConfig(samples=2), after), WINDOW)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("before", [GradientConfig(), ContextConfig(), RecurrentConfig()], ids=lambda config: config.TAG)
def test_a_recursive_rule_must_be_the_first_one(before):
    with pytest.raises(ConfigError, match="a recursive rule such as recurrent must be the first one"):
        make_adapter(mixed_model(), (before, RecurrentConfig()), WINDOW)

    make_adapter(mixed_model(), (RecurrentConfig(), GradientConfig()), WINDOW)


def test_a_last_layer_without_a_hidden_one_is_refused():
    with pytest.raises(ConfigError, match=r"key 'model\.hidden': empty; bayes_linear needs at least one hidden layer"):
        make_adapter(mixed_model(hidden=()), (BayesLinearConfig(),), WINDOW)


def test_the_order_of_the_window_means_nothing_to_the_context_rule():
    adapter, asked = stirred_adapter(RULES["context"]), questions(TASKS)
    recent, order = window(), torch.tensor([4, 1, 5, 0, 3, 2])
    mixed = Transitions(*(field[:, order] for field in recent))
    with torch.no_grad():
        said, expected = (answers(adapter, adapter.infer(seen), *asked) for seen in (mixed, recent))

    for a, b in zip(said, expected, strict=True):
        torch.testing.assert_close(a, b)
