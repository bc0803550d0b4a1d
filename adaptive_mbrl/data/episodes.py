"""Episodes in memory and on disk: raw SI units, the robot's spec, and tags that say where each came from.

A store is a folder: `spec.yaml`, and one `NNNNNN.safetensors` per batch of episodes, each written atomically and never changed,
so that a run that is killed at any moment keeps all the batches written before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.storage import write_bytes_atomically

SPEC_FILE = "spec.yaml"


@dataclass(frozen=True)
class Episode:
    """One uninterrupted stretch of a robot's life.

    Attributes:
        obs: observations in SI units, (T + 1, obs_dim) float32.
        action: the actions as they were sent, (T, action_dim) float32.
        reward: the reward of each step, (T,) float32.
        tags: facts that JSON can hold: `source` (random, oracle, policy, branch, bag ...), in simulation the `scenario`, and
            where it is known the `situation`, which episodes of equal dynamics share (see `data/situations.py`).
        history: number of first steps that only lead up to the rest: queries begin after them, and they are not counted.
        ended: whether the episode ended by itself at its last step (a fall, an unstable simulation), and was not cut at a limit.
        batch: the number of the batch that holds it in its store; a store says it when it takes or reads an episode.
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    tags: dict[str, Any] = field(default_factory=dict)
    history: int = 0
    ended: bool = False
    batch: int = 0

    def __len__(self) -> int:
        return len(self.action)


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
    def open(cls, folder: Path, spec: RobotSpec | None = None, num_batches: int = 0) -> EpisodeStore:
        """Read a store, or start an empty one when the folder holds none.

        Args:
            folder: the folder of the store.
            spec: the robot's spec; a new store needs it, an existing store must have the same.
            num_batches: number of batches that must be there at least.
        """
        if spec is not None and not (folder / SPEC_FILE).exists():
            save_yaml(folder / SPEC_FILE, spec)
        store = cls(cls.check(folder, spec), folder)
        files = sorted(folder.glob("[0-9]*.safetensors"))
        for file in files:
            episodes, about = _read_batch(file)
            store._add(episodes, about)
        if store.num_batches < num_batches:
            raise CheckpointError(f"{folder}: {num_batches} batches of episodes expected, {store.num_batches} found")
        return store

    @staticmethod
    def check(folder: Path, spec: RobotSpec | None = None) -> RobotSpec:
        """The spec of the store in `folder`; an error if there is none, or if it is not `spec`."""
        path = folder / SPEC_FILE
        if not path.exists():
            raise CheckpointError(f"{folder}: no episodes there (no {SPEC_FILE})")
        stored = load_yaml(path, RobotSpec)
        if spec is not None and stored != spec:
            raise CheckpointError(f"{folder}: holds episodes of another robot spec ('{stored.name}'); wanted '{spec.name}'")
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
            write_bytes_atomically(self.folder / f"{self.num_batches:06d}.safetensors", _batch_bytes(episodes, about or {}))
        self._add(episodes, about or {})

    def _add(self, episodes: Iterable[Episode], about: dict[str, Any]) -> None:
        self.episodes.extend(replace(episode, batch=self.num_batches) for episode in episodes)
        self.abouts.append(about)


def _batch_bytes(episodes: Iterable[Episode], about: dict[str, Any]) -> bytes:
    tensors, tags = {}, {"about": json.dumps(about)}
    for i, episode in enumerate(episodes):
        for name in ("obs", "action", "reward"):
            tensors[f"{i}.{name}"] = np.ascontiguousarray(getattr(episode, name), dtype=np.float32)
        tags[str(i)] = json.dumps({"tags": episode.tags, "history": episode.history, "ended": episode.ended})
    return save_tensors(tensors, metadata=tags)


def _read_batch(path: Path) -> tuple[list[Episode], dict[str, Any]]:
    content = path.read_bytes()
    try:
        tensors = load_tensors(content)
        header_size = int.from_bytes(content[:8], "little")
        tags = json.loads(content[8 : 8 + header_size])["__metadata__"]
        about = json.loads(tags.pop("about"))
        episodes = [
            Episode(tensors[f"{i}.obs"], tensors[f"{i}.action"], tensors[f"{i}.reward"], **json.loads(tags[str(i)]))
            for i in range(len(tags))
        ]
        return episodes, about
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged episode file: {error}") from error
