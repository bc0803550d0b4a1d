"""Where a log is cut into episodes, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.data.situations import stretches_of
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.log import Log, read_log
from tests.core.cart_logs import DT, cart_config, cart_log, write_csv

CRASHED = np.arange(30) == 14


def read(tmp_path: Path, columns: dict, name: str = "log.csv", **changes: object) -> Log:
    return read_log(write_csv(tmp_path / name, columns), cart_config(**changes))


def outcome(log: Log) -> list[tuple[float, float, str]]:
    return [(round(s.begin, 6), round(s.end, 6), s.reason) for s in log.stretches]


def test_a_gap_between_rows_makes_two_episodes(tmp_path: Path):
    columns = cart_log(np.concatenate([DT * np.arange(10), 2.0 + DT * np.arange(10)]), np.ones(20))

    log = read(tmp_path, columns)

    assert outcome(log) == [(0.0, 0.9, ""), (0.9, 2.0, "a gap of 1.1 s"), (2.0, 2.9, "")]
    assert [e.tags["begin_seconds"] for e in log.episodes] == [0.0, 2.0]
    assert outcome(read(tmp_path, columns, max_gap=2.0)) == [(0.0, 2.9, "")]


def test_what_is_too_short_says_so(tmp_path: Path):
    columns = cart_log(DT * np.arange(10), np.ones(10))

    assert outcome(read(tmp_path, columns, min_steps=10)) == [(0.0, 0.9, "9 steps; at least 10 are needed")]


def test_empty_cells_are_bridged_as_long_as_a_gap_may_be(tmp_path: Path):
    columns = cart_log(DT * np.arange(30), np.linspace(-4, 4, 30))
    columns["v"][5], columns["push"][8] = np.nan, np.inf
    (whole,) = read(tmp_path, columns).episodes
    assert whole.action[8] == pytest.approx(whole.action[7])
    assert whole.obs[5, 1] == pytest.approx((columns["v"][4] + columns["v"][6]) / 2, abs=1e-6)
    columns["v"][14:18] = np.nan

    assert outcome(read(tmp_path, columns)) == [(0.0, 1.3, ""), (1.3, 1.8, "no value of 'v'"), (1.8, 2.9, "")]


def test_times_without_commands_are_left_out(tmp_path: Path):
    columns = cart_log(DT * np.arange(40), np.ones(40))
    columns["push"][:5] = columns["push"][20:30] = columns["push"][36:] = np.nan

    found = outcome(read(tmp_path, columns))

    expected = [(0.0, 0.5, "no commands"), (0.5, 2.0, ""), (2.0, 3.0, "no commands"), (3.0, 3.6, ""), (3.6, 3.9, "no commands")]
    assert found == expected


def test_rows_that_come_late_twice_or_without_a_time_are_left_out_and_counted(tmp_path: Path):
    columns = cart_log(DT * np.arange(12), np.linspace(-4, 4, 12))
    late = {name: np.insert(values, [4, 7, 9], [values[2], 4.0, 4.0]) for name, values in columns.items()}
    late["t"][8], late["t"][11] = late["t"][7], np.nan

    log = read(tmp_path, late)

    (episode,) = log.episodes
    np.testing.assert_allclose(episode.action[:, 0], columns["push"][:-1], atol=1e-6)
    assert log.notes == (
        "1 rows without a time left out",
        "2 rows have the time of another row, or come too late; only what is new in them is used",
    )


def test_a_clock_that_is_set_back_begins_another_episode(tmp_path: Path):
    one, two = cart_log(DT * np.arange(10), np.ones(10)), cart_log(DT * np.arange(8), -np.ones(8))

    log = read(tmp_path, {name: np.concatenate([one[name], two[name]]) for name in one})

    assert [len(e) for e in log.episodes] == [9, 7]
    assert "the clock is set back 1 times, and each time another episode begins" in log.notes


def test_columns_say_where_episodes_begin_and_what_they_are(tmp_path: Path):
    columns = cart_log(DT * np.arange(30), np.ones(30))
    columns |= {"run": [1] * 10 + [2] * 20, "floor": ["ice"] * 20 + [""] * 4 + ["mud"] * 6}
    tags = {"columns": ["floor"], "constant": {"lab": "A"}, "path": r"m(?P<mass>\d+)_(?P<who>[a-z]+)"}

    log = read(tmp_path, columns, "m7_kim.csv", episode="run", tags=tags, situation=["mass", "floor"])

    assert [len(e) for e in log.episodes] == [9, 13, 5]
    assert [e.tags["floor"] for e in log.episodes] == ["ice", "ice", "mud"]  # an empty cell says nothing new
    assert log.episodes[0].tags == {
        "source": "log",
        "file": "m7_kim.csv",
        "lab": "A",
        "mass": 7,
        "who": "kim",
        "floor": "ice",
        "situation": {"mass": 7, "floor": "ice"},
        "begin_seconds": 0.0,
    }
    first, second, third = ([stretch.key for stretch in found] for found in stretches_of(log.episodes))
    assert first == second != third


def test_a_tag_that_is_no_constant_is_told(tmp_path: Path):
    columns = cart_log(DT * np.arange(30), np.ones(30)) | {"wind": np.arange(30.0)}

    log = read(tmp_path, columns, tags={"columns": ["wind"]})

    assert not log.episodes
    assert log.notes == ("'wind' changes 29 times in 30 rows, and each change begins another episode",)


def test_an_episode_ends_by_itself_where_the_log_says_so(tmp_path: Path):
    columns = cart_log(DT * np.arange(30), np.ones(30)) | {"crashed": [0] * 14 + [1] + [0] * 15}

    log = read(tmp_path, columns, ended="crashed")

    assert [(len(e), e.ended) for e in log.episodes] == [(14, True), (14, False)]


@pytest.mark.parametrize(
    ("no", "yes"), [("False", "True"), ("false", "TRUE"), ("", "true"), ("0", "-1"), ("0.0", "0.5"), ("nan", "1"), ("FALSE", "2")]
)
def test_an_end_is_true_or_a_number_other_than_0(tmp_path: Path, no: str, yes: str):
    columns = cart_log(DT * np.arange(30), np.ones(30)) | {"crashed": [no] * 14 + [yes] + [no] * 15}

    assert [(len(e), e.ended) for e in read(tmp_path, columns, ended="crashed").episodes] == [(14, True), (14, False)]


@pytest.mark.parametrize("values", [CRASHED, -CRASHED.astype(np.int8), np.where(CRASHED, -1, np.nan)])
def test_an_end_in_an_archive(tmp_path: Path, values: np.ndarray):
    np.savez(tmp_path / "log.npz", **cart_log(DT * np.arange(30), np.ones(30)), crashed=values)

    log = read_log(tmp_path / "log.npz", cart_config(ended="crashed"))

    assert [(len(e), e.ended) for e in log.episodes] == [(14, True), (14, False)]


def test_another_word_is_no_end(tmp_path: Path):
    columns = cart_log(DT * np.arange(3), np.ones(3)) | {"crashed": ["true", "no", "1"]}

    with pytest.raises(ConfigError, match="column 'crashed', line 3: 'no' is no number; allowed: true, false and numbers"):
        read(tmp_path, columns, ended="crashed")


@pytest.mark.parametrize("key", ["episode", "tag"])
def test_long_ids_that_differ_are_two_episodes(tmp_path: Path, key: str):
    columns = cart_log(DT * np.arange(20), np.ones(20)) | {"id": ["20240531142233123"] * 10 + ["20240531142233125"] * 10}

    log = read(tmp_path, columns, **({"episode": "id"} if key == "episode" else {"tags": {"columns": ["id"]}}))

    assert [len(e) for e in log.episodes] == [9, 9]
    assert [e.tags.get("id") for e in log.episodes] in ([None, None], [20240531142233123, 20240531142233125])


@pytest.mark.parametrize("text", ["007", "1e5", "2024_05_31", "1.10"])
def test_a_tag_of_a_column_is_what_was_written(tmp_path: Path, text: str):
    columns = cart_log(DT * np.arange(10), np.ones(10)) | {"id": [text] * 4 + ["nan", ""] + [text] * 4}

    (episode,) = read(tmp_path, columns, tags={"columns": ["id"]}).episodes

    assert episode.tags["id"] == text


def test_what_follows_a_fall_is_left_out_until_the_robot_stands_again(tmp_path: Path):
    columns = cart_log(DT * np.arange(30), np.ones(30))
    columns["x"] = np.where((np.arange(30) >= 10) & (np.arange(30) < 15), 5.0, 0.0)
    healthy = [{"name": "x", "high": 1.0}]

    log = read(tmp_path, columns, healthy=healthy)

    assert outcome(log) == [(0.0, 1.0, ""), (1.0, 1.5, "the robot is not healthy"), (1.5, 2.9, "")]
    assert [(len(e), e.ended) for e in log.episodes] == [(10, True), (14, False)]
    assert len(read(tmp_path, columns, healthy=healthy, terminate_when_unhealthy=False).episodes) == 1


def test_rewards_from_a_column(tmp_path: Path):
    columns = cart_log(DT * np.arange(10) + 0.01 * (np.arange(10) % 2), np.ones(10)) | {"r": np.arange(10.0)}

    (episode,) = read(tmp_path, columns, reward="r").episodes

    first = round((10 - 1) - len(episode))
    assert episode.reward.tolist() == list(range(first, 9))


def test_rewards_from_an_objective_with_a_goal(tmp_path: Path):
    columns = cart_log(DT * np.arange(10), np.zeros(10)) | {"target_cm": [100.0] * 5 + [200.0] * 5}
    objective = [{"kind": "distance", "channels": ["x"], "goal": ["target"]}]
    goal = [{"name": "target", "column": "target_cm", "scale": 0.01}]

    (episode,) = read(tmp_path, columns, objective=objective, goal=goal).episodes

    assert episode.reward.tolist() == pytest.approx([-1.0] * 5 + [-2.0] * 4, abs=1e-5)
    columns["target_cm"] = np.where(np.arange(10) < 3, np.nan, 100.0)
    assert outcome(read(tmp_path, columns, objective=objective, goal=goal))[0] == (0.0, 0.3, "no value of 'target'")


def test_a_path_that_does_not_match_is_a_mistake(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"log.csv: its path does not have what key 'tags.path' searches for: m\(\?P<mass>"):
        read(tmp_path, cart_log(DT * np.arange(9), np.ones(9)), tags={"path": r"m(?P<mass>\d+)kg"})
