"""Recordings of the point mass, and settings of a training on them that takes a moment."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from adaptive_mbrl.data.episodes import EpisodeStore
from tests.core.analytic import POINT, point_episodes

SMALL = (
    "model.hidden=[16]",
    "model.members=1",
    "model.context_dim=2",
    "window=4",
    "outer.query=3",
    "outer.meta_batch_size=16",
    "outer.validation_windows=16",
    "updates_initial=4",
    "updates_final=4",
)


def write_recordings(folder: Path) -> Path:
    """Eight episodes in four files; the gain is the situation, and those of the last file are held out."""
    store = EpisodeStore.open(folder, POINT)
    for i in range(4):
        tags = {"source": "log", "situation": {"gain": i}, **({"validation": True} if i == 3 else {})}
        store.append([dataclasses.replace(e, tags=tags) for e in point_episodes(2, seed=i)])
    return folder.absolute()
