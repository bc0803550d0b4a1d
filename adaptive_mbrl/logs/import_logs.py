"""Turns the log files of a robot into episodes for training: the sub-command `data import`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from adaptive_mbrl.config import read_mapping, to_mapping
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore
from adaptive_mbrl.data.store_lock import store_lock
from adaptive_mbrl.data.stored_objective import save_objective
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.files import is_bag
from adaptive_mbrl.logs.config import LogConfig, load_log_config
from adaptive_mbrl.logs.files import content_digest, log_files
from adaptive_mbrl.logs.log import read_log
from adaptive_mbrl.logs.outcome_table import print_stretches
from adaptive_mbrl.logs.row_times import require_no_times
from adaptive_mbrl.options import DataImportOptions
from adaptive_mbrl.units import notes_on_units

MAX_NAMES = 5
"""Files that the last error names; each has said before why it was skipped."""


def import_logs(options: DataImportOptions) -> None:
    """Append the episodes of log files to a store, one batch per file, and print what was left out and why.

    A file that the store holds already is left out. A file that cannot be read is named, and the others are imported.

    Raises:
        StoreInUseError: another process imports into the store.
        ConfigError: a file could not be read; all others are imported by then.
    """
    config = load_log_config(options.config)
    files = log_files(options.files)
    mapping = json.dumps(to_mapping(read_mapping(options.config)), sort_keys=True, default=str)
    digest = hashlib.sha256(mapping.encode()).hexdigest()
    if options.out.is_file():
        raise ConfigError(f"--out: {options.out} is a file; allowed: a folder")
    notes = [f"Note: {note}" for note in notes_on_units(config.spec)]
    for note in notes:
        print(note)
    with store_lock(options.out):
        target = _Target(options.out, config, digest)
        failed = _import_files(files, config, options.config, target)
    for note in notes:
        # the tables may have scrolled it away
        print(note)
    if not failed and target.is_empty:
        raise ConfigError(f"nothing was imported from {len(files)} files; the tables above say why")
    if failed:
        names = ", ".join(map(str, failed[:MAX_NAMES])) + (", ..." if len(failed) > MAX_NAMES else "")
        raise ConfigError(f"{len(failed)} of {len(files)} files could not be imported: {names}")


def _import_files(files: Sequence[Path], config: LogConfig, source: Path, target: _Target) -> list[Path]:
    """Import files by the configuration of a YAML file, and name those that could not be."""
    failed = []
    with tqdm(files, desc="import", unit="file", leave=False, disable=None) as bar:
        for path in bar:
            with tqdm.external_write_mode():
                try:
                    _import_file(path, config, source, target)
                except ConfigError as error:
                    failed.append(path)
                    print(f"skipped: {error}")
    print(target.summary())
    return failed


class _Target:
    """The store that episodes are appended to; it is made with the first ones. Of one that is there, damaged files are skipped.

    Args:
        folder: the folder of the store.
        config: the robot, and what it is rewarded for.
        mapping: digest of the YAML file that the logs are read with.
    """

    def __init__(self, folder: Path, config: LogConfig, mapping: str) -> None:
        self._folder, self._config, self._mapping = folder, config, mapping
        self._store = None
        if (folder / SPEC_FILE).exists():
            self._store = EpisodeStore.open(folder, config.spec, damaged=lambda error: print(f"Skipped: {error}"))
            if any(about["log"]["mapping"] != mapping for about in self._store.abouts if "log" in about):
                print(f"Note: other files in {folder} were imported by another mapping of columns; do the two mean the same?")

    @property
    def is_empty(self) -> bool:
        """Whether there is no episode in the store."""
        return self._store is None or not self._store.episodes

    def holds(self, digest: str) -> bool:
        """Whether the store holds a file with this content.

        Raises:
            ConfigError: it was imported with another mapping.
        """
        logs = [about["log"] for about in self._store.abouts if "log" in about] if self._store else []
        log = next((log for log in logs if log["sha256"] == digest), None)
        if log is not None and log["mapping"] != self._mapping:
            raise ConfigError(
                f"{self._folder} holds its episodes already, by another mapping of columns; choose another folder with --out"
            )
        return log is not None

    def append(self, path: Path, digest: str, episodes: Sequence[Episode]) -> None:
        """Append the episodes of a file."""
        if self._store is None:
            self._store = EpisodeStore.open(self._folder, self._config.spec)
        if self._config.reward_function is not None:
            save_objective(self._folder, self._config.reward_function)
        self._store.append(episodes, {"log": {"file": path.name, "sha256": digest, "mapping": self._mapping}})

    def summary(self) -> str:
        """What the store holds now."""
        store = self._store or EpisodeStore(self._config.spec)
        return f"{self._folder}: {len(store.episodes)} episodes, {store.num_steps} steps"


def _import_file(path: Path, config: LogConfig, source: Path, target: _Target) -> None:
    if is_bag(path):
        try:
            require_no_times(config)
        except ConfigError as error:
            raise ConfigError(f"{path}: {source}: {error}") from error
    digest = content_digest(path)
    try:
        if target.holds(digest):
            print(f"{path}: imported already")
            return
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    log = read_log(path, config)
    print(path)
    print_stretches(log.stretches, config.dt, log.notes)
    print()
    if log.episodes:
        target.append(path, digest, log.episodes)
