"""The sub-command `data merge`: the episodes of several stores in one."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore, shard_files
from adaptive_mbrl.data.shards import check_shard, hash_of, read_shard, written_hash
from adaptive_mbrl.data.stored_objective import OBJECTIVE_FILE, load_objective, save_objective
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.options import DataMergeOptions


def merge(options: DataMergeOptions) -> None:
    """Append the files of some stores to another one, those left out that it holds already.

    Raises:
        CheckpointError: the stores are not of the same robot or say different rewards, or a file is damaged; then nothing is
            written.
    """
    spec = EpisodeStore.check(options.folders[0])
    if (options.out / SPEC_FILE).exists():
        EpisodeStore.check(options.out, spec)
    for folder in options.folders:
        EpisodeStore.check(folder, spec)
        if folder.resolve() == options.out.resolve():
            raise CheckpointError(f"{folder}: cannot be merged into itself; allowed: another --out")
    objective = _objective(options)
    files = [file for folder in options.folders for file in shard_files(folder)]
    for file in files:
        check_shard(file)
    store = EpisodeStore.open(options.out, spec)
    there = {_hash(file) for file in shard_files(options.out)}
    skipped = 0
    for file in tqdm(files, desc="merge", unit="file", leave=False, disable=None):
        skipped += not _append(store, file, there)
    if objective is not None:
        save_objective(options.out, objective)
    held_out = sum(bool(e.tags.get("validation")) for e in store.episodes)
    if held_out:
        print(f"{held_out} episodes are marked as held out, and stay so; merge first, and split then")
    print(f"{options.out}: {len(store.episodes)} episodes, {store.num_steps} steps; {skipped} files were there already")


def _objective(options: DataMergeOptions) -> Objective | None:
    """What all stores with an objective are rewarded for."""
    found: dict[Path, Objective] = {}
    for folder in (options.out, *options.folders):
        objective = load_objective(folder, EpisodeStore.check(options.folders[0]))
        if objective is not None:
            found[folder] = objective
    of = {(objective.terms, objective.goal_names): folder for folder, objective in found.items()}
    if len(of) > 1:
        one, other, *_ = (folder / OBJECTIVE_FILE for folder in of.values())
        raise CheckpointError(f"{one} and {other} say different rewards; allowed: the same in all stores")
    return next(iter(found.values()), None)


def _append(store: EpisodeStore, file: Path, there: set[str]) -> bool:
    """Append a file to a store; False if it is there already."""
    digest = _hash(file)
    if digest in there:
        return False
    store.append(*read_shard(file))
    there.add(digest)
    return True


def _hash(file: Path) -> str:
    # a file of schema 1 carries no hash
    return written_hash(file) or hash_of(*read_shard(file))
