"""Stores go to Minari and come back; Minari's own reader reads them."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.stores.minari import spaces_of
from tests.core.analytic import MIXED, POINT, point_episodes

minari = pytest.importorskip("minari", reason="needs the extra 'minari'")
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
NAME = "point/pushes-v0"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.chdir(tmp_path)
    EpisodeStore.open(Path("store"), POINT).append(EPISODES)


def error_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["data", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_goes_there_and_back_is_the_same():
    assert cli.main(["data", "export-minari", "store", NAME]) == 0
    assert cli.main(["data", "import-minari", NAME, "--out", "back"]) == 0

    back = EpisodeStore.open(Path("back"))
    assert back.spec == POINT
    for got, wanted in zip(back.episodes, EPISODES, strict=True):
        assert (got.tags, got.history, got.ended) == (wanted.tags, wanted.history, wanted.ended)
        for name in ("obs", "action", "reward", "stamps"):
            np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name))


def test_minaris_reader_finds_episodes_and_spaces():
    assert cli.main(["data", "export-minari", "store", NAME]) == 0

    dataset = minari.load_dataset(NAME)

    assert (dataset.total_episodes, dataset.total_steps) == (3, 36)
    assert dataset.action_space.low.tolist() == [c.low for c in POINT.action]
    second = dataset[1]
    np.testing.assert_array_equal(second.observations, EPISODES[1].obs)
    assert second.terminations.tolist() == [False] * 11 + [True]
    assert dataset[0].truncations.tolist() == [False] * 11 + [True]


def test_a_foreign_dataset_needs_to_be_told_what_its_columns_mean(capsys: pytest.CaptureFixture[str]):
    from minari.data_collector.episode_buffer import EpisodeBuffer

    e = EPISODES[0]
    flags = np.arange(len(e)) == len(e) - 1
    buffer = EpisodeBuffer(0, None, None, e.obs, e.action, e.reward, flags, ~flags & flags, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        minari.create_dataset_from_buffers("other/logs-v0", [buffer], **spaces_of(POINT))

    words = ["import-minari", "other/logs-v0", "--out", "back"]
    assert "says nothing about its channels; give --spec FILE" in error_of(capsys, *words)
    Path("spec.yaml").write_text(yaml.safe_dump(to_mapping(MIXED)))
    words += ["--spec", "spec.yaml"]
    assert f"has {MIXED.obs_dim} observation channels" in error_of(capsys, *words)
    assert not Path("back").exists()
    Path("spec.yaml").write_text(yaml.safe_dump(to_mapping(POINT)))
    assert cli.main(["data", *words]) == 0
    (found,) = EpisodeStore.open(Path("back")).episodes
    assert (found.tags, found.ended) == ({"source": "minari", "dataset": "other/logs-v0"}, True)


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]):
    line = error_of(capsys, "import-minari", "other-v0", "--out", "b")
    assert "other-v0: Minari has no such dataset here; local ones: none" in line
    assert cli.main(["data", "export-minari", "store", NAME]) == 0
    assert "allowed: another name, such as point/pushes-v1" in error_of(capsys, "export-minari", "store", NAME)
    assert cli.main(["data", "import-minari", NAME, "--out", "back"]) == 0
    capsys.readouterr()
    assert cli.main(["data", "import-minari", NAME, "--out", "back"]) == 0
    assert capsys.readouterr().out.startswith(f"{NAME}: imported already\nback: {len(EPISODES)} episodes, ")
