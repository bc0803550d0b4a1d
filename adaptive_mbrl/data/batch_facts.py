"""What is known about the batches of a store that other programs append to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adaptive_mbrl.data.episodes import shard_files
from adaptive_mbrl.data.shards import read_shard


class BatchFacts:
    """The facts about all batches of a store; no file is read twice.

    Args:
        folder: the folder of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: list[dict[str, Any]] = []

    def read(self) -> Sequence[dict[str, Any]]:
        """The facts about each batch that is there now, in the order in which they were appended.

        Raises:
            CheckpointError: a new file is damaged.
        """
        # a new batch is always the last one
        self._known += [read_shard(file)[1] for file in shard_files(self._folder)[len(self._known) :]]
        return self._known
