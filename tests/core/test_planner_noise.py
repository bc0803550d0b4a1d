"""The noise that candidates are made of: unit variance at every step, and the spectrum that its exponent says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptive_mbrl.planning import SamplingPlanner, make_planner
from adaptive_mbrl.planning.sampling import coloured_noise_matrix
from tests.core.analytic import MIXED
from tests.core.cart import CART, METHODS, STARTS, plan_cart, small


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
        noise = planner.noise(4000, planner.generators[0])
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

    before = planner.generators[0].get_state()
    scatter = planner.perturbations(4000, torch.Generator().manual_seed(1))

    assert torch.equal(planner.generators[0].get_state(), before), "the planner's own noise goes on as if nobody had asked"
    assert scatter.shape == (4000, 6, 2)
    torch.testing.assert_close(scatter.std(0), torch.tensor([0.5, 0.125]).expand(6, 2), atol=0, rtol=0.06)


@pytest.mark.parametrize("method", METHODS)
def test_a_robot_with_its_own_seed_plans_in_a_batch_as_it_would_alone(method: str):
    seeds = [7, 3, 7, 11]
    planner = make_planner(CART, small(method))
    planner.seed(seeds)
    state, together = planner.init(4), []
    for _ in range(3):
        state, plan = plan_cart(planner, state, STARTS)
        together.append(plan.actions)

    for robot, seed in enumerate(seeds):
        # one robot with a list of one seed, and one with the seed that a controller is given
        for alone in ([seed], seed):
            planner.seed(alone)
            state = planner.init(1)
            for expected in together:
                state, plan = plan_cart(planner, state, STARTS[robot : robot + 1])
                torch.testing.assert_close(plan.actions[0], expected[robot], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_own_seeds_give_different_noise_and_equal_seeds_the_same(method: str):
    planner = make_planner(CART, small(method))
    planner.seed([1, 2, 1])

    first, second, third = planner.draw_noise().unbind(-4)
    num = first.shape[-3]

    assert torch.equal(first, third)
    assert (first - second).abs().mean() > 0.05
    assert planner.draw_noise(num).shape[-4] == 3
    planner.seed(1)
    assert torch.equal(planner.draw_noise(), first)


def test_a_batch_of_another_size_than_the_list_of_seeds_is_refused():
    planner = make_planner(CART, small("icem"))
    planner.require_batch(5)
    planner.seed([1, 2])

    with pytest.raises(ValueError, match="seeds for 2 robots, got 5"):
        planner.require_batch(5)
