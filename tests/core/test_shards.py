"""The files of a store: mapped, checked by a hash, of two schemas; damage is named, and costs nothing else."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from adaptive_mbrl.data import steps
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.shards import check_shard, hash_of, read_shard, shard_bytes, written_hash
from adaptive_mbrl.data.steps import StepsInMemory, StepsOnDisk
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.errors import CheckpointError
from tests.core.analytic import POINT, point_episodes


@pytest.fixture
def episodes() -> list[Episode]:
    return [
        dataclasses.replace(e, tags={"number": i}, history=i, ended=i == 1)
        for i, e in enumerate(e for n in (5, 9, 3) for e in point_episodes(1, seed=n, steps=n))
    ]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "000000.safetensors"
    path.write_bytes(content)
    return path


def of_schema_1(episodes: list[Episode], about: dict[str, object]) -> bytes:
    """A file as it was written before shards were flat."""
    tensors = {f"{i}.{name}": getattr(e, name) for i, e in enumerate(episodes) for name in ("obs", "action", "reward")}
    facts = {str(i): json.dumps({"tags": e.tags, "history": e.history, "ended": e.ended}) for i, e in enumerate(episodes)}
    return save(tensors, metadata={"about": json.dumps(about), **facts})


def assert_same(got: list[Episode], wanted: list[Episode]) -> None:
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert (a.tags, a.history, a.ended) == (b.tags, b.history, b.ended)
        for name in ("obs", "action", "reward"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("write", [shard_bytes, of_schema_1])
def test_both_schemas_are_read(write, episodes: list[Episode], tmp_path: Path):
    path = written(tmp_path, write(episodes, {"note": 1}))

    found, about = read_shard(path)

    assert about == {"note": 1}
    assert_same(found, episodes)
    check_shard(path)


def test_what_is_read_stays_on_disk_and_changes_no_file(episodes: list[Episode], tmp_path: Path):
    path = written(tmp_path, shard_bytes(episodes, {}))
    before = path.read_bytes()

    found, _ = read_shard(path)

    base = found[1].obs
    while not isinstance(base, np.memmap):
        base = base.base
    found[1].obs[:] = 0.0
    assert path.read_bytes() == before


def test_a_changed_number_is_found_by_the_hash(episodes: list[Episode], tmp_path: Path):
    content = bytearray(shard_bytes(episodes, {}))
    content[-3] ^= 1
    path = written(tmp_path, bytes(content))

    read_shard(path)
    with pytest.raises(CheckpointError, match=r"000000\.safetensors: damaged episode file: .*another hash"):
        check_shard(path)


def test_the_hash_is_that_of_the_content(episodes: list[Episode], tmp_path: Path):
    path = written(tmp_path, shard_bytes(episodes, {"a": 1}))

    assert written_hash(path) == hash_of(read_shard(path)[0], {"a": 1})
    assert written_hash(path) != hash_of(episodes, {"a": 2})
    assert written_hash(path) != hash_of(episodes[:-1], {"a": 1})
    assert written_hash(written(tmp_path, of_schema_1(episodes, {}))) is None


@pytest.mark.parametrize("size", [0, 4, 40, 500, -1])
def test_a_torn_file_is_named_and_the_rest_is_kept(size: int, episodes: list[Episode], tmp_path: Path):
    store = EpisodeStore.open(tmp_path, POINT)
    for _ in range(3):
        store.append(episodes)
    torn = shard_files(tmp_path)[1]
    torn.write_bytes(torn.read_bytes()[:size])

    with pytest.raises(CheckpointError, match=r"000001\.safetensors: damaged episode file"):
        EpisodeStore.open(tmp_path)
    told: list[CheckpointError] = []
    found = EpisodeStore.open(tmp_path, damaged=told.append)

    assert "000001.safetensors" in str(told[0])
    assert_same(found.episodes, [*episodes, *episodes])
    assert [e.batch for e in found.episodes] == [0] * 3 + [1] * 3


def test_a_shard_of_a_later_version_says_so(episodes: list[Episode], tmp_path: Path):
    content = shard_bytes(episodes, {}).replace(b'"schema":"2"', b'"schema":"3"')
    path = written(tmp_path, content)

    with pytest.raises(CheckpointError, match=r"newer version of adaptive-mbrl \(schema 3; known: up to 2\)"):
        read_shard(path)


def test_writers_that_append_at_the_same_time_lose_nothing(tmp_path: Path):
    """Each opened the store when it was empty, so each would take the first number."""
    stores = [EpisodeStore.open(tmp_path, POINT) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: item[1].append(point_episodes(2, seed=item[0])), enumerate(stores)))

    found = EpisodeStore.open(tmp_path).episodes
    wanted = [e for i in range(8) for e in point_episodes(2, seed=i)]
    assert sorted(e.obs.tobytes() for e in found) == sorted(e.obs.tobytes() for e in wanted)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_windows_from_disk_equal_those_from_memory(episodes: list[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = EpisodeStore.open(tmp_path, POINT)
    store.append(episodes)
    of_store = EpisodeStore.open(tmp_path).episodes

    in_memory = WindowSampler(of_store, window=4, query=2)
    monkeypatch.setattr(steps, "MOST_IN_MEMORY", 0)
    on_disk = WindowSampler(of_store, window=4, query=2)

    assert isinstance(in_memory._steps, StepsInMemory)
    assert isinstance(on_disk._steps, StepsOnDisk)
    both = [s.sample(64, torch.Generator().manual_seed(0)) for s in (in_memory, on_disk)]
    for a, b in zip((*both[0].recent, *both[0][1:]), (*both[1].recent, *both[1][1:]), strict=True):
        assert torch.equal(a, b)


def test_transitions_of_a_long_episode_come_in_pieces(monkeypatch: pytest.MonkeyPatch):
    (long, short) = point_episodes(1, seed=0, steps=25) + point_episodes(1, seed=1, steps=3)
    whole = list(steps.transitions_of([long, short]))
    monkeypatch.setattr(steps, "_PIECE", 10)

    pieces = list(steps.transitions_of([long, short]))

    assert [len(obs) for obs, _ in pieces] == [10, 10, 8]
    for column in (0, 1):
        assert torch.equal(torch.cat([p[column] for p in pieces]), whole[0][column])
