"""The sub-command `data push`: episodes from elsewhere, such as a robot's, for a training that goes on."""

from __future__ import annotations

from pathlib import Path

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.shards import hash_of, read_shard, written_hash
from adaptive_mbrl.data.store_lock import PUSH, store_lock
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.options import DataPushOptions
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.stores.check import checked
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.run_folder import CONFIG_FILE
from adaptive_mbrl.training.seen import PUSHED, seen_by, takes_batches


def push(options: DataPushOptions) -> None:
    """Append the batches of a store to the episodes of a training, those left out that it was given before.

    Raises:
        ConfigError: the training takes no episodes.
        CheckpointError: the episodes are another robot's, or damaged; then nothing is appended.
    """
    _require_open(options.run)
    target = options.run / "episodes"
    spec = EpisodeStore.check(target)
    EpisodeStore.check(options.folder, spec)
    new = {_digest(file): _read(file, spec) for file in shard_files(options.folder)}
    if not new:
        raise CheckpointError(f"{options.folder}: holds no episodes; allowed: a store that has some")
    # two programs that push the same store at the same time would both find nothing there
    with store_lock(target, PUSH):
        there = {about["digest"] for about in EpisodeStore.open(target, spec).abouts if PUSHED in about}
        fresh = {digest: episodes for digest, episodes in new.items() if digest not in there}
        for digest, episodes in fresh.items():
            _append(EpisodeStore(spec, target), episodes, {PUSHED: str(options.folder), "digest": digest})
    pushed = [episode for episodes in fresh.values() for episode in episodes]
    steps = sum(len(e) - e.history for e in pushed)
    skipped = len(new) - len(fresh)
    print(f"{options.run}: {len(pushed)} episodes, {steps} steps added; {skipped} files were there already")


def _require_open(run: Path) -> None:
    if not (run / CONFIG_FILE).is_file():
        raise ConfigError(f"{run}: no training is there (it has no {CONFIG_FILE}); allowed: the --run folder of one")
    if not takes_batches(run):
        raise ConfigError(f"{run}: this training collects all of its episodes itself; allowed: one started with --collectors")
    last = load_yaml(run / CONFIG_FILE, TrainConfig).num_rounds - 1
    if seen_by(run, last) is not None or (run / "checkpoint").is_dir():
        raise ConfigError(
            f"{run}: the last round has begun or is over; allowed: a training that has more, or fine-tune its checkpoint"
        )


def _read(file: Path, spec: RobotSpec) -> list[Episode]:
    episodes, problems = checked(file, spec)
    if problems:
        raise CheckpointError(f"{problems[0]}; nothing was added, 'adaptive-mbrl data check' names all problems")
    return episodes


def _append(store: EpisodeStore, episodes: list[Episode], about: dict[str, str]) -> None:
    try:
        store.append(episodes, about)
    except FileNotFoundError as error:
        # a training that starts clears away what its predecessor left unfinished
        raise CheckpointError(f"{store.folder}: the training began at this moment; run the same command again") from error


def _digest(file: Path) -> str:
    return written_hash(file) or hash_of(*read_shard(file))
