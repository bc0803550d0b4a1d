"""Stores of episodes as datasets of Minari, and the other way round: the sub-commands `data export-minari`, `data import-minari`.

Minari (Younis et al. 2024, https://minari.farama.org) is the dataset library of the Gymnasium family. Its folder is
`MINARI_DATASETS_PATH`, or `~/.minari/datasets`. What its format has no place for (channels, units, tags, histories) is written
into its metadata, so that the episodes of a store that is exported and imported again are the same.
"""

from __future__ import annotations

import importlib
import itertools
import json
import re
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
from tqdm import tqdm

from adaptive_mbrl.config import from_mapping, load_yaml, to_mapping
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.store_lock import store_lock
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extra import extra_package
from adaptive_mbrl.options import DataExportMinariOptions, DataImportMinariOptions
from adaptive_mbrl.spec import RobotSpec

FACTS = "adaptive_mbrl"
"""Key in Minari's metadata of what only this project knows: the spec as JSON, and of each episode its tags and its history."""
EPISODES_PER_BATCH = 1000
_NAME = re.compile(r"([\w-]+/)*[\w-]+-v\d+")


def export_minari(options: DataExportMinariOptions) -> None:
    """Write a store as a dataset of Minari.

    Raises:
        ConfigError: Minari is not installed, or has a dataset of that name.
    """
    minari = minari_package()
    if not _NAME.fullmatch(options.name):
        raise ConfigError(f"{options.name}: is no name of Minari's; allowed: [NAMESPACE/...]NAME-vN, such as rover/drives-v0")
    store = EpisodeStore.open(options.folder)
    if not store.episodes:
        raise ConfigError(f"{options.folder}: holds no episode to export")
    if options.name in minari.list_local_datasets():
        raise ConfigError(
            f"{options.name}: Minari has a dataset of that name; allowed: another name, such as {_next(options.name)}"
        )
    buffer = importlib.import_module("minari.data_collector.episode_buffer").EpisodeBuffer
    with warnings.catch_warnings():
        # about authors and environments, which recordings do not have
        warnings.simplefilter("ignore", UserWarning)
        dataset = minari.create_dataset_from_buffers(
            options.name,
            [_buffer(buffer, i, e) for i, e in enumerate(store.episodes)],
            **spaces_of(store.spec),
            description=f"Episodes of the robot '{store.spec.name}', control period {store.spec.dt:g} s",
        )
    dataset.storage.update_metadata({FACTS: json.dumps(to_mapping(store.spec))})
    facts = [{FACTS: json.dumps({"tags": e.tags, "history": e.history})} for e in store.episodes]
    dataset.storage.update_episode_metadata(facts, range(len(facts)))
    print(f"{options.name}: {len(store.episodes)} episodes, {store.num_steps} steps")
    print(f"Read it with minari.load_dataset('{options.name}')")


def import_minari(options: DataImportMinariOptions) -> None:
    """Append the episodes of a dataset of Minari to a store.

    Raises:
        ConfigError: there is no such dataset, or nothing says what its columns mean.
    """
    minari = minari_package()
    known = sorted(minari.list_local_datasets())
    if options.name not in known:
        raise ConfigError(f"{options.name}: Minari has no such dataset here; local ones: {', '.join(known) or 'none'}")
    dataset = minari.load_dataset(options.name)
    spec = _spec(dataset, options)
    episodes = tqdm(_episodes(dataset, options.name), desc="import", unit="episode", leave=False, disable=None)
    with store_lock(options.out):
        store = EpisodeStore.open(options.out, spec)
        appended = 0
        for number in itertools.count():
            batch = list(itertools.islice(episodes, EPISODES_PER_BATCH))
            # an import that was interrupted goes on behind the batches that are there
            about = {"minari": options.name, "batch": number}
            if not batch:
                break
            if about not in store.abouts:
                store.append(batch, about)
                appended += 1
    if appended == 0:
        raise ConfigError(f"{options.name}: {options.out} holds its episodes already")
    print(f"{options.out}: {len(store.episodes)} episodes, {store.num_steps} steps")


def minari_package() -> ModuleType:
    """The library, or an error that says how to install it."""
    return extra_package("minari", "minari")


def spaces_of(spec: RobotSpec) -> dict[str, Any]:
    """The spaces of Gymnasium that a robot's observations and actions are in."""
    box = importlib.import_module("gymnasium.spaces").Box
    low, high = (np.array([getattr(c, end) for c in spec.action], np.float32) for end in ("low", "high"))
    return {
        "observation_space": box(-np.inf, np.inf, (spec.obs_dim,), np.float32),
        "action_space": box(low, high, (spec.action_dim,), np.float32),
    }


def _buffer(buffer: Any, number: int, episode: Episode) -> Any:
    last = np.arange(len(episode)) == len(episode) - 1
    return buffer(
        id=number,
        observations=np.array(episode.obs),
        actions=np.array(episode.action),
        rewards=np.array(episode.reward),
        terminations=last & episode.ended,
        truncations=last & (not episode.ended),
        infos={},
    )


def _spec(dataset: Any, options: DataImportMinariOptions) -> RobotSpec:
    """What the columns mean: the file that the user gives, or what an export of this project has written."""
    if options.spec is not None:
        spec = load_yaml(options.spec, RobotSpec)
    elif FACTS in dataset.storage.metadata:
        spec = from_mapping(RobotSpec, json.loads(dataset.storage.metadata[FACTS]), source=options.name)
    else:
        raise ConfigError(f"{options.name}: says nothing about its channels; give --spec FILE with name, dt, obs and action")
    shapes = {"observation": (dataset.observation_space, spec.obs_dim), "action": (dataset.action_space, spec.action_dim)}
    for what, (space, num) in shapes.items():
        if getattr(space, "shape", None) != (num,):
            raise ConfigError(f"{options.name}: its {what} space is {space}; '{spec.name}' has {num} {what} channels")
    return spec


def _episodes(dataset: Any, name: str) -> Iterator[Episode]:
    metadata = dataset.storage.get_episode_metadata(dataset.episode_indices)
    for episode, about in zip(dataset.iterate_episodes(), metadata, strict=True):
        facts = json.loads(about.get(FACTS, "{}"))
        obs, action, reward = (np.asarray(x, np.float32) for x in (episode.observations, episode.actions, episode.rewards))
        tags = facts.get("tags", {"source": "minari", "dataset": name})
        yield Episode(obs, action, reward, tags, facts.get("history", 0), bool(episode.terminations[-1]))


def _next(name: str) -> str:
    """The name with the next version: rover/drives-v1 after rover/drives-v0."""
    stem, _, version = name.rpartition("-v")
    return f"{stem}-v{int(version) + 1}" if version.isdigit() else f"{name}-v1"
