"""Episodes that a training is given, so that it collects none: those of another run, or a store of recorded ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore, shard_files
from adaptive_mbrl.data.shards import read_shard, written_hash
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.meta.fine_tune import split
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.run_folder import CONFIG_FILE

KEY = "key 'data.episodes_from'"
"""How messages name the key; `train --data` replaces it by the flag."""
FILES_FILE = "episodes.txt"
"""In the folder of a run that trains on recordings: the name and the hash of each of their files, one in a line."""


def files_of_recordings(config: TrainConfig, run: Path) -> dict[str, str]:
    """The copies that a run's folder gets, by their names: which files of a store of recordings the run trains on.

    A store may grow while a run is interrupted. The run goes on with the files that it began with. Damaged files are named on the
    screen and left out. Episodes of another run need no list, because they never change.

    Args:
        config: the configuration of the training.
        run: its folder, which may be new.

    Raises:
        ConfigError: a file that the run began with is not there any more, or has another content.
    """
    source = config.data.episodes_from
    if source is None or folder_of_episodes(source) != source:
        return {}
    listed = run / FILES_FILE
    if not (run / CONFIG_FILE).is_file():
        return {FILES_FILE: "".join(_lines(source))}
    if not listed.is_file():
        # a run of an earlier version
        return {}
    text = listed.read_text(encoding="utf-8")
    for name, _, digest in (line.rpartition(" ") for line in text.splitlines()):
        if not (source / name).is_file() or _digest(source / name) != digest:
            raise ConfigError(
                f"{listed}: this run began with {source / name}, which is not there any more or has another content; "
                "choose another --run folder"
            )
    return {FILES_FILE: text}


def given_episodes(config: TrainConfig, spec: RobotSpec, files: Mapping[str, str] | None = None) -> EpisodeStore | None:
    """The episodes that `data.episodes_from` names; None if the training collects its own.

    A run has chosen its validation episodes. Where no recorded episode is marked for validation, the last part of each is held
    out, as `data.validation_fraction` says.

    Args:
        config: the configuration of the training.
        spec: the spec of its robot, which the episodes must have.
        files: what `files_of_recordings` gave; None for all files.

    Raises:
        ConfigError: the folder holds no episodes, or these are too short.
        CheckpointError: the episodes are damaged, or another robot's.
    """
    source, fraction = config.data.episodes_from, config.data.validation_fraction
    if source is None:
        return None
    folder = folder_of_episodes(source)
    listed = None if files is None else files.get(FILES_FILE)
    names = None if listed is None else {line.rpartition(" ")[0] for line in listed.splitlines()}
    store = EpisodeStore.open(folder, EpisodeStore.check(folder, spec), names=names)
    if folder != source:
        return store
    if fraction == 0 or any(e.tags.get("validation") for e in store.episodes):
        _require_window(store, config.window)
        return store
    try:
        training, held_out = split(store.episodes, config.window, config.outer.query, fraction)
    except ConfigError as error:
        raise ConfigError(f"{KEY}: {source}: {error}; or choose data.validation_fraction: 0") from error
    _require_window(store, config.window)
    marked = [dataclasses.replace(e, tags={**e.tags, "validation": True}) for e in held_out]
    # in memory only: what was recorded stays as it is
    divided = EpisodeStore(spec)
    divided.episodes, divided.abouts = [*training, *marked], store.abouts
    return divided


def _require_window(store: EpisodeStore, window: int) -> None:
    """Refuse windows that no episode could ever fill: a training would never see what the controller then adapts from."""
    longest = max((len(e) for e in store.episodes if not e.tags.get("validation")), default=0)
    if 0 < longest < window:
        raise ConfigError(
            f"key 'window': {window} transitions are more than any episode has; allowed: at most {longest}, as in the longest one"
        )


def folder_of_episodes(source: Path, key: str = KEY) -> Path:
    """The store that `data.episodes_from` means: the folder itself, or that of a complete run's episodes.

    Args:
        source: the folder that was named.
        key: the key or flag that named it, for messages.
    """
    if (source / SPEC_FILE).is_file():
        return source
    if (source / "checkpoint").is_dir():
        return source / "episodes"
    if (source / "episodes").is_dir():
        # a comparison needs all of the run's episodes
        raise ConfigError(f"{key}: {source} is not a complete run (it has no checkpoint/); train it first")
    raise ConfigError(
        f"{key}: {source} holds no episodes; allowed: the folder of a complete run (train it first), "
        "or one that collect, import-bag or data import wrote"
    )


def _lines(source: Path) -> Iterator[str]:
    for file in shard_files(source):
        try:
            read_shard(file)
            yield f"{file.name} {_digest(file)}\n"
        except CheckpointError as error:
            tqdm.write(f"Left out: {error}")


def _digest(file: Path) -> str:
    """The hash of a file; of one without, its size."""
    return written_hash(file) or f"{file.stat().st_size}-bytes"
