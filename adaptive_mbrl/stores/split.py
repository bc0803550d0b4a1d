"""The sub-command `data split`: which episodes are held out, so that trainings compare on them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from adaptive_mbrl.config import did_you_mean, save_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore, shard_files
from adaptive_mbrl.data.shards import read_shard
from adaptive_mbrl.data.situations import tag_text
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.options import DataSplitOptions
from adaptive_mbrl.storage import atomic_folder

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
    episodes = EpisodeStore.open(options.folder).episodes
    held_out = _held_out(options, episodes)
    if not 0 < len(held_out) < len(episodes):
        raise ConfigError(
            f"{options.folder}: {len(held_out)} of {len(episodes)} episodes would be held out; allowed: some, but not all"
        )
    numbers = itertools.count()
    with atomic_folder(options.out) as temporary:
        save_yaml(temporary / SPEC_FILE, spec)
        store = EpisodeStore.open(temporary, spec)
        for file in tqdm(shard_files(options.folder), desc="split", unit="file", leave=False, disable=None):
            found, about = read_shard(file)
            store.append([_marked(e, next(numbers) in held_out) for e in found], about)
    _print(options, episodes, held_out)


def _held_out(options: DataSplitOptions, episodes: Sequence[Episode]) -> set[int]:
    """The numbers of the episodes that are held out."""
    if options.by is None:
        return set(_some(range(len(episodes)), options))
    values = {i: tag_text(e.tags[options.by]) for i, e in enumerate(episodes) if options.by in e.tags}
    if not values:
        names = sorted({name for e in episodes for name in e.tags})
        raise ConfigError(
            f"--by: no episode has the tag '{options.by}'{did_you_mean(options.by, names)}; tags: {', '.join(names)}"
        )
    known = sorted(set(values.values()))
    for value in options.held_out:
        if value not in known:
            hint = did_you_mean(value, known)
            raise ConfigError(f"--held-out: no episode has {options.by} '{value}'{hint}; values: {', '.join(known)}")
    wanted = set(options.held_out or _some(known, options))
    return {i for i, value in values.items() if value in wanted}


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
        which = f" ({options.by} {', '.join(sorted({tag_text(episodes[i].tags[options.by]) for i in held_out}))})"
    print(f"Held out: {len(held_out)} episodes, {others} steps{which}")
