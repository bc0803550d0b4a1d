"""What all imports of other libraries' datasets have in common: batches that are appended to a store, each of them once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore
from adaptive_mbrl.data.store_lock import store_lock
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.units import notes_on_units, require_units


@dataclass(frozen=True)
class Batch:
    """Episodes that are written as one file.

    Attributes:
        about: facts that tell this batch from all others.
        size: number of its episodes.
        episodes: the episodes, which are read when they are looked at.
    """

    about: dict[str, Any]
    size: int
    episodes: Iterable[Episode]


def spec_with_si_units(path: Path) -> RobotSpec:
    """Read the YAML file of a robot whose data are imported.

    Raises:
        ConfigError: it is wrong, or a channel has a unit that is a usual mistake.
    """
    spec = load_yaml(path, RobotSpec)
    try:
        require_units(spec)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    print_notes_on_units(spec)
    return spec


def print_notes_on_units(spec: RobotSpec) -> None:
    """Name each unit that nobody knows here."""
    for note in notes_on_units(spec):
        print(f"Note: {note}")


def append_batches(name: str, folder: Path, spec: RobotSpec, batches: Sequence[Batch]) -> None:
    """Append the batches of a dataset to a store, and print what the store holds then.

    An import that was interrupted goes on behind the batches that are there, and one that is complete changes nothing. Nothing is
    made before the first batch is read.

    Args:
        name: name of the dataset, for messages.
        folder: folder of the store, which may be new.
        spec: the robot.
        batches: all batches of the dataset.

    Raises:
        StoreInUseError: another process imports into the store.
        CheckpointError: the store is that of another robot.
        ConfigError: the folder is a file, or the batches hold no episode.
    """
    if folder.is_file():
        raise ConfigError(f"--out: {folder} is a file; allowed: a folder")
    with store_lock(folder):
        store = EpisodeStore.open(folder, spec) if (folder / SPEC_FILE).exists() else None
        new = [batch for batch in batches if store is None or batch.about not in store.abouts]
        if batches and not new:
            print(f"{name}: imported already")
        with tqdm(total=sum(b.size for b in new), desc="import", unit="episode", leave=False, disable=None) as bar:
            for batch in new:
                episodes = []
                for episode in batch.episodes:
                    episodes.append(episode)
                    bar.update()
                if episodes:
                    store = store or EpisodeStore.open(folder, spec)
                    store.append(episodes, batch.about)
    if store is None or not batches:
        raise ConfigError(f"{name}: holds no episode to import")
    print(f"{folder}: {len(store.episodes)} episodes, {store.num_steps} steps")
