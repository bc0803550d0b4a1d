"""Rows of a log on the control grid: by their stamps, in SI units, and nothing invented where there is none."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.logs.log import Log, read_log
from tests.core.cart_logs import DT, cart_config, cart_log, write_csv


def read(tmp_path: Path, columns: dict, **changes: object) -> Log:
    return read_log(write_csv(tmp_path / "log.csv", columns), cart_config(**changes))


def outcome(log: Log) -> list[tuple[float, float, str]]:
    return [(round(s.begin, 6), round(s.end, 6), s.reason) for s in log.stretches]


def test_rows_that_are_one_period_apart_are_the_episode(tmp_path: Path):
    columns = cart_log(DT * np.arange(30), np.linspace(-4, 4, 30))

    (episode,) = read(tmp_path, columns).episodes

    np.testing.assert_allclose(episode.obs, np.stack([columns["x"], columns["v"]], axis=1), atol=1e-6)
    np.testing.assert_allclose(episode.action[:, 0], columns["push"][:-1], atol=1e-6)
    assert episode.obs.dtype == episode.action.dtype == episode.reward.dtype == np.float32
    assert not episode.reward.any()


def test_a_log_by_hand(tmp_path: Path):
    columns = {"t": [5.0, 5.9, 7.1, 8.0], "x": [0.0, 9.0, 21.0, 30.0], "v": [0.0] * 4, "push": [1.0, 2.0, 3.0, 4.0]}

    (episode,) = read(tmp_path, columns, dt=1.0).episodes

    np.testing.assert_allclose(episode.obs[:, 0], [0, 10, 20, 30], atol=1e-5)
    # each push is held until the next stamp
    np.testing.assert_allclose(episode.action[:, 0], [0.9 * 1 + 0.1 * 2, 2, 0.1 * 2 + 0.9 * 3], atol=1e-6)


def test_jitter_of_the_stamps_changes_no_dynamics(tmp_path: Path):
    rng = np.random.default_rng(0)
    times = np.round(DT * np.arange(100) + rng.uniform(0, 0.5 * DT, 100), 3)

    (episode,) = read(tmp_path, cart_log(times, rng.uniform(-5, 5, 100))).episodes

    assert len(episode) >= 97
    np.testing.assert_allclose(np.diff(episode.obs[:, 1]), DT * episode.action[:, 0], atol=1e-5)


@pytest.mark.parametrize("rows_per_step", [4, 0.5])
def test_a_log_may_be_faster_or_slower_than_the_control_period(tmp_path: Path, rows_per_step: float):
    times = DT / rows_per_step * np.arange(40)
    columns = cart_log(times, np.random.default_rng(1).uniform(-5, 5, 40))

    (episode,) = read(tmp_path, columns).episodes

    assert len(episode) == math.floor(39 / rows_per_step)
    np.testing.assert_allclose(np.diff(episode.obs[:, 1]), DT * episode.action[:, 0], atol=1e-5)


def test_without_stamps_rows_are_one_period_apart(tmp_path: Path):
    columns = cart_log(0.05 * np.arange(40), np.ones(40))
    del columns["t"]

    assert len(read(tmp_path, columns, time=None).episodes[0]) == 39
    (episode,) = read(tmp_path, columns, time=None, period=0.05).episodes
    np.testing.assert_allclose(episode.obs[:, 1], DT * np.arange(20), atol=1e-6)


@pytest.mark.parametrize(
    ("unit", "stamps"),
    [
        ("ms", [f"{1.7e12 + 100 * i:.0f}" for i in range(10)]),
        ("ns", [f"{17 * 10**17 + 10**8 * i}" for i in range(10)]),
        ("s", [f"2024-05-31T23:59:{55 + i // 2}.{5 * (i % 2)}00Z" for i in range(10)]),
    ],
)
def test_units_of_time(tmp_path: Path, unit: str, stamps: list[str]):
    columns = cart_log(DT * np.arange(10), np.ones(10)) | {"t": stamps}

    (episode,) = read(tmp_path, columns, dt=0.5 if unit == "s" else DT, time={"column": "t", "unit": unit}).episodes

    assert len(episode) == 9
    np.testing.assert_allclose(episode.obs[:, 1], columns["v"], atol=1e-5)


def test_units_of_channels(tmp_path: Path):
    obs = [
        {"name": "x", "unit": "m", "column": "x_mm", "scale": 0.001, "offset": 2.0},
        {"name": "tilt", "unit": "rad", "kind": "angle", "column": "tilt_deg", "degrees": True},
    ]
    action = [{"name": "push", "unit": "N", "low": -5, "high": 5, "column": "percent", "scale": 0.05}]
    columns = {"t": DT * np.arange(5), "x_mm": [0, 500, 1000, 1500, 2000], "tilt_deg": [90] * 5, "percent": [20, -100, 0, 0, 0]}

    (episode,) = read(tmp_path, columns, obs=obs, action=action).episodes

    np.testing.assert_allclose(episode.obs[:, 0], [2, 2.5, 3, 3.5, 4], atol=1e-6)
    np.testing.assert_allclose(episode.obs[:, 1], math.pi / 2, atol=1e-6)
    np.testing.assert_allclose(episode.action[:2, 0], [1, -5], atol=1e-6)


def test_an_angle_is_interpolated_the_short_way_round(tmp_path: Path):
    obs = [{"name": "tilt", "unit": "rad", "kind": "angle", "column": "v", "degrees": True}]
    times = np.array([0.0, 0.05, 0.1, 0.15, 0.25, 0.3, 0.35, 0.4])
    columns = {"t": times, "v": [170] * 4 + [-170] * 4, "push": [0.0] * 8}

    (episode,) = read(tmp_path, columns, obs=obs, dt=0.2, min_steps=1).episodes

    # half way from 170 to -170 degrees, and not 0
    assert np.cos(episode.obs[1, 0]) == pytest.approx(-1.0, abs=1e-6)


def test_an_angle_of_a_quaternion(tmp_path: Path):
    angles = np.array([0.0, 0.4, 3.0, -3.0, 1.0])
    turn = {"name": "yaw", "unit": "rad", "kind": "angle", "quaternion": ["w", "x", "y", "z"], "angle": "yaw"}
    columns = {"t": DT * np.arange(5), "w": np.cos(angles / 2), "x": [0.0] * 5, "y": [0.0] * 5, "z": np.sin(angles / 2)}

    (episode,) = read(tmp_path, columns | {"push": [0.0] * 5}, obs=[turn]).episodes

    np.testing.assert_allclose(episode.obs[:, 0], angles, atol=1e-6)
    columns["w"] = np.array([1.0, 1.0, 0.0, 1.0, 1.0]) * columns["w"]
    columns["z"] = np.array([1.0, 1.0, 0.0, 1.0, 1.0]) * columns["z"]
    zeros = read(tmp_path, columns | {"push": [0.0] * 5}, obs=[turn], max_gap=0.15)
    assert "no value of 'yaw'" in [s.reason for s in zeros.stretches]  # a driver without an orientation writes zeros


def test_columns_of_several_rates_share_a_file(tmp_path: Path):
    full = cart_log(DT * np.arange(20), np.linspace(-4, 4, 20))
    empty = np.full(20, np.nan)
    sensors = {**full, "push": empty}
    commands = {"t": full["t"], "x": empty, "v": empty, "push": full["push"]}
    columns = {name: np.stack([sensors[name], commands[name]], axis=1).ravel() for name in full}

    log = read(tmp_path, columns)

    (episode,) = log.episodes
    np.testing.assert_allclose(episode.action[:, 0], full["push"][:-1], atol=1e-6)
    np.testing.assert_allclose(episode.obs[:, 1], full["v"], atol=1e-6)
    assert log.notes == ("20 rows have the time of another row, or come too late; only what is new in them is used",)


def test_commands_beyond_their_limits_are_clipped_and_told(tmp_path: Path):
    log = read(tmp_path, cart_log(DT * np.arange(6), [1, 7, -9, 5.001, 0, 0]))

    assert log.episodes[0].action[:, 0].tolist() == pytest.approx([1, 5, -5, 5, 0])
    assert log.notes == ("'push': 2 of 6 commands are outside of -5 to 5 (they go from -9 to 7), and are clipped to it",)
    assert outcome(log) == [(0.0, 0.5, "")]


# --- stamps -------------------------------------------------------------------------------------------------------------------


def stamps_of(folder: Path, columns: dict[str, np.ndarray], **changes: object) -> np.ndarray | None:
    (episode,) = read_log(write_csv(folder / "log.csv", columns), cart_config(**changes)).episodes
    assert episode.stamps is None or episode.stamps.shape == (len(episode) + 1,)
    return episode.stamps


def test_stamps_are_those_of_the_rows_as_the_log_counts(tmp_path: Path):
    """Rows come late by up to a fifth of a period, and the log counts milliseconds since the epoch."""
    late = 0.02 * np.random.default_rng(0).uniform(0, 1, 30)
    log = cart_log(DT * np.arange(30) + late, np.ones(30))
    ms = np.round(1.7e12 + 1e3 * log["t"])
    log["t"] = ms

    stamps = stamps_of(tmp_path, log, time={"column": "t", "unit": "ms"})

    # the first row is before the grid begins, which is in phase with all of them
    np.testing.assert_allclose(stamps, 1e-3 * ms[1 : len(stamps) + 1], atol=1e-6, rtol=0)


def test_stamps_of_dates_count_from_the_epoch(tmp_path: Path):
    log = cart_log(DT * np.arange(10), np.ones(10))
    log["t"] = np.array([f"2024-05-31T14:00:00.{k}00+02:00" for k in range(10)])

    stamps = stamps_of(tmp_path, log)

    np.testing.assert_allclose(stamps, 1717156800 + DT * np.arange(10), atol=1e-6, rtol=0)


def test_without_a_column_of_time_nothing_was_measured(tmp_path: Path):
    log = cart_log(DT * np.arange(10), np.ones(10))

    assert stamps_of(tmp_path, {name: column for name, column in log.items() if name != "t"}, time=None) is None


def test_the_stamp_is_that_of_the_oldest_channel(tmp_path: Path):
    """A channel with half the rate: an observation is known as well as the channel that was measured further in the past."""
    log = cart_log(DT * np.arange(11), np.ones(11))
    log["x"][1::2] = np.nan

    stamps = stamps_of(tmp_path, log)

    np.testing.assert_allclose(stamps, DT * (np.arange(11) // 2 * 2), atol=1e-9)
