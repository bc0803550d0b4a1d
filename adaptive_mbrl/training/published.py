"""Checkpoints that a training publishes while it goes on, so that robots can take up the newest one.

`RUN/published/000900/` is a checkpoint, named by its number of updates; it is complete or not there at all.
`RUN/published/newest` is a symbolic link to the newest of them, which is replaced in one step.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.storage import remove_leftovers, temporary_name

PUBLISHED = "published"
NEWEST = "newest"
KEPT = 3
"""Number of published checkpoints that are kept: whoever began to read one has the time of two more to finish."""


def publish(run: Path, checkpoint: Path, updates: int) -> Path:
    """Publish a checkpoint of a run, and remove those that are older than the newest `KEPT`.

    A reader who follows the link sees the old checkpoint or the new one. One process at a time may publish in a run.

    Args:
        run: the run folder.
        checkpoint: folder of the checkpoint; what else lies there, such as the optimiser's state, is not published.
        updates: its number of updates.

    Returns:
        The folder of the published checkpoint.
    """
    folder = run / PUBLISHED
    folder.mkdir(exist_ok=True)
    remove_leftovers(folder)
    target = folder / f"{updates:06d}"
    if not target.exists():
        save_checkpoint(target, load_checkpoint(checkpoint))
    link = temporary_name(folder / NEWEST)
    os.symlink(target.name, link)
    os.replace(link, folder / NEWEST)
    older = sorted((p for p in folder.iterdir() if p.name.isdigit() and p != target), key=lambda p: int(p.name))
    for path in older[: -(KEPT - 1)]:
        shutil.rmtree(path, ignore_errors=True)
    return target
