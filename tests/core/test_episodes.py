"""Episodes survive the disk, damage is named, and windows never mix what belongs to different episodes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.errors import CheckpointError, ConfigError
from tests.core.analytic import MIXED, POINT, point_episode, point_episodes

# --- windows ------------------------------------------------------------------------------------------------------------------


def marked_episode(number: int, length: int, history: int) -> Episode:
    """Every entry says which episode and which step it belongs to."""
    obs = np.stack([np.full(length + 1, number), np.arange(length + 1)], axis=1).astype(np.float32)
    action = (1000 * number + np.arange(length, dtype=np.float32))[:, None]
    return Episode(obs, action, np.zeros(length, np.float32), history=history)


@given(data=st.data())
def test_a_window_holds_one_episodes_steps_in_order(data: st.DataObject):
    window, query = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    histories = [data.draw(st.integers(0, n)) for n in lengths]
    episodes = [marked_episode(i, n, h) for i, (n, h) in enumerate(zip(lengths, histories, strict=True))]
    # every step that has a whole query after it, and no history step, may be where a query begins
    expected = [(i, t) for i, (n, h) in enumerate(zip(lengths, histories, strict=True)) for t in range(h, n - query + 1)]
    if not expected:
        with pytest.raises(ConfigError, match=f"{query} steps of a query"):
            WindowSampler(episodes, window, query)
        return

    sampler = WindowSampler(episodes, window, query)
    windows = sampler.at(torch.arange(len(sampler)))

    assert [tuple(map(int, row)) for row in windows.obs[:, 0].tolist()] == expected
    for w, (episode, begin) in enumerate(expected):
        steps = torch.arange(begin, begin + query + 1)
        assert windows.obs[w, :, 0].tolist() == [episode] * (query + 1)
        assert windows.obs[w, :, 1].tolist() == steps.tolist()
        assert windows.action[w, :, 0].tolist() == (1000 * episode + steps[:-1]).tolist()
        # history may be looked back upon; the time before the episode may not
        known = min(begin, window)
        assert windows.recent.valid[w].tolist() == [False] * (window - known) + [True] * known
        back = torch.arange(begin - known, begin)
        seen = slice(window - known, None)
        assert windows.recent.obs[w, seen].tolist() == [[episode, t] for t in back]
        assert windows.recent.next_obs[w, seen].tolist() == [[episode, t + 1] for t in back]
        assert windows.recent.action[w, seen, 0].tolist() == (1000 * episode + back).tolist()


def test_transitions_never_lead_from_one_episode_into_the_next():
    sampler = WindowSampler([marked_episode(i, n, 0) for i, n in enumerate((4, 7, 3))], window=2, query=3)

    ((obs, next_obs),) = sampler.transitions()

    assert len(obs) == 4 + 7 + 3
    assert torch.equal(next_obs[:, 0], obs[:, 0])
    assert torch.equal(next_obs[:, 1], obs[:, 1] + 1)


def test_sampling_is_uniform_over_windows_and_repeatable():
    sampler = WindowSampler([marked_episode(0, 5, 0), marked_episode(1, 15, 0)], window=2, query=1)

    windows = sampler.sample(8000, torch.Generator().manual_seed(0))

    counts = torch.bincount((windows.obs[:, 0, 0] * 15 + windows.obs[:, 0, 1]).long(), minlength=30)
    share = counts[counts > 0] / 8000
    assert len(share) == 20
    torch.testing.assert_close(share, torch.full((20,), 0.05), atol=0.012, rtol=0)
    again = sampler.sample(8000, torch.Generator().manual_seed(0))
    assert torch.equal(again.obs, windows.obs)


def test_no_episode_at_all_is_refused():
    with pytest.raises(ConfigError, match="2 steps of a query; longest: 0"):
        WindowSampler([], window=3, query=2)


# --- store --------------------------------------------------------------------------------------------------------------------


def assert_same(got: Episode, wanted: Episode) -> None:
    for field in dataclasses.fields(Episode):
        a, b = getattr(got, field.name), getattr(wanted, field.name)
        assert np.array_equal(a, b) if isinstance(b, np.ndarray) else a == b, field.name


def test_episodes_survive_the_disk_bit_by_bit(tmp_path: Path):
    store = EpisodeStore.open(tmp_path / "episodes", POINT)
    tags = {"source": "policy", "scenario": {"changes": [{"at": 3, "körper": 1.5}]}, "validation": True}
    first = [dataclasses.replace(e, tags={**tags, "number": i}) for i, e in enumerate(point_episodes(12, seed=0, steps=7))]
    second = [dataclasses.replace(point_episode([0.5] * 9, seed=4), history=3, ended=True)]

    store.append(first, {"oracle_steps": 12})
    store.append(second)
    reopened = EpisodeStore.open(tmp_path / "episodes")

    assert reopened.spec == POINT
    assert reopened.num_batches == store.num_batches == 2
    assert reopened.abouts == store.abouts == [{"oracle_steps": 12}, {}]
    assert reopened.num_steps == store.num_steps == 12 * 7 + 6
    in_order = [*first, *(dataclasses.replace(e, batch=1) for e in second)]
    for got, wanted in zip(reopened.episodes, in_order, strict=True):
        assert_same(got, wanted)


def test_a_reopened_store_goes_on_where_it_stopped(tmp_path: Path):
    EpisodeStore.open(tmp_path, POINT).append(point_episodes(1, seed=0))

    EpisodeStore.open(tmp_path, POINT).append(point_episodes(2, seed=1))

    assert [len(EpisodeStore.open(tmp_path).episodes), EpisodeStore.open(tmp_path).num_batches] == [3, 2]


def test_a_store_in_memory_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    store = EpisodeStore(POINT)

    store.append(point_episodes(2, seed=0))

    assert len(store.episodes) == 2
    assert list(tmp_path.rglob("*")) == []


def test_a_batch_may_be_empty(tmp_path: Path):
    EpisodeStore.open(tmp_path, POINT).append([], {"note": "nothing was worth keeping"})

    reopened = EpisodeStore.open(tmp_path)

    assert reopened.episodes == []
    assert reopened.abouts == [{"note": "nothing was worth keeping"}]


def test_another_robot_is_refused_and_nothing_is_written(tmp_path: Path):
    EpisodeStore.open(tmp_path, POINT)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*")}

    with pytest.raises(CheckpointError, match="another robot: name is point_mass; the robot here has mixed"):
        EpisodeStore.open(tmp_path, MIXED)

    assert {p: p.read_bytes() for p in tmp_path.rglob("*")} == before


def test_a_missing_store_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"nowhere: no episodes there"):
        EpisodeStore.open(tmp_path / "nowhere")

    assert not (tmp_path / "nowhere").exists()


def test_missing_batches_are_noticed(tmp_path: Path):
    EpisodeStore.open(tmp_path, POINT).append(point_episodes(1, seed=0))

    with pytest.raises(CheckpointError, match="2 batches of episodes expected, 1 found"):
        EpisodeStore.open(tmp_path, POINT, num_batches=2)


@settings(max_examples=15)
@given(share=st.floats(0, 0.999), seed=st.integers(0, 1000))
def test_a_truncated_or_scrambled_file_is_named(tmp_path_factory: pytest.TempPathFactory, share: float, seed: int):
    folder = tmp_path_factory.mktemp("store")
    EpisodeStore.open(folder, POINT).append(point_episodes(2, seed=0, steps=3))
    file = folder / "000000.safetensors"
    content = file.read_bytes()
    cut = int(share * len(content))
    noise = np.random.default_rng(seed).bytes(len(content) - cut)

    for damaged in (content[:cut], noise):
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"000000\.safetensors: damaged episode file"):
            EpisodeStore.open(folder)


@pytest.mark.parametrize("text", ['{\\"source\\":\\"x\\"}', "[1, 2]", "no json"], ids=["other keys", "a list", "no json"])
def test_a_file_of_another_layout_is_named(tmp_path: Path, text: str):
    """Tensors that are in order, with tags that are not."""
    EpisodeStore.open(tmp_path, POINT).append([Episode(*_arrays(), {})])
    _replace_tags(tmp_path / "000000.safetensors", text)

    with pytest.raises(CheckpointError, match=r"000000\.safetensors: damaged episode file"):
        EpisodeStore.open(tmp_path)


def test_a_file_that_says_nothing_about_the_end_is_read(tmp_path: Path):
    """Older files do not have it."""
    EpisodeStore.open(tmp_path, POINT).append([Episode(*_arrays(), {})])
    _replace_tags(tmp_path / "000000.safetensors", '{\\"tags\\": {}, \\"history\\": 1}')

    (episode,) = EpisodeStore.open(tmp_path).episodes

    assert (episode.history, episode.ended) == (1, False)


def _replace_tags(file: Path, text: str) -> None:
    """Replace the tags of the only episode of a batch file, one without tags of its own."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].decode().rstrip()
    written = '{\\"tags\\": {}, \\"history\\": 0, \\"ended\\": false}'
    assert written in header
    changed = header.replace(written, text).encode()
    file.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])


def _arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((3, 2), np.float32), np.zeros((2, 1), np.float32), np.zeros(2, np.float32)
