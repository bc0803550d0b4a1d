"""Stores of episodes are checked, shown, merged and split by commands; what looks wrong in them is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.stored_objective import load_objective, save_objective
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.stores import channels
from adaptive_mbrl.stores.channels import ChannelFigures, velocity_pairs
from adaptive_mbrl.stores.check import problems_of
from adaptive_mbrl.stores.frozen import frozen_steps

DT = 0.1
SPEC = RobotSpec(
    "slider",
    DT,
    (
        Channel("slide_position", "m"),
        Channel("slide_velocity", "m/s", "velocity"),
        Channel("hinge_angle", "rad", "angle"),
        Channel("hinge_velocity", "rad/s", "velocity"),
    ),
    (ActionChannel("push", "N", -2.0, 2.0),),
)


def slider(seed: int, steps: int = 60, **tags: object) -> Episode:
    """Smooth random velocities, and positions that follow from them; the hinge goes round several times."""
    rng = np.random.default_rng(seed)
    velocity = np.cumsum(rng.normal(0, 0.3, (steps + 1, 2)), axis=0)
    position = np.concatenate([np.zeros((1, 2)), np.cumsum((velocity[1:] + velocity[:-1]) / 2 * DT, axis=0)])
    hinge = np.angle(np.exp(1j * 3 * position[:, 1]))
    obs = np.stack([position[:, 0], velocity[:, 0], hinge, 3 * velocity[:, 1]], axis=1).astype(np.float32)
    return Episode(obs, rng.uniform(-1, 1, (steps, 1)).astype(np.float32), np.zeros(steps, np.float32), dict(tags))


def with_obs(episode: Episode, column: int, values: np.ndarray) -> Episode:
    obs = episode.obs.copy()
    obs[:, column] = values
    return dataclasses.replace(episode, obs=obs)


def stored(folder: Path, *batches: list[Episode]) -> Path:
    store = EpisodeStore.open(folder, SPEC)
    for batch in batches:
        store.append(batch)
    return folder


def warnings_of(*episodes: Episode) -> list[str]:
    figures = ChannelFigures(SPEC)
    for episode in episodes:
        figures.add(episode)
    return [warned.text for warned in figures.warnings()]


# --- what looks wrong ---------------------------------------------------------------------------------------------------------


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


# --- stamps -------------------------------------------------------------------------------------------------------------------


def with_stamps(episode: Episode, apart: np.ndarray) -> Episode:
    """An episode whose stamps are so many seconds apart, (T,)."""
    return dataclasses.replace(episode, stamps=1.7e9 + np.concatenate([[0.0], np.cumsum(apart)]))


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


# --- commands -----------------------------------------------------------------------------------------------------------------


def test_stats_shows_channels_and_coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path / "a", [slider(0, wind=0.0), slider(1, wind=8.0)], [slider(2, wind=8.0), slider(3)])

    assert cli.main(["data", "stats", str(folder), "--by", "wind", "--plot", str(tmp_path / "h.png")]) == 0

    out = capsys.readouterr().out
    assert "4 episodes of 'slider', 240 steps of 0.1 s" in out
    assert "hinge_velocity" in out
    counts = [line.split() for line in out.splitlines()]
    assert ["8", "2", "120", "12"] in counts
    assert ["(none)", "1", "60", "6"] in counts
    assert "Nothing looks wrong; compared with their velocities: slide_position, hinge_angle." in out
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


def test_stats_skips_and_names_a_torn_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path / "a", [slider(0)], [slider(1)])
    torn = shard_files(folder)[0]
    torn.write_bytes(torn.read_bytes()[:-10])

    assert cli.main(["data", "stats", str(folder)]) == 0

    out = capsys.readouterr().out
    assert "Skipped" in out
    assert "000000.safetensors: damaged" in out
    assert "1 episodes of 'slider', 60 steps" in out
    assert out.endswith("Warning: 1 damaged file was skipped (named above), so its episodes are not in these figures\n")
    assert "Nothing looks wrong" not in out


def test_stats_names_the_recording_that_the_others_hide(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wrong = with_obs(slider(9, file="run9.csv"), 3, -slider(9).obs[:, 3])
    folder = stored(tmp_path / "a", *([slider(i, file=f"run{i}.csv")] for i in range(9)), [wrong])

    assert cli.main(["data", "stats", str(folder)]) == 0

    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 1
    assert warnings[0].startswith("Warning: run9.csv: 'hinge_angle' changes -1.00 times as fast as 'hinge_velocity' says")


def test_what_most_recordings_have_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A channel that stays the same in each recording, but not over all of them."""
    recordings = [with_obs(slider(i, file=f"run{i}.csv"), 1, np.full(61, float(i))) for i in range(5)]
    folder = stored(tmp_path / "a", *([episode] for episode in recordings))

    assert cli.main(["data", "stats", str(folder)]) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "'slide_velocity' is always" in line]
    assert lines == [
        "Warning: run0.csv: observation 'slide_velocity' is always 0 m/s; is it connected? (and in 4 more recordings)"
    ]


def test_values_are_listed_by_their_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path / "a", [slider(i, wind=wind) for i, wind in enumerate((10, 5, 0.5, 20))])

    assert cli.main(["data", "stats", str(folder), "--by", "wind"]) == 0

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row[1:2] == ["1"]] == ["0.5", "5", "10", "20"]


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
