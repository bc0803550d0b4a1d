"""The files of a store: mapped, checked by a hash, of two schemas; damage is named, and costs nothing else."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from adaptive_mbrl import cli
from adaptive_mbrl.data import shards, steps
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.shards import check_shard, hash_of, read_shard, shard_bytes, written_hash
from adaptive_mbrl.data.steps import StepsInMemory, StepsOnDisk
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.errors import CheckpointError
from tests.core.analytic import POINT, point_episodes

STAMPS = 1.7e9 + np.arange(10.0) / 7
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def episodes() -> list[Episode]:
    return [
        dataclasses.replace(e, tags={"number": i}, history=i, ended=i == 1, stamps=None if i == 1 else STAMPS[: len(e) + 1])
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
        for name in ("obs", "action", "reward", "stamps"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def without_stamps(episodes: list[Episode]) -> list[Episode]:
    return [dataclasses.replace(e, stamps=None) for e in episodes]


@pytest.mark.parametrize(("write", "has_stamps"), [(shard_bytes, True), (shard_bytes, False), (of_schema_1, False)])
def test_all_schemas_are_read(write, has_stamps: bool, episodes: list[Episode], tmp_path: Path):
    episodes = episodes if has_stamps else without_stamps(episodes)
    path = written(tmp_path, write(episodes, {"note": 1}))

    found, about = read_shard(path)

    assert about == {"note": 1}
    assert_same(found, episodes)
    check_shard(path)


def test_a_store_of_the_version_before_stamps_is_read_merged_and_added_to(tmp_path: Path):
    """`data/store_v2` was written by that version."""
    folder = tmp_path / "store"
    shutil.copytree(Path(__file__).parent / "data" / "store_v2", folder)
    wanted = [dataclasses.replace(e, history=i, ended=i == 1) for i, e in enumerate(point_episodes(2, seed=3, steps=5))]

    store = EpisodeStore.open(folder)
    assert_same(store.episodes, wanted)
    check_shard(shard_files(folder)[0])
    store.append([dataclasses.replace(wanted[0], stamps=np.arange(6.0))])
    assert_same(EpisodeStore.open(folder).episodes[:2], wanted)
    # the same content again has the same hash, so it is not copied twice
    for _ in range(2):
        assert cli.main(["data", "merge", str(folder), "--out", str(tmp_path / "all")]) == 0
    assert len(EpisodeStore.open(tmp_path / "all").episodes) == 3


def test_a_changed_stamp_is_found_by_the_hash(episodes: list[Episode], tmp_path: Path):
    path = written(tmp_path, shard_bytes(episodes, {}))
    found, _ = read_shard(path)
    assert found[2].stamps is not None
    content = bytearray(path.read_bytes())
    place = content.index(found[2].stamps.tobytes())
    content[place] ^= 1
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match="another hash"):
        check_shard(path)


def test_stamps_that_do_not_fit_the_episodes_are_damage(episodes: list[Episode], tmp_path: Path):
    tensors, header = shards._encoded(episodes, {})
    tensors["stamps"] = tensors["stamps"][:-1]
    path = written(tmp_path, save(tensors, metadata=header))

    with pytest.raises(CheckpointError, match="damaged episode file: its episodes have 10 stamps, its array 9"):
        read_shard(path)


@pytest.mark.parametrize("large", [False, True])
def test_large_files_stay_on_disk(large: bool, episodes: list[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = written(tmp_path, shard_bytes(episodes, {}))
    monkeypatch.setattr(shards, "READ_BELOW", 0 if large else 1 << 20)

    found, _ = read_shard(path)

    base = found[1].obs
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap) == large
    assert found[1].obs.flags.writeable == (not large)
    assert_same(found, episodes)


def test_a_store_may_have_more_files_than_a_shell_allows_at_first(tmp_path: Path):
    """Each mapped file keeps a descriptor."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from adaptive_mbrl.data import shards\n"
        "from adaptive_mbrl.data.episodes import EpisodeStore\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "shards.READ_BELOW = 0\n"
        "print(len(EpisodeStore.open(Path(sys.argv[1])).episodes))\n"
    )
    store = EpisodeStore.open(tmp_path, POINT)
    for i in range(100):
        store.append(point_episodes(1, seed=i, steps=2))

    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)

    assert done.stdout == "100\n", done.stderr


@pytest.mark.parametrize("change", [-1, 1, 1000])
def test_an_index_that_does_not_fit_its_arrays_is_damage(change: int, episodes: list[Episode], tmp_path: Path):
    """Otherwise all later episodes would be shifted by a step."""
    tensors, header = shards._encoded(episodes, {})
    tensors["steps"] = tensors["steps"] + np.array([change, 0, 0])
    path = written(tmp_path, save(tensors, metadata=header))

    with pytest.raises(CheckpointError, match="damaged episode file: its episodes have"):
        read_shard(path)


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


def test_damage_of_the_header_is_named_whatever_it_is(episodes: list[Episode], tmp_path: Path):
    """Every byte of the header is changed once; what can still be read has another hash."""
    content = shard_bytes(episodes[:1], {})
    size = 8 + int.from_bytes(content[:8], "little")
    for place in range(size):
        path = written(tmp_path, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with suppress(CheckpointError):
            check_shard(path)
            assert content[place : place + 1] == b" ", f"byte {place} was changed, and nobody noticed"


def test_a_shard_of_a_later_version_says_so(episodes: list[Episode], tmp_path: Path):
    content = shard_bytes(episodes, {}).replace(b'"schema":"3"', b'"schema":"4"')
    path = written(tmp_path, content)

    with pytest.raises(CheckpointError, match=r"newer version of adaptive-mbrl \(schema 4; known: up to 3\)"):
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


def test_a_lost_file_does_not_mix_up_the_order(tmp_path: Path):
    store = EpisodeStore.open(tmp_path, POINT)
    for i in range(3):
        store.append(point_episodes(1, seed=i))
    shard_files(tmp_path)[0].unlink()

    EpisodeStore.open(tmp_path, POINT).append(point_episodes(1, seed=3))

    assert [p.stem for p in shard_files(tmp_path)] == ["000001", "000002", "000003"]


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
