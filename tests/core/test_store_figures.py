"""What looks wrong in episodes is said: channels, velocities, frozen values, stamps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from adaptive_mbrl.stores import channels
from adaptive_mbrl.stores.channels import ChannelFigures, velocity_pairs
from adaptive_mbrl.stores.frozen import frozen_steps
from tests.core.sliders import DT, SPEC, slider, warnings_of, with_obs, with_stamps


def test_a_healthy_recording_has_no_warning():
    assert warnings_of(*(slider(seed) for seed in range(3))) == []


def test_positions_and_velocities_are_paired_by_name_and_unit():
    assert [(p.position, p.velocity) for p in velocity_pairs(SPEC)] == [(0, 1), (2, 3)]
    other_unit = dataclasses.replace(SPEC, obs=(dataclasses.replace(SPEC.obs[0], unit="mm"), *SPEC.obs[1:]))
    assert [(p.position, p.velocity) for p in velocity_pairs(other_unit)] == [(2, 3)]


@pytest.mark.parametrize(("factor", "said"), [(-1.0, "-1.00 times"), (180 / np.pi, "0.02 times")])
def test_a_velocity_of_another_sign_or_unit_is_found(factor: float, said: str):
    episodes = [slider(seed) for seed in range(3)]

    (warning,) = warnings_of(*(with_obs(e, 3, factor * e.obs[:, 3]) for e in episodes))

    assert "'hinge_angle' changes" in warning
    assert said in warning


def test_velocities_of_two_joints_that_are_swapped_are_found():
    swapped = [dataclasses.replace(e, obs=e.obs[:, [0, 3, 2, 1]]) for e in (slider(seed) for seed in range(3))]

    warnings = warnings_of(*swapped)

    assert len(warnings) == 2
    assert all("another joint" in w for w in warnings)


def test_a_channel_that_is_always_the_same_is_named():
    episode = with_obs(slider(0), 1, np.full(61, 0.25))

    assert "observation 'slide_velocity' is always 0.25 m/s; is it connected?" in warnings_of(episode)


def test_values_that_stand_still_while_others_move_are_frozen():
    episode = slider(0)
    hung = episode.obs[:, 2].copy()
    hung[20:41] = hung[20]

    assert frozen_steps(with_obs(episode, 2, hung).obs, episode.action).channels.tolist() == [0, 0, 20, 0]
    warnings = warnings_of(with_obs(episode, 2, hung))
    said = "observation 'hinge_angle' stands still in 33 % of the steps, 10 or more in a row, while others or commands change"
    assert said in warnings


def test_a_robot_that_stands_still_altogether_freezes_nothing():
    still = np.zeros((50, 4), np.float32)

    assert frozen_steps(still, np.full((49, 1), 0.5, np.float32)).channels.tolist() == [0, 0, 0, 0]


def test_a_driver_that_hangs_altogether_is_found_by_the_commands():
    episode = slider(0)
    hung = episode.obs.copy()
    hung[10:31] = hung[10]

    assert frozen_steps(hung, episode.action).channels.tolist() == [20, 20, 20, 20]


@pytest.mark.parametrize("column", [0, 4])
def test_what_is_not_finite_is_named_and_left_out(column: int):
    episode = slider(0)
    obs, action = episode.obs.copy(), episode.action.copy()
    if column < 4:
        obs[20, column] = np.nan
    else:
        action[20] = np.inf
    figures = ChannelFigures(SPEC)
    figures.add(dataclasses.replace(episode, obs=obs, action=action))

    name = (*SPEC.obs_names, *SPEC.action_names)[column]
    assert [warned.text for warned in figures.warnings()] == [
        f"'{name}' is not finite in 1 steps, which the other figures leave out; a training refuses them"
    ]
    assert figures.obs is not None
    assert bool(figures.obs.mean.isfinite().all())


def test_long_episodes_are_counted_in_pieces(monkeypatch: pytest.MonkeyPatch):
    whole, pieces = ChannelFigures(SPEC), ChannelFigures(SPEC)
    whole.add(slider(0))
    monkeypatch.setattr(channels, "_PIECE", 7)
    pieces.add(slider(0))

    assert whole.obs is not None
    assert pieces.obs is not None
    assert whole.steps == pieces.steps == 60
    torch.testing.assert_close(whole.action, pieces.action)
    assert list(pieces.warnings()) == []


def test_short_repetitions_are_no_freeze():
    values = np.repeat(np.arange(10.0), 6)[:, None]
    moving = np.arange(60.0)[:, None]

    assert frozen_steps(np.hstack([values, moving]).astype(np.float32), np.zeros((59, 1), np.float32)).channels.tolist() == [0, 0]


def test_stamps_with_jitter_have_no_warning():
    apart = DT + 0.03 * np.random.default_rng(0).uniform(-1, 1, 60)

    assert warnings_of(with_stamps(slider(0), apart)) == []


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([10], "stamps jump once by more than 3 control periods, up to 0.45 s; measurements are missing there"),
        ([10, 40], "stamps jump 2 times by more than 3 control periods, up to 0.45 s; measurements are missing there"),
    ],
)
def test_gaps_in_the_stamps_are_counted(places: list[int], said: str):
    apart = np.full(60, DT)
    apart[places] = 0.35
    apart[places[-1]] = 0.45

    (warning,) = warnings_of(with_stamps(slider(0), apart))

    assert warning == said


def test_stamps_that_stand_still_are_no_freeze_but_are_told():
    episode = slider(0)
    hung = episode.obs[:, 2].copy()
    hung[20:41] = hung[20]
    apart = np.where((np.arange(60) >= 20) & (np.arange(60) < 40), 0.0, DT)

    warnings = warnings_of(with_stamps(with_obs(episode, 2, hung), apart))

    assert any(w.startswith("nothing new was measured in 33 % of the steps (their stamps stand still)") for w in warnings)
    assert not any("while others or commands change" in w for w in warnings)
    assert any("while others or commands change" in w for w in warnings_of(with_obs(episode, 2, hung)))


def test_a_driver_that_repeats_everything_is_found_by_the_stamps():
    """Without stamps this is a robot that stands still."""
    episode = slider(0)
    obs, action = episode.obs.copy(), episode.action.copy()
    obs[30:], action[30:] = obs[30], action[30]
    hung = dataclasses.replace(episode, obs=obs, action=action)

    said = "nothing changes at all in 48 % of the steps, 10 or more in a row, while stamps advance; does the robot stand still"
    assert any(w.startswith(said) for w in warnings_of(with_stamps(hung, np.full(60, DT))))
    assert not any("nothing changes" in w for w in warnings_of(hung))


def test_figures_of_stamps_are_merged_and_leave_history_out():
    apart = np.full(60, DT)
    apart[5] = apart[30] = 1.0
    led_up_to = dataclasses.replace(with_stamps(slider(0), apart), history=20)
    one, other = ChannelFigures(SPEC), ChannelFigures(SPEC)
    one.add(led_up_to)
    other.add(with_stamps(slider(1), apart))
    other.add(slider(2))

    assert (one.stamps.gaps, one.stamps.steps) == (1, 40)
    one.merge(other)
    assert (one.stamps.gaps, one.stamps.steps, one.stamps.episodes, one.steps) == (3, 100, 2, 160)
    assert one.stamps.longest == pytest.approx(1.0)


def test_actions_at_their_limits_are_named():
    episode = slider(0)
    action = np.where(np.arange(60) % 4 == 0, 0.0, 2.0).astype(np.float32)[:, None]

    assert warnings_of(dataclasses.replace(episode, action=action)) == ["action 'push' is at its limit in 75 % of the steps"]


def test_figures_are_those_of_all_steps_without_history():
    episodes = [slider(0), dataclasses.replace(slider(1), history=20)]
    figures = ChannelFigures(SPEC)
    for episode in episodes:
        figures.add(episode)

    rows = torch.from_numpy(np.concatenate([episodes[0].obs, episodes[1].obs[20:]]))
    assert figures.obs is not None
    assert figures.steps == 60 + 40
    torch.testing.assert_close(figures.obs.mean, rows.double().mean(0))
    torch.testing.assert_close((figures.obs.squared / figures.obs.rows).sqrt(), rows.double().std(0, correction=0))
