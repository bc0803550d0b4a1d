"""Stores of episodes are checked, merged and split by commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.stored_objective import load_objective, save_objective
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.stores.check import problems_of
from tests.core.sliders import DT, SPEC, slider, stored, with_obs


def test_merge_and_split_keep_stamps(tmp_path: Path):
    stamps = 1.7e9 + DT * np.arange(61)
    a = stored(tmp_path / "a", [dataclasses.replace(slider(0), stamps=stamps), slider(1)])
    b = stored(tmp_path / "b", [dataclasses.replace(slider(2), stamps=stamps + 1)])

    assert cli.main(["data", "merge", str(a), str(b), "--out", str(tmp_path / "all")]) == 0
    assert cli.main(["data", "split", str(tmp_path / "all"), "--share", "0.4", "--out", str(tmp_path / "split")]) == 0

    first, second, third = EpisodeStore.open(tmp_path / "split").episodes
    np.testing.assert_array_equal(first.stamps, stamps)
    assert second.stamps is None
    np.testing.assert_array_equal(third.stamps, stamps + 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s[:-1], "stamps has the shape (60,); (61,) is right"),
        (lambda s: np.where(np.arange(61) == 7, np.nan, s), "a stamp is not finite, the first one at step 7"),
        (lambda s: np.where(np.arange(61) > 30, s - 10, s), "stamps go back 1 times, the first time after step 30"),
    ],
)
def test_check_names_impossible_stamps(change: Callable[[np.ndarray], np.ndarray], said: str):
    stamps = change(1.7e9 + DT * np.arange(61))

    assert list(problems_of(dataclasses.replace(slider(0), stamps=stamps), SPEC)) == [said]


def test_check_passes_what_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folders = [stored(tmp_path / name, [slider(i)]) for i, name in enumerate("ab")]

    assert cli.main(["data", "check", *map(str, folders)]) == 0
    assert capsys.readouterr().out.count("1 file, 1 episode, 60 steps of 0.1 s") == 2


def test_check_names_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    strong = dataclasses.replace(slider(2), action=np.full((60, 1), 3.0, np.float32))
    folder = stored(tmp_path / "a", [slider(0)], [slider(1), with_obs(slider(1), 0, np.full(61, np.nan)), strong])
    flipped = bytearray(shard_files(folder)[0].read_bytes())
    flipped[-1] ^= 8
    shard_files(folder)[0].write_bytes(bytes(flipped))

    assert cli.main(["data", "check", str(folder)]) == 2

    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert "000000.safetensors: damaged episode file: its content is not what was written" in said
    assert "000001.safetensors: episode 1: obs holds values that are not finite, the first one at step 0" in said
    assert "episode 2: action 'push' is 3 at step 0; its limits are -2 to 2 N" in said
    assert "error: 3 problems found" in printed.err


def test_merging_twice_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first, second = stored(tmp_path / "a", [slider(0)], [slider(1)]), stored(tmp_path / "b", [slider(2)])
    words = ["data", "merge", str(first), str(second), "--out", str(tmp_path / "all")]

    assert cli.main(words) == 0
    merged = {p.name: p.read_bytes() for p in shard_files(tmp_path / "all")}
    assert cli.main(words) == 0

    assert {p.name: p.read_bytes() for p in shard_files(tmp_path / "all")} == merged
    assert "3 episodes, 180 steps; 3 files were there already" in capsys.readouterr().out
    found = EpisodeStore.open(tmp_path / "all").episodes
    assert [e.obs.tobytes() for e in found] == [slider(i).obs.tobytes() for i in range(3)]


def test_the_objective_goes_with_the_episodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """So that a checkpoint of the copy can control the robot."""
    folder = stored(tmp_path / "a", [slider(0), slider(1, validation=True)])
    save_objective(folder, Objective(SPEC, (Term("action_quadratic"),), ()))

    for words in (["merge", str(folder)], ["split", str(folder), "--share", "0.5"]):
        out = tmp_path / words[0]
        assert cli.main(["data", *words, "--out", str(out)]) == 0
        found = load_objective(out, SPEC)
        assert found is not None
        assert [term.kind for term in found.terms] == ["action_quadratic"]
    assert "1 episodes are marked as held out, and stay so; merge first, and split then" in capsys.readouterr().out


def test_stores_with_different_rewards_are_not_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folders = [stored(tmp_path / name, [slider(i)]) for i, name in enumerate("ab")]
    for folder, weight in zip(folders, (0.5, 7.0), strict=True):
        save_objective(folder, Objective(SPEC, (Term("action_quadratic", weight=weight),), ()))

    assert cli.main(["data", "merge", *map(str, folders), "--out", str(tmp_path / "all")]) == 2
    assert "say different rewards" in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


def test_merging_what_is_damaged_writes_nothing(tmp_path: Path):
    first, second = stored(tmp_path / "a", [slider(0)]), stored(tmp_path / "b", [slider(2)])
    file = shard_files(second)[0]
    file.write_bytes(file.read_bytes()[:-1])

    assert cli.main(["data", "merge", str(first), str(second), "--out", str(tmp_path / "all")]) == 2
    assert not (tmp_path / "all").exists()


def test_what_is_not_what_was_written_is_neither_merged_nor_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A copy would get a hash of its own, and nobody would ever know."""
    folder = stored(tmp_path / "a", [slider(0), slider(1)])
    flipped = bytearray(shard_files(folder)[0].read_bytes())
    flipped[-1] ^= 8
    shard_files(folder)[0].write_bytes(bytes(flipped))

    for words in (["merge", str(folder)], ["split", str(folder), "--share", "0.5"]):
        assert cli.main(["data", *words, "--out", str(tmp_path / "b")]) == 2
        assert "its content is not what was written" in capsys.readouterr().err
        assert not (tmp_path / "b").exists()


