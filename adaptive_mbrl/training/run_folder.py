"""The folder of a training run: which run it is, and that only one process works on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import load_yaml, save_yaml, to_mapping
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.file_lock import Purpose, locked_file
from adaptive_mbrl.process import Process
from adaptive_mbrl.storage import remove_leftovers, write_text_atomically

CONFIG_FILE = "config.yaml"
MULTITASK = "multitask"
"""Folder of the multi-task model's run, within the run of a training that is compared with it."""


class RunFolderError(AdaptiveMBRLError):
    """A run folder belongs to another process, or it cannot be written."""


_TRAINING = Purpose("training in", "trains in", "--run", RunFolderError)


@contextmanager
def claimed(run: Path, config: Any, files: Mapping[str, str], revision: str) -> Iterator[None]:
    """Keep other processes out of a run folder, and make sure that it is the folder of this run.

    A new folder gets copies of all that the run depends on. What a killed process left unfinished in an old one is removed.

    Args:
        run: the run folder.
        config: the configuration of the run, a dataclass.
        files: contents of the files that the configuration names, by the names of their copies in the folder.
        revision: git revision of the code that starts a new run.

    Raises:
        RunFolderError: another process holds the folder.
        ConfigError: the folder is that of a run with another configuration or other files.
    """
    run.mkdir(parents=True, exist_ok=True)
    with _locked(run):
        if (run / CONFIG_FILE).exists():
            check_same_run(run, config, files)
            for folder in (run, run / "rounds", run / "episodes"):
                remove_leftovers(folder)
        else:
            _set_up(run, config, files, revision)
        yield


@contextmanager
def claimed_by_all(process: Process, run: Path, config: Any, files: Mapping[str, str], revision: str) -> Iterator[None]:
    """What `claimed` does, for processes that train together: the main one claims the folder, then all may read it."""
    with claimed(run, config, files, revision) if process.is_main else nullcontext():
        process.barrier()
        yield


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Hold the lock of a run folder; the operating system releases it when the process ends, however that happens."""
    with locked_file(run, _TRAINING) as file:
        try:
            yield
        finally:
            file.truncate(0)


def _set_up(run: Path, config: Any, files: Mapping[str, str], revision: str) -> None:
    for name, text in files.items():
        write_text_atomically(run / name, text)
    write_text_atomically(run / "git_revision.txt", revision + "\n")
    # this file comes last, because a folder with a configuration counts as a run
    save_yaml(run / CONFIG_FILE, config)


def difference(one: Any, other: Any, key: str = "") -> tuple[str, Any, Any]:
    """The first key whose values differ in two nested mappings, with dots between the names of a nested one, and both values."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        name = next(name for name in one if one[name] != other[name])
        return difference(one[name], other[name], f"{key}.{name}" if key else name)
    return key, one, other


def check_same_run(run: Path, config: Any, files: Mapping[str, str]) -> None:
    """Refuse a configuration and files that are not those of the run in a folder.

    Raises:
        ConfigError: one of them differs.
    """
    path = run / CONFIG_FILE
    before = load_yaml(path, type(config))
    if before != config:
        key, there, here = difference(to_mapping(before), to_mapping(config))
        raise ConfigError(
            f"{path}: this run was started with another configuration, whose '{key}' is {there} and not {here}; "
            "choose another --run folder or delete it"
        )
    for name, text in files.items():
        if not (run / name).is_file() or (run / name).read_text() != text:
            raise ConfigError(
                f"{run / name}: this run was started with another content of that file; choose another --run folder or delete it"
            )
