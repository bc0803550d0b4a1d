"""The sub-command `data split`: which episodes are held out, so that trainings compare on them."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.shards import check_shard, read_shard
from adaptive_mbrl.data.situations import situation_key, tag_text
from adaptive_mbrl.data.stored_objective import load_objective, save_objective
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.options import DataSplitOptions
from adaptive_mbrl.storage import atomic_folder
from adaptive_mbrl.stores.coverage import by_size, require_tag

T = TypeVar("T")


def split(options: DataSplitOptions) -> None:
    """Copy a store, with the tag `validation` in the episodes that are held out; earlier marks do not count.

    Raises:
        ConfigError: no episode would be held out, or none would be left.
        CheckpointError: the folder of the copy exists already, or a file is damaged; then nothing is written.
    """
    spec = EpisodeStore.check(options.folder)
    if options.out.exists():
        raise CheckpointError(f"{options.out}: exists already; a split is never overwritten")
    files = shard_files(options.folder)
    for file in tqdm(files, desc="check", unit="file", leave=False, disable=None):
        check_shard(file)
    episodes = EpisodeStore.open(options.folder).episodes
    held_out = _held_out(options, episodes)
    if not 0 < len(held_out) < len(episodes):
        raise ConfigError(
            f"{options.folder}: {len(held_out)} of {len(episodes)} episodes would be held out; allowed: some, but not all"
        )
    numbers = itertools.count()
    with atomic_folder(options.out) as temporary:
        store = EpisodeStore.open(temporary, spec)
        for file in tqdm(files, desc="split", unit="file", leave=False, disable=None):
            found, about = read_shard(file)
            store.append([_marked(e, next(numbers) in held_out) for e in found], about)
        objective = load_objective(options.folder, spec)
        if objective is not None:
            save_objective(temporary, objective)
    _print(options, episodes, held_out)


def _held_out(options: DataSplitOptions, episodes: Sequence[Episode]) -> set[int]:
    """The numbers of the episodes that are held out."""
    if options.by is None:
        return set(_some(range(len(episodes)), options))
    require_tag(episodes, options.by)
    keys = {i: situation_key(e.tags[options.by]) for i, e in enumerate(episodes) if options.by in e.tags}
    texts: dict[str, set[str]] = defaultdict(set)
    for key in sorted(set(keys.values())):
        # 40, 40.0 and "40" are written alike, and meant alike
        texts[tag_text(json.loads(key))].add(key)
    for value in options.held_out:
        if value not in texts:
            hint = " (several values are separated by spaces)" if "," in value else did_you_mean(value, list(texts))
            raise ConfigError(
                f"--held-out: no episode has {options.by} '{value}'{hint}; values: {'; '.join(sorted(texts, key=by_size))}"
            )
    chosen = options.held_out or _some(list(texts), options)
    wanted = set().union(*(texts[value] for value in chosen))
    return {i for i, key in keys.items() if key in wanted}


def _some(items: Sequence[T], options: DataSplitOptions) -> list[T]:
    """The share of the items that the options ask for, at least one."""
    assert options.share is not None
    num = max(1, round(options.share * len(items)))
    return [items[i] for i in np.random.default_rng(options.seed).permutation(len(items))[:num]]


def _marked(episode: Episode, is_held_out: bool) -> Episode:
    tags = {name: value for name, value in episode.tags.items() if name != "validation"}
    return dataclasses.replace(episode, tags={**tags, "validation": True} if is_held_out else tags)


def _print(options: DataSplitOptions, episodes: Sequence[Episode], held_out: set[int]) -> None:
    steps = [len(e) - e.history for e in episodes]
    others = sum(steps[i] for i in held_out)
    print(f"{options.out}: {len(episodes) - len(held_out)} episodes, {sum(steps) - others} steps to train on")
    which = ""
    if options.by is not None:
        which = f" ({options.by} {', '.join(sorted({tag_text(episodes[i].tags[options.by]) for i in held_out}, key=by_size))})"
    print(f"Held out: {len(held_out)} episodes, {others} steps{which}")
