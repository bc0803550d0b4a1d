"""Episodes in memory and on disk: raw SI units, the robot's spec, and tags that say where each came from.

A store is a folder: `spec.yaml`, and one `NNNNNN.safetensors` per batch of episodes (`shards.py`), each written atomically and
never changed. So a run that is killed at any moment keeps all the batches written before, and several programs may append to one
store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.shards import read_shard, shard_bytes
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.spec import RobotSpec, spec_differences
from adaptive_mbrl.storage import write_new_bytes_atomically

SPEC_FILE = "spec.yaml"


class EpisodeStore:
    """Append-only episodes of one robot.

    Args:
        spec: the robot's spec.
        folder: where batches are kept; None keeps them in memory only.
    """

    def __init__(self, spec: RobotSpec, folder: Path | None = None) -> None:
        self.spec = spec
        self.folder = folder
        self.episodes: list[Episode] = []
        self.abouts: list[dict[str, Any]] = []

    @classmethod
    def open(
        cls,
        folder: Path,
        spec: RobotSpec | None = None,
        num_batches: int = 0,
        damaged: Callable[[CheckpointError], None] | None = None,
        names: Collection[str] | None = None,
    ) -> EpisodeStore:
        """Open a store, or start an empty one when the folder holds none. Large episodes stay on disk until they are looked at.

        Args:
            folder: the folder of the store.
            spec: the robot's spec; a new store needs it, an existing store must have the same.
            num_batches: number of batches that must be there at least.
            damaged: is told of each batch that cannot be read and is skipped; None to raise the error instead.
            names: names of the files to read; None for all.
        """
        if spec is not None and not folder.is_file() and not (folder / SPEC_FILE).exists():
            save_yaml(folder / SPEC_FILE, spec)
        store = cls(cls.check(folder, spec), folder)
        for file in shard_files(folder):
            if names is not None and file.name not in names:
                continue
            try:
                episodes, about = read_shard(file, store.num_batches)
            except CheckpointError as error:
                if damaged is None:
                    raise
                damaged(error)
                continue
            store.episodes.extend(episodes)
            store.abouts.append(about)
        if store.num_batches < num_batches:
            raise CheckpointError(f"{folder}: {num_batches} batches of episodes expected, {store.num_batches} found")
        return store

    @staticmethod
    def check(folder: Path, spec: RobotSpec | None = None) -> RobotSpec:
        """The spec of the store in `folder`; an error if there is none, or if it is not `spec`."""
        path = folder / SPEC_FILE
        if folder.is_file():
            raise CheckpointError(f"{folder}: is a file; allowed: a folder of episodes")
        if not path.exists():
            raise CheckpointError(f"{folder}: no episodes there (no {SPEC_FILE})")
        stored = load_yaml(path, RobotSpec)
        if spec is not None and stored != spec:
            difference = next(spec_differences(stored, spec))
            raise CheckpointError(f"{folder}: holds episodes of another robot: {difference}")
        return stored

    @property
    def num_steps(self) -> int:
        """Number of control steps, without the episodes' histories."""
        return sum(len(e) - e.history for e in self.episodes)

    @property
    def num_batches(self) -> int:
        return len(self.abouts)

    def append(self, episodes: Sequence[Episode], about: dict[str, Any] | None = None) -> None:
        """Add a batch of episodes, on disk first.

        Args:
            episodes: new episodes of this robot.
            about: facts about the batch that JSON can hold; they are kept with it in `abouts`.
        """
        if self.folder is not None:
            content = shard_bytes(episodes, about or {})
            files = shard_files(self.folder)
            number = int(files[-1].stem) + 1 if files else 0
            # another program may append at the same time
            while not write_new_bytes_atomically(self.folder / f"{number:06d}.safetensors", content):
                number += 1
        self.episodes.extend(replace(episode, batch=self.num_batches) for episode in episodes)
        self.abouts.append(about or {})


def shard_files(folder: Path) -> list[Path]:
    """The files of a store's batches, in the order in which they were appended."""
    return sorted(folder.glob("[0-9]*.safetensors"))
