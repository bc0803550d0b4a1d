"""Stores go to LeRobot's format and come back; a dataset that LeRobot wrote comes in; LeRobot's own reader reads ours."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.stored_objective import load_objective, save_objective
from adaptive_mbrl.stores.lerobot.feature_statistics import merged, statistics_of
from adaptive_mbrl.stores.lerobot.writer import DatasetWriter
from tests.core.analytic import MIXED, POINT, TO_ORIGIN, point_episodes

parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'lerobot'")
THEIRS = Path(__file__).parent / "data" / "lerobot_v3"
"""Written by LeRobot; its README.md says how."""
EPISODES = [
    dataclasses.replace(
        e,
        tags={"source": "log", "situation": {"gain": i}, "note": "über"},
        ended=i == 1,
        history=i,
        stamps=1.7e9 + np.arange(13.0) ** 2 / 7 if i == 2 else None,
    )
    for i, e in enumerate(point_episodes(3, seed=0, steps=12))
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    EpisodeStore.open(Path("store"), POINT).append(EPISODES)


def run(*words: str) -> int:
    return cli.main(["data", *words])


def error_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def assert_same(found: list[Episode], wanted: list[Episode]) -> None:
    for got, of in zip(found, wanted, strict=True):
        assert (got.tags, got.history, got.ended) == (of.tags, of.history, of.ended)
        for name in ("obs", "action", "reward", "stamps"):
            np.testing.assert_array_equal(getattr(got, name), getattr(of, name))


def changed_info(root: Path, **changes: object) -> None:
    path = root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- ours -----------------------------------------------------------------------------------------------------------------------


def test_what_goes_there_and_back_is_the_same():
    save_objective(Path("store"), TO_ORIGIN)
    assert run("export-lerobot", "store", "--out", "theirs") == 0
    assert run("import-lerobot", "theirs", "--out", "back") == 0

    back = EpisodeStore.open(Path("back"))
    assert back.spec == POINT
    assert_same(back.episodes, EPISODES)
    objective = load_objective(Path("back"), POINT)
    assert objective is not None
    assert objective.terms == TO_ORIGIN.terms


def test_frames_are_observations_with_the_action_that_followed():
    assert run("export-lerobot", "store", "--out", "theirs") == 0

    rows = parquet.read_table("theirs/data/chunk-000/file-000.parquet").to_pylist()
    assert len(rows) == 36
    row, episode = rows[12 + 5], EPISODES[1]
    assert row["observation.state"] == episode.obs[5].tolist()
    assert row["action"] == float(episode.action[5, 0])
    assert (row["episode_index"], row["frame_index"], row["index"], row["task_index"]) == (1, 5, 17, 0)
    assert row["timestamp"] == pytest.approx(5 * POINT.dt)
    assert [r["next.done"] for r in rows[12:24]] == [False] * 11 + [True]
    assert [rows[i]["next.truncated"] for i in (11, 23, 35)] == [True, False, True]


def test_full_files_are_followed_by_new_ones(tmp_path: Path):
    writer = DatasetWriter(tmp_path / "small", POINT, most_bytes=1000)
    for episode in EPISODES:
        writer.add(episode, "push")
    writer.finish()

    rows = parquet.read_table(tmp_path / "small" / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [(r["data/chunk_index"], r["data/file_index"]) for r in rows] == [(0, 0), (0, 1), (0, 2)]
    assert [(r["dataset_from_index"], r["dataset_to_index"]) for r in rows] == [(0, 12), (12, 24), (24, 36)]
    assert [p.name for p in sorted((tmp_path / "small" / "data" / "chunk-000").iterdir())] == [
        f"file-{i:03d}.parquet" for i in range(3)
    ]
    assert run("import-lerobot", str(tmp_path / "small"), "--out", "back") == 0
    back = EpisodeStore.open(Path("back"))
    # it has no folder of ours, so the last observation is not there
    assert len(shard_files(Path("back"))) == 3
    np.testing.assert_array_equal(back.episodes[2].obs, EPISODES[2].obs[:-1])


def test_the_schema_is_that_of_lerobot():
    """The same columns of the same types as in a dataset that LeRobot wrote."""
    assert run("export-lerobot", "store", "--out", "ours") == 0

    def schema(root: Path, name: str) -> dict[str, str]:
        found = parquet.read_schema(root / name)
        leave_out = ("observation.images", "stats/observation.images", "next.truncated", "stats/next.truncated")
        return {f.name: str(f.type) for f in found if not f.name.startswith(leave_out)}

    for name in ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"):
        # lists have an item or an element, as the writer's version names it
        ours, theirs = (
            {k: v.replace("element:", "item:") for k, v in schema(root, name).items()} for root in (Path("ours"), THEIRS)
        )
        assert ours == theirs
    infos = [json.loads((root / "meta" / "info.json").read_text()) for root in (Path("ours"), THEIRS)]
    assert infos[0].keys() == infos[1].keys()
    for feature in ("observation.state", "action", "next.reward", "next.done", "timestamp", "index"):
        assert infos[0]["features"][feature].keys() == infos[1]["features"][feature].keys()
        assert infos[0]["features"][feature]["dtype"] == infos[1]["features"][feature]["dtype"]


def test_files_of_measured_numbers_keep_their_limit(tmp_path: Path):
    rng, most_bytes = np.random.default_rng(0), 200_000
    writer = DatasetWriter(tmp_path / "large", POINT, most_bytes)
    for _ in range(20):
        obs, action = rng.normal(size=(1001, 2)).astype(np.float32), rng.uniform(-1, 1, (1000, 1)).astype(np.float32)
        writer.add(Episode(obs, action, rng.normal(size=1000).astype(np.float32)), "push")
    writer.finish()

    files = sorted((tmp_path / "large" / "data").rglob("*.parquet"))
    assert len(files) > 2
    assert all(file.stat().st_size <= most_bytes for file in files)


def test_statistics_of_parts_are_those_of_all():
    rng = np.random.default_rng(0)
    one, other = rng.normal(2.0, 3.0, (40, 2)), rng.normal(-1.0, 0.5, (25, 2))

    together = merged(statistics_of(one), statistics_of(other))

    whole = statistics_of(np.concatenate([one, other]))
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(together[name], whole[name])
    assert (together["q01"] <= whole["q01"]).all()
    assert (together["q99"] >= whole["q99"]).all()


def test_a_changed_dataset_is_not_taken_for_ours(capsys: pytest.CaptureFixture[str]):
    assert run("export-lerobot", "store", "--out", "theirs") == 0
    table = parquet.read_table("theirs/meta/adaptive_mbrl/episodes.parquet")
    parquet.write_table(table.slice(0, 2), "theirs/meta/adaptive_mbrl/episodes.parquet")

    said = error_of(capsys, "import-lerobot", "theirs", "--out", "back")

    said_of = "is about 2 episodes with 24 frames, and the dataset has 3 with 36, so it was changed after its export"
    assert said_of in said
    assert not Path("back").exists()


# --- theirs ---------------------------------------------------------------------------------------------------------------------


def test_a_dataset_that_lerobot_wrote_comes_in(capsys: pytest.CaptureFixture[str]):
    assert run("import-lerobot", str(THEIRS), "--out", "back") == 0

    said = capsys.readouterr().out
    assert "Left out: observation.images.top (image); only arrays of numbers are imported" in said
    assert "--spec FILE says more" in said
    back = EpisodeStore.open(Path("back"))
    assert (back.spec.name, back.spec.dt) == ("slider", 0.05)
    assert back.spec.obs_names == ("slide.pos", "slide.vel")
    assert {(c.unit, c.kind) for c in back.spec.obs} == {("1", "linear")}
    assert [len(e) for e in back.episodes] == [11, 12, 13]
    assert [e.tags for e in back.episodes][1:] == [
        {"source": "lerobot", "dataset": "lerobot_v3", "task": task} for task in ("push", "pull")
    ]
    for episode in back.episodes:
        # it was simulated so
        np.testing.assert_allclose(episode.obs[1:, 1], episode.obs[:-1, 1] + 0.05 * episode.action[:, 0], atol=1e-7)
        np.testing.assert_allclose(episode.reward, -np.square(episode.obs[:-1, 0]), atol=1e-7)
    action = parquet.read_table(THEIRS / "data" / "chunk-000" / "file-000.parquet").column("action").to_numpy()
    assert [(c.low, c.high) for c in back.spec.action] == [(action.min(), action.max())]
    assert run("check", "back") == 0
    capsys.readouterr()
    assert run("import-lerobot", str(THEIRS), "--out", "back") == 0
    assert f"{THEIRS}: imported already\n" in capsys.readouterr().out
    assert len(EpisodeStore.open(Path("back")).episodes) == len(back.episodes)


@pytest.mark.parametrize(("jitter", "measured"), [(1e-5, False), (0.01, True)])
def test_times_that_somebody_measured_are_kept(jitter: float, measured: bool):
    shutil.copytree(THEIRS, "other")
    path = Path("other/data/chunk-000/file-000.parquet")
    table = parquet.read_table(path)
    times = table.column("timestamp").to_numpy() + jitter * np.random.default_rng(0).uniform(-1, 1, len(table)).astype(np.float32)
    place = table.column_names.index("timestamp")
    parquet.write_table(table.set_column(place, "timestamp", [times]), path)

    assert run("import-lerobot", "other", "--out", "back") == 0

    first = EpisodeStore.open(Path("back")).episodes[0]
    if measured:
        np.testing.assert_array_equal(first.stamps, times[:12].astype(np.float64))
    else:
        assert first.stamps is None


SLIDER = {
    "name": "my_slider",
    "obs": [
        {"name": "slide_velocity", "unit": "rad/s", "kind": "velocity", "column": "slide.vel", "degrees": True},
        {"name": "slide_position", "unit": "m", "column": "slide.pos", "scale": 0.5, "offset": 1.0},
    ],
    "action": [{"name": "push", "unit": "N", "low": -2.0, "high": 2.0}],
    "healthy": [{"name": "slide_position", "low": 0.5}],
}


def test_a_file_says_what_the_channels_are():
    Path("slider.yaml").write_text(yaml.safe_dump(SLIDER))

    assert run("import-lerobot", str(THEIRS), "--out", "back", "--spec", "slider.yaml") == 0
    assert run("import-lerobot", str(THEIRS), "--out", "plain") == 0

    back, plain = EpisodeStore.open(Path("back")), EpisodeStore.open(Path("plain"))
    assert (back.spec.name, back.spec.dt) == ("my_slider", 0.05)
    assert back.spec.obs_names == ("slide_velocity", "slide_position")
    assert back.spec.obs[0].kind == "velocity"
    for got, of in zip(back.episodes, plain.episodes, strict=True):
        np.testing.assert_allclose(got.obs[:, 1], 0.5 * of.obs[:, 0] + 1.0, rtol=1e-6)
        np.testing.assert_allclose(got.obs[:, 0], np.deg2rad(of.obs[:, 1]), rtol=1e-6)
        np.testing.assert_array_equal(got.action, of.action)
        assert not got.ended


def test_the_spec_of_a_store_says_what_the_channels_of_a_second_dataset_are():
    assert run("import-lerobot", str(THEIRS), "--out", "back") == 0
    shutil.copytree(THEIRS, "other")
    path = Path("other/data/chunk-000/file-000.parquet")
    table = parquet.read_table(path)
    halved = (0.5 * table.column("action").to_numpy()).astype(np.float32)
    parquet.write_table(table.set_column(table.column_names.index("action"), "action", [halved]), path)

    assert run("import-lerobot", "other", "--out", "back", "--spec", "back/spec.yaml") == 0

    episodes = EpisodeStore.open(Path("back")).episodes
    assert [e.tags["dataset"] for e in episodes] == ["lerobot_v3"] * 3 + ["other"] * 3
    np.testing.assert_array_equal(episodes[3].action, 0.5 * episodes[0].action)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dt": 0.1}, "key 'dt': is 0.1; allowed: 0.05"),
        ({"obs": [{"name": "slide.poss", "unit": "m"}]}, "has no 'slide.poss' (did you mean 'slide.pos'?); names: slide.pos"),
        ({"action": [{"name": "pull", "unit": "N", "low": -1.0, "high": 1.0}]}, "key 'action[0]'"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(change: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]):
    Path("slider.yaml").write_text(yaml.safe_dump(SLIDER | {"healthy": []} | change))

    line = error_of(capsys, "import-lerobot", str(THEIRS), "--out", "back", "--spec", "slider.yaml")

    assert line.startswith("error: slider.yaml: ")
    assert said in line
    assert not Path("back").exists()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (None, ("state_0", "state_1")),
        ({"motors": ["pos", "vel"]}, ("pos", "vel")),
        ({"vel": 1, "pos": 0}, ("pos", "vel")),
        (["x", "x"], ("observation.state.0", "observation.state.1")),
    ],
)
def test_names_have_several_forms(names: object, found: tuple[str, ...]):
    shutil.copytree(THEIRS, "other")
    features = json.loads(Path("other/meta/info.json").read_text())["features"]
    features["observation.state"]["names"] = names
    changed_info(Path("other"), features=features)

    assert run("import-lerobot", "other", "--out", "back") == 0
    assert EpisodeStore.open(Path("back")).spec.obs_names == found


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]):
    assert "is no dataset of LeRobot (no meta/info.json)" in error_of(capsys, "import-lerobot", "store", "--out", "b")
    assert run("export-lerobot", "store", "--out", "theirs") == 0
    assert "exists already; a dataset is never overwritten" in error_of(capsys, "export-lerobot", "store", "--out", "theirs")
    assert "--out: store/spec.yaml is a file" in error_of(capsys, "import-lerobot", "theirs", "--out", "store/spec.yaml")
    Path("spec.yaml").write_text(yaml.safe_dump(to_mapping(MIXED)))
    said = error_of(capsys, "import-lerobot", "theirs", "--out", "b", "--spec", "spec.yaml")
    assert "says itself what its channels mean" in said
    shutil.copytree(THEIRS, "other")
    changed_info(Path("other"), codebase_version="v2.1")
    assert "has the format v2.1; allowed: v3.x" in error_of(capsys, "import-lerobot", "other", "--out", "b")
    changed_info(Path("other"), codebase_version="v3.0", fps=0)
    assert "info.json: damaged: fps is 0" in error_of(capsys, "import-lerobot", "other", "--out", "b")
    changed_info(Path("other"), fps=20)
    data = Path("other/data/chunk-000/file-000.parquet")
    data.write_bytes(data.read_bytes()[:500])
    assert "file-000.parquet: damaged: " in error_of(capsys, "import-lerobot", "other", "--out", "b")
    data.unlink()
    assert "file-000.parquet: cannot be read" in error_of(capsys, "import-lerobot", "other", "--out", "b")
    assert not Path("b").exists()


@pytest.mark.parametrize("words", [["export-lerobot", "store", "--out", "b"], ["import-lerobot", str(THEIRS), "--out", "b"]])
def test_a_missing_package_is_named(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)

    assert "package 'pyarrow' is not installed; pip install 'adaptive-mbrl[lerobot]'" in error_of(capsys, *words)
    assert not Path("b").exists()


# --- their reader ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [POINT.dt, 0.03], ids=["whole", "broken"])
def test_lerobots_reader_reads_ours(dt: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """For a whole number of frames per second, and for one that is none."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    reader = pytest.importorskip(
        "lerobot.datasets.lerobot_dataset",
        reason="needs the package 'lerobot', which pins another torch: pip install --no-deps lerobot, and what it imports",
        exc_type=ImportError,
    )
    EpisodeStore.open(Path("other"), dataclasses.replace(POINT, dt=dt)).append(EPISODES)
    assert run("export-lerobot", "other", "--out", "theirs") == 0

    dataset = reader.LeRobotDataset("local/point", root="theirs", delta_timestamps={"observation.state": [-dt, 0.0, dt]})

    assert (dataset.num_episodes, dataset.num_frames) == (3, 36)
    item = dataset[12 + 5]
    np.testing.assert_array_equal(item["observation.state"], EPISODES[1].obs[4:7])
    assert item["action"].item() == EPISODES[1].action[5, 0]
    assert item["task"] == "Move as 'point_mass' was recorded."
    assert dataset[12]["observation.state_is_pad"].tolist() == [True, False, False]
    np.testing.assert_allclose(dataset.meta.stats["action"]["max"], max(e.action.max() for e in EPISODES))
    only = reader.LeRobotDataset("local/point", root="theirs", episodes=[2])
    np.testing.assert_array_equal(only[0]["observation.state"], EPISODES[2].obs[0])
