"""The normalizer: angles live on the circle, statistics are sane, and encoding is undone by decoding."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.data.statistics import MIN_RELATIVE_STD, transition_statistics
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from tests.core.analytic import MIXED, mixed_transitions

ANGLE = 1  # column of the angle in MIXED
DIRECT = 2  # column that is predicted as it is
LINEAR = [0, 3]
angles = st.floats(-100, 100)


def fitted(seed: int = 0, num: int = 500) -> Normalizer:
    data = mixed_transitions(1, num, seed)
    normalizer = Normalizer(MIXED)
    normalizer.fit(transition_statistics(MIXED, [(data.obs[0], data.next_obs[0])]))
    return normalizer


def decoded_target(normalizer: Normalizer, obs: Tensor, target: Tensor) -> Tensor:
    """The next observation that a target means."""
    return normalizer.wrap(normalizer.affine().advance(obs, target))


@given(angle=angles)
def test_a_wrapped_angle_is_the_same_angle_within_half_a_turn(angle: float):
    wrapped = wrap_angle(torch.tensor(angle, dtype=torch.float64))

    assert -math.pi <= wrapped <= math.pi
    turns = (angle - wrapped.item()) / (2 * math.pi)
    assert turns == pytest.approx(round(turns), abs=1e-9)


@given(angle=angles, change=st.floats(-3.0, 3.0))
def test_the_target_of_an_angle_is_its_short_way_round(angle: float, change: float):
    """Also across +-pi, where the plain difference would be almost a full turn."""
    normalizer = fitted().double()
    obs, next_obs = torch.zeros(2, 4, dtype=torch.float64)
    obs[ANGLE] = wrap_angle(torch.tensor(angle, dtype=torch.float64))
    next_obs[ANGLE] = wrap_angle(torch.tensor(angle + change, dtype=torch.float64))

    target = normalizer.target(obs, next_obs)[ANGLE] * normalizer.target_std[ANGLE] + normalizer.target_mean[ANGLE]

    assert target.item() == pytest.approx(change, abs=1e-9)


@given(angle=angles, turns=st.integers(-5, 5))
def test_whole_turns_of_an_angle_are_not_seen_by_the_network(angle: float, turns: int):
    normalizer = fitted().double()
    obs = torch.tensor([0.3, angle, -0.2, 1.0], dtype=torch.float64)
    turned = obs.clone()
    turned[ANGLE] += 2 * math.pi * turns

    torch.testing.assert_close(normalizer.affine().encode(obs), normalizer.affine().encode(turned))


def test_an_angle_enters_as_sine_and_cosine_and_the_others_as_standard_scores():
    normalizer = fitted()
    obs = torch.tensor([[0.3, 2.0, -0.2, 1.0]])

    encoded = normalizer.affine().encode(obs)

    scores = (obs - normalizer.obs_mean) / normalizer.obs_std
    # the angle's own column is zero
    scores[0, 1] = 0.0
    torch.testing.assert_close(encoded[0], torch.cat([scores[0], torch.tensor([2.0]).sin(), torch.tensor([2.0]).cos()]))
    assert normalizer.encoded_dim == encoded.shape[-1] == normalizer.input_dim + 1
    # and the network's rows are those of the other columns: three channels, a sine and a cosine
    rows = normalizer.affine().input_rows
    assert rows is not None
    assert rows[[0, 2, 3, 4, 5]].tolist() == list(range(normalizer.input_dim))


@given(seed=st.integers(0, 10_000))
def test_decoding_undoes_the_target(seed: int):
    normalizer = fitted()
    data = mixed_transitions(3, 5, seed)
    # what is decoded is kept within the range of the data, so stay inside of it
    next_obs = torch.clamp(data.next_obs, normalizer.obs_low, normalizer.obs_high)

    decoded = decoded_target(normalizer, data.obs, normalizer.target(data.obs, next_obs))

    torch.testing.assert_close(decoded[..., ANGLE], wrap_angle(next_obs[..., ANGLE]), atol=1e-5, rtol=0)
    others = [*LINEAR, DIRECT]
    torch.testing.assert_close(decoded[..., others], next_obs[..., others], atol=1e-5, rtol=0)


@given(seed=st.integers(0, 10_000))
def test_shifting_by_the_error_leads_to_the_other_observation(seed: int):
    normalizer = fitted()
    data = mixed_transitions(2, 4, seed)

    shifted = normalizer.shift(data.obs, normalizer.error(data.next_obs, data.obs))

    torch.testing.assert_close(normalizer.error(shifted, data.next_obs), torch.zeros(2, 4, 4), atol=1e-4, rtol=0)


def test_the_error_of_an_angle_is_measured_on_the_circle():
    normalizer = fitted()
    near_pi = torch.tensor([0.0, math.pi - 0.01, 0.0, 0.0])
    past_pi = torch.tensor([0.0, -math.pi + 0.01, 0.0, 0.0])

    error = normalizer.error(past_pi, near_pi)[ANGLE] * normalizer.target_std[ANGLE]

    assert error.item() == pytest.approx(0.02, abs=1e-5)


def test_statistics_are_those_of_all_transitions():
    data = mixed_transitions(1, 300)
    obs, next_obs = data.obs[0], data.next_obs[0]

    normalizer = Normalizer(MIXED)
    normalizer.fit(transition_statistics(MIXED, [(obs, next_obs)]))

    change = next_obs - obs
    change[:, ANGLE] = wrap_angle(change[:, ANGLE])
    change[:, DIRECT] = next_obs[:, DIRECT]
    torch.testing.assert_close(normalizer.obs_mean, obs.mean(0))
    torch.testing.assert_close(normalizer.obs_std, obs.std(0, unbiased=False))
    torch.testing.assert_close(normalizer.target_mean, change.mean(0))
    torch.testing.assert_close(normalizer.target_std, change.std(0, unbiased=False))


def test_a_channel_that_moves_once_in_a_long_time_does_not_blow_up():
    """Its std is floored at a thousandth of its range; a channel that never moves is left as it is."""
    obs = torch.zeros(2_000_000, 2)
    obs[7, 0] = 1.0
    spec = RobotSpec("still", 0.1, (Channel("blip", "m"), Channel("fixed", "m")), (ActionChannel("a", "1", -1, 1),))
    normalizer = Normalizer(spec)

    normalizer.fit(transition_statistics(spec, [(obs, obs + obs.roll(1, 0))]))

    assert obs[:, 0].std() < MIN_RELATIVE_STD
    assert normalizer.obs_std[0].item() == pytest.approx(MIN_RELATIVE_STD)
    assert normalizer.obs_std[1].item() == 1.0
    assert torch.isfinite(normalizer.target(obs[:20], obs[1:21])).all()


@given(low=st.floats(-50, 49), width=st.floats(0.01, 50))
def test_action_limits_become_plus_and_minus_one(low: float, width: float):
    spec = RobotSpec("one", 0.1, (Channel("x", "m"),), (ActionChannel("a", "1", low, low + width),))
    normalizer = Normalizer(spec).double()
    action = torch.tensor([[low], [low + width], [low + width / 2]], dtype=torch.float64)

    torch.testing.assert_close(
        normalizer.encode_action(action).flatten(), torch.tensor([-1.0, 1.0, 0.0]).double(), atol=1e-3, rtol=0
    )


def test_predictions_stay_near_the_data_but_angles_may_go_round():
    normalizer = fitted()
    data = mixed_transitions(1, 500)
    highest = data.next_obs[0].amax(0)
    span = highest - data.next_obs[0].amin(0)

    decoded = decoded_target(normalizer, torch.zeros(1, 4), torch.full((1, 4), 1e4))[0]

    for column in (*LINEAR, DIRECT):
        assert decoded[column].item() == pytest.approx((highest + 0.1 * span)[column].item(), rel=1e-5)
    assert -math.pi <= decoded[ANGLE] <= math.pi
