"""Episodes that a training is given, so that it collects none: those of another run, or a store of recorded ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tqdm import tqdm

from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.fine_tune import split
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.training.config import TrainConfig

_KEY = "key 'data.episodes_from'"


def given_episodes(config: TrainConfig, spec: RobotSpec) -> EpisodeStore | None:
    """The episodes that `data.episodes_from` names; None if the training collects its own.

    A run has chosen its validation episodes, and all of its files must be there. Of recordings, a file that is damaged is named
    on the screen and left out. Where no recorded episode is marked for validation, the last part of each is held out, as
    `data.validation_fraction` says.

    Args:
        config: the configuration of the training.
        spec: the spec of its robot, which the episodes must have.

    Raises:
        ConfigError: the folder holds no episodes, or these are too short.
        CheckpointError: the episodes of a run are damaged, or they are another robot's.
    """
    source, fraction = config.data.episodes_from, config.data.validation_fraction
    if source is None:
        return None
    folder = folder_of_episodes(source)
    damaged = None if folder != source else lambda error: tqdm.write(f"Left out: {error}")
    store = EpisodeStore.open(folder, EpisodeStore.check(folder, spec), damaged=damaged)
    if folder != source or fraction == 0 or any(e.tags.get("validation") for e in store.episodes):
        return store
    try:
        training, held_out = split(store.episodes, config.window, config.outer.query, fraction)
    except ConfigError as error:
        raise ConfigError(f"{_KEY}: {source}: {error}; or choose data.validation_fraction: 0") from error
    marked = [dataclasses.replace(e, tags={**e.tags, "validation": True}) for e in held_out]
    # in memory only: what was recorded stays as it is
    divided = EpisodeStore(spec)
    divided.episodes, divided.abouts = [*training, *marked], store.abouts
    return divided


def folder_of_episodes(source: Path) -> Path:
    """The store that `data.episodes_from` means: the folder itself, or that of a complete run's episodes."""
    if (source / SPEC_FILE).is_file():
        return source
    if (source / "checkpoint").is_dir():
        return source / "episodes"
    if (source / "episodes").is_dir():
        # a comparison needs all of the run's episodes
        raise ConfigError(f"{_KEY}: {source} is not a complete run (it has no checkpoint/); train it first")
    raise ConfigError(
        f"{_KEY}: {source} holds no episodes; allowed: the folder of a complete run (train it first), "
        "or one that collect, import-bag or data import wrote"
    )
