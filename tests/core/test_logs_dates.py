"""Dates and durations in a log are times whatever their resolution, and nowhere else numbers."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.log import read_log
from tests.core.cart_logs import cart_config, cart_log, write_csv

NUM = 10
STEP = {"s": 2, "ms": 100, "us": 100_000, "ns": 100_000_000}
"""Two seconds, or a tenth of one."""


def write_npz(path: Path, dt: float, stamps: np.ndarray, **others: np.ndarray) -> Path:
    np.savez(path, **(cart_log(dt * np.arange(NUM), np.ones(NUM)) | {"t": stamps} | others))
    return path


def the_episode(path: Path, dt: float, **changes: object) -> Episode:
    (episode,) = read_log(path, cart_config(dt=dt, **changes)).episodes
    return episode


@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
@pytest.mark.parametrize("resolution", STEP)
def test_each_resolution_is_the_same_time(tmp_path: Path, resolution: str, kind: str):
    dt = 2.0 if resolution == "s" else 0.1
    begin = np.datetime64("2024-05-31T14:00:00", resolution) if kind == "datetime64" else np.timedelta64(7, resolution)
    stamps = begin + np.timedelta64(1, resolution) * STEP[resolution] * np.arange(NUM)
    path = write_npz(tmp_path / "log.npz", dt, stamps)

    # the unit is that of numbers, and these bring their own
    for unit in ("s", "ns"):
        episode = the_episode(path, dt, time={"column": "t", "unit": unit})
        np.testing.assert_allclose(episode.obs[:, 1], dt * np.arange(NUM), atol=1e-5)


def test_a_row_without_a_date_is_left_out(tmp_path: Path):
    stamps = np.datetime64("2024-05-31", "ns") + np.timedelta64(100, "ms") * np.arange(NUM)
    stamps[4] = np.datetime64("NaT")

    log = read_log(write_npz(tmp_path / "log.npz", 0.1, stamps), cart_config())

    assert (len(log.episodes[0]), log.notes) == (9, ("1 rows without a time left out",))
    with pytest.raises(ConfigError, match="column 't': none of its 10 rows has a time"):
        read_log(write_npz(tmp_path / "none.npz", 0.1, np.full(NUM, np.datetime64("NaT"))), cart_config())


@pytest.mark.parametrize("zone", [None, "UTC", "+02:00"])
@pytest.mark.parametrize("resolution", STEP)
def test_stamps_of_parquet(tmp_path: Path, resolution: str, zone: str | None):
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra logs")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra logs")
    dt = 2.0 if resolution == "s" else 0.1
    stamps = np.datetime64("2024-05-31T14:00:00", resolution) + np.timedelta64(STEP[resolution], resolution) * np.arange(NUM)
    columns = cart_log(dt * np.arange(NUM), np.ones(NUM))
    columns["t"] = pyarrow.array(stamps, pyarrow.timestamp(resolution, zone))
    columns["passed"] = pyarrow.array(stamps - stamps[0], pyarrow.duration(resolution))
    parquet.write_table(pyarrow.table(columns), tmp_path / "log.parquet")

    for name in ("t", "passed"):
        episode = the_episode(tmp_path / "log.parquet", dt, time={"column": name})
        np.testing.assert_allclose(episode.obs[:, 1], dt * np.arange(NUM), atol=1e-5)


def test_texts_with_a_time_zone(tmp_path: Path):
    # the clock goes back from summer time to winter time at 01:00 UTC
    begin = datetime.datetime(2024, 10, 27, 0, 59, 57, 500_000, datetime.UTC)
    zones = [datetime.timezone(datetime.timedelta(hours=2 if i < 5 else 1)) for i in range(NUM)]
    stamps = [(begin + datetime.timedelta(seconds=0.5 * i)).astimezone(zone).isoformat() for i, zone in enumerate(zones)]
    columns = cart_log(0.5 * np.arange(NUM), np.ones(NUM)) | {"t": stamps}

    assert len(the_episode(write_csv(tmp_path / "log.csv", columns), 0.5)) == 9


@pytest.mark.parametrize("resolution", STEP)
@pytest.mark.parametrize(("kind", "word"), [("datetime64", "dates"), ("timedelta64", "durations")])
def test_they_are_no_numbers(tmp_path: Path, kind: str, word: str, resolution: str):
    path = write_npz(tmp_path / "log.npz", 0.1, 0.1 * np.arange(NUM), x=np.arange(NUM).astype(f"{kind}[{resolution}]"))

    with pytest.raises(ConfigError, match=f"log.npz: column 'x' has {word}; allowed: numbers"):
        read_log(path, cart_config())


def test_months_are_no_time_between_two_rows(tmp_path: Path):
    path = write_npz(tmp_path / "log.npz", 0.1, np.arange(NUM).astype("timedelta64[M]"))

    with pytest.raises(ConfigError, match="column 't': its durations are months or years, which differ in length"):
        read_log(path, cart_config())


def test_a_date_that_is_missing_is_an_empty_cell_of_a_tag(tmp_path: Path):
    days = np.array(["2024-05-31"] * 4 + ["NaT"] * 6, dtype="datetime64[D]")
    path = write_npz(tmp_path / "log.npz", 0.1, 0.1 * np.arange(NUM), day=days)

    assert the_episode(path, 0.1, tags={"columns": ["day"]}).tags["day"] == "2024-05-31"
