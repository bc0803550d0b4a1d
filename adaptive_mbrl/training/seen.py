"""Which batches of episodes each round of a training was fitted to, where other processes add batches all the time.

A round that was interrupted goes on with the same batches, whatever has come since. Batches have consecutive numbers and are
never removed, so that their number says which ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.spec import RobotSpec

SEEN = "seen"
"""Folder of a run that says what its rounds saw. A run has it if its episodes are collected while it fits."""
PUSHED = "pushed_from"
"""Fact about a batch that `data push` added: the store that it came from. Its fact `digest` is the hash of its file there."""


@dataclass(frozen=True)
class Seen:
    """What a round is fitted to.

    Attributes:
        batches: number of batches in the store when the round began; it is fitted to these.
        staleness: for each batch that no earlier round saw, the learner's updates minus those of the collector's checkpoint; -1
            for a batch that no checkpoint of this run collected, and for one that repeats an earlier batch and so does not count.
    """

    batches: int
    staleness: tuple[int, ...] = ()


def seen_by(run: Path, index: int) -> Seen | None:
    """What round `index` of a run is fitted to; None if it has not begun."""
    path = run / SEEN / f"{index:03d}.yaml"
    return load_yaml(path, Seen) if path.is_file() else None


def save_seen(run: Path, index: int, seen: Seen) -> None:
    """Settle what round `index` of a run is fitted to."""
    save_yaml(run / SEEN / f"{index:03d}.yaml", seen)


def takes_batches(run: Path) -> bool:
    """Whether a run is one whose episodes are collected while it fits, so that others may add to them."""
    return (run / SEEN).is_dir()


def first_batches(folder: Path, spec: RobotSpec, num: int) -> EpisodeStore:
    """The first `num` batches of a store, which has at least so many."""
    return EpisodeStore.open(folder, spec, num, names={file.name for file in shard_files(folder)[:num]})
