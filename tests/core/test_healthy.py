"""When a robot is healthy, what that is worth, and that predictions end where it no longer is."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning.score import Score
from adaptive_mbrl.spec import HealthyRange, RobotSpec
from tests.core.analytic import MIXED

RANGES = (HealthyRange("height", low=0.7), HealthyRange("pitch", -0.2, 0.2))
FALLS = dataclasses.replace(MIXED, healthy=RANGES)


def obs(height: float, pitch: float) -> torch.Tensor:
    return torch.tensor([height, pitch, 50.0, -50.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("height", "pitch", "expected"),
    [
        (1.0, 0.0, True),
        (0.7, 0.199, True),
        (0.69, 0.0, False),
        (1e9, -0.199, True),
        (1.0, 0.21, False),
        (1.0, -0.21, False),
        (1.0, 2 * math.pi - 0.1, True),  # an angle is the same after a whole turn
        (1.0, math.pi, False),
        (math.nan, 0.0, False),
    ],
)
def test_healthy_is_within_all_ranges(height: float, pitch: float, expected: bool):
    assert bool(is_healthy(FALLS, obs(height, pitch))) is expected


def test_a_robot_without_ranges_is_always_healthy_and_never_ends():
    assert bool(is_healthy(MIXED, obs(-5.0, math.nan)))
    assert not MIXED.can_end
    assert FALLS.can_end
    assert not dataclasses.replace(FALLS, terminate_when_unhealthy=False).can_end


def test_a_step_alive_is_worth_its_weight():
    objective = Objective(FALLS, (Term("healthy", 3.0), Term("action_quadratic", 1.0)))
    after = torch.stack([obs(1.0, 0.0), obs(0.0, 0.0)]).float()

    found = objective(torch.zeros(2, 4), torch.tensor([[1.0, 0.0]] * 2), after, torch.zeros(2, 0))

    assert found.tolist() == [3.0 - 1.0, -1.0]


def test_a_healthy_term_has_no_channels():
    with pytest.raises(ConfigError, match="term 'healthy': 'channels' must be empty"):
        Term("healthy", 1.0, ("height",))


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (lambda: (HealthyRange("heigth", 1.0),), "unknown channel 'heigth' .did you mean 'height'.. of robot 'mixed'"),
        (lambda: (HealthyRange("height", 1.0), HealthyRange("height", 2.0)), "channel 'height' has two healthy ranges"),
        (lambda: (HealthyRange("height"),), "healthy range of 'height': give 'low', 'high' or both"),
        (
            lambda: (HealthyRange("height", 2.0, 1.0),),
            "healthy range of 'height': low 2.0 is not below high 1.0; allowed: 'low' below 'high'",
        ),
    ],
)
def test_wrong_ranges_are_refused(ranges, message: str):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(MIXED, healthy=ranges())


def test_a_spec_carries_its_ranges_through_a_file_and_older_files_have_none():
    written = to_mapping(FALLS)

    assert from_mapping(RobotSpec, written, source="checkpoint.yaml") == FALLS
    del written["healthy"], written["terminate_when_unhealthy"]
    assert from_mapping(RobotSpec, written, source="checkpoint.yaml") == MIXED


def predictor(spec: RobotSpec) -> NetworkPredictor:
    return NetworkPredictor(DynamicsModel(spec, ModelConfig(hidden=(8,), members=2, context_dim=2), seed=3))


def test_a_network_says_where_its_predictions_leave_the_ranges():
    generator = torch.Generator().manual_seed(0)
    start, actions = torch.randn(3, 4, generator=generator), torch.rand(3, 5, 6, 2, generator=generator)
    low = HealthyRange("height", low=0.0)

    with torch.no_grad():
        plain = predictor(MIXED).roll_out(start, actions)
        ending = predictor(dataclasses.replace(MIXED, healthy=(low,))).roll_out(start, actions)

    assert plain.alive is None
    assert torch.equal(ending.next_obs, plain.next_obs)
    assert torch.equal(ending.alive, plain.next_obs[..., 0] >= 0.0)
    assert 0 < ending.alive.float().mean() < 1


def test_planners_count_nothing_after_a_predicted_fall():
    """Of two candidates with the same speeds, the one that falls at its second step keeps the rewards of two steps."""
    objective = Objective(FALLS, (Term("linear", 1.0, ("speed",)),))
    next_obs = obs(1.0, 0.0).float().repeat(1, 1, 2, 4, 1)
    next_obs[0, 0, 1, 1:, 0] = 0.1
    futures = NetworkPredictor(DynamicsModel(FALLS, ModelConfig(hidden=(4,), members=1))).roll_out(
        torch.zeros(1, 4), torch.zeros(1, 2, 4, 2)
    )
    assert futures.alive is not None

    found = Score(objective)(
        futures._replace(next_obs=next_obs, alive=is_healthy(FALLS, next_obs)),
        torch.zeros(1, 2, 4, 2),
        obs(1.0, 0.0).float()[None],
        torch.zeros(1, 0),
    )

    assert found.tolist() == [[4 * 50.0, 2 * 50.0]]
