"""The noise that candidates are made of: unit variance at every step, and the spectrum that its exponent says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptive_mbrl.planning import SamplingPlanner, make_planner
from adaptive_mbrl.planning.sampling import coloured_noise_matrix
from tests.core.analytic import MIXED
from tests.core.cart import METHODS, small


@pytest.mark.parametrize("horizon", [1, 2, 15, 40])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_coloured_noise_has_unit_variance_at_every_step(beta: float, horizon: int):
    colour = coloured_noise_matrix(horizon, beta).double()

    torch.testing.assert_close((colour @ colour.T).diagonal(), torch.ones(horizon).double(), atol=1e-5, rtol=0)


def test_white_noise_is_left_white():
    torch.testing.assert_close(coloured_noise_matrix(20, 0.0), torch.eye(20), atol=1e-4, rtol=0)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_the_power_falls_with_frequency_by_the_exponent(beta: float):
    """Slope of the expected periodogram in log-log axes, away from its ends, where cutting the sequence bends it."""
    length = 256
    colour = coloured_noise_matrix(length, beta).double()
    fourier = torch.fft.rfft(torch.hann_window(length, dtype=torch.float64)[:, None] * colour, dim=0)
    power = fourier.abs().square().sum(1)[4:64]
    frequency = torch.arange(4, 64, dtype=torch.float64)

    slope = np.polyfit(frequency.log(), power.log(), 1)[0]

    assert slope == pytest.approx(-beta, abs=0.1)


def test_the_planner_draws_the_noise_that_its_config_names():
    correlation = {}
    for beta in (0.0, 1.0, 2.0):
        planner = make_planner(MIXED, small("icem", horizon=20, noise_beta=beta))
        assert isinstance(planner, SamplingPlanner)
        noise = planner.noise(4000)
        assert noise.shape == (4000, 20, 2)
        torch.testing.assert_close(noise.std(0), torch.ones(20, 2), atol=0.06, rtol=0)
        # the two actions are independent
        assert (noise[..., 0] * noise[..., 1]).mean().abs() < 0.05
        correlation[beta] = (noise[:, 1:] * noise[:, :-1]).mean().item()
    assert abs(correlation[0.0]) < 0.02
    assert 0.3 < correlation[1.0] < correlation[2.0] - 0.1


@pytest.mark.parametrize("method", METHODS)
def test_perturbations_are_in_the_actions_units(method: str):
    """Branches around a plan scatter as a planner's candidates do: sigma half ranges of each action."""
    planner = make_planner(MIXED, small(method, sigma=0.25))

    scatter = planner.perturbations(4000)

    assert scatter.shape == (4000, 6, 2)
    torch.testing.assert_close(scatter.std(0), torch.tensor([0.5, 0.125]).expand(6, 2), atol=0, rtol=0.06)