def test_equal_situations_are_held_out_together_however_they_are_written(tmp_path: Path):
    one, other = {"payload": 1, "surface": "grass"}, {"surface": "grass", "payload": 1}
    folder = stored(tmp_path / "a", [slider(0, situation=one), slider(1, situation=other), slider(2, situation={"payload": 2})])
    words = [
        "data",
        "split",
        str(folder),
        "--by",
        "situation",
        "--held-out",
        "payload 1, surface grass",
        "--out",
        str(tmp_path / "b"),
    ]

    assert cli.main(words) == 0

    assert [e.tags.get("validation") for e in EpisodeStore.open(tmp_path / "b").episodes] == [True, True, None]


def test_values_that_are_written_alike_are_meant_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path / "a", [slider(i, payload=value) for i, value in enumerate((40, 40.0, "40", 5))])
    words = ["data", "split", str(folder), "--by", "payload", "--held-out", "40", "--out", str(tmp_path / "b")]

    assert cli.main(words) == 0
    assert [e.tags.get("validation") for e in EpisodeStore.open(tmp_path / "b").episodes] == [True, True, True, None]
    assert cli.main(["data", "stats", str(folder), "--by", "payload"]) == 0
    assert ["40", "3", "180", "18"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_numbers_that_are_nearly_equal_are_two_values(tmp_path: Path):
    folder = stored(tmp_path / "a", [slider(0, began=1717171717.5), slider(1, began=1717171999.5)])
    words = ["data", "split", str(folder), "--by", "began", "--held-out", "1717171717.5", "--out", str(tmp_path / "b")]

    assert cli.main(words) == 0

    assert [e.tags.get("validation") for e in EpisodeStore.open(tmp_path / "b").episodes] == [True, None]


def test_an_empty_store_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    empty = dataclasses.replace(slider(0), history=60)
    folder = stored(tmp_path / "a", [empty])

    assert cli.main(["data", "stats", str(folder)]) == 0
    assert "Warning: the episodes have no steps" in capsys.readouterr().out
    assert cli.main(["data", "stats", str(folder), "--plot", str(tmp_path / "h.png")]) == 2
    assert "--plot: there is no step to draw" in capsys.readouterr().err


def test_splitting_by_a_tag_holds_out_whole_situations(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    marked = slider(0, wind=12, validation=True)
    folder = stored(tmp_path / "a", [slider(1, wind=0), marked], [slider(2, wind=4), slider(3, wind=12)])
    before = [p.read_bytes() for p in shard_files(folder)]

    words = ["data", "split", str(folder), "--by", "wind", "--held-out", "4", "--out", str(tmp_path / "b")]
    assert cli.main(words) == 0

    found = EpisodeStore.open(tmp_path / "b").episodes
    assert [(e.tags["wind"], e.tags.get("validation")) for e in found] == [(0, None), (12, None), (4, True), (12, None)]
    assert [p.read_bytes() for p in shard_files(folder)] == before
    assert "Held out: 1 episodes, 60 steps (wind 4)" in capsys.readouterr().out
    assert cli.main(words) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_random_split_follows_its_seed(tmp_path: Path):
    folder = stored(tmp_path / "a", [slider(i, number=i) for i in range(10)])

    chosen = []
    for name, seed in (("b", 0), ("c", 0), ("d", 1)):
        words = ["data", "split", str(folder), "--share", "0.3", "--seed", str(seed), "--out", str(tmp_path / name)]
        assert cli.main(words) == 0
        chosen.append([e.tags["number"] for e in EpisodeStore.open(tmp_path / name).episodes if e.tags.get("validation")])

    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "wnd", "--share", "0.5"], "--by: no episode has the tag 'wnd' (did you mean 'wind'?); tags: wind"),
        (["--by", "wind", "--held-out", "44"], "--held-out: no episode has wind '44' (did you mean '4'?); values: 0; 4"),
        (["--by", "load", "--held-out", "41"], "values: -10; -5; 0; 5; 5.5; 20; 100; run2; run10"),
        (["--by", "wind", "--held-out", "0", "4"], "2 of 2 episodes would be held out; allowed: some, but not all"),
    ],
)
def test_a_split_that_cannot_be_made_is_one_line(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    loads = [100, 20, 5, 0, -5, -10, 5.5, "run10", "run2"]
    folder = stored(tmp_path / "a", [slider(0, wind=0), slider(1, wind=4)])
    if "load" in words:
        folder = stored(tmp_path / "loads", [slider(0, load=load) for load in loads])

    assert cli.main(["data", "split", str(folder), "--out", str(tmp_path / "b"), *words]) == 2

    assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
