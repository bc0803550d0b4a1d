"""Which log files are meant, and what tells the content of one from any other one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.files import STORAGE, is_bag, storage_files
from adaptive_mbrl.logs.tables import FORMATS, is_log

_AT_ONCE = 2**20


def log_files(paths: Sequence[Path]) -> list[Path]:
    """The logs that are meant: files, and rosbag2 folders. Another folder stands for all logs in it and in the folders below it.

    Raises:
        ConfigError: a folder holds no log file.
    """
    found: list[Path] = []
    for path in paths:
        inside = _logs_in(path) if path.is_dir() else [path]
        if not inside:
            allowed = f"files that end in {', '.join((*FORMATS, *STORAGE))}"
            raise ConfigError(f"{path}: no log files in it; allowed: {allowed}")
        found += inside
    return list(dict.fromkeys(found))


def _logs_in(folder: Path) -> list[Path]:
    if is_bag(folder):
        return [folder]
    bags = [path for path in folder.rglob("*") if path.is_dir() and is_bag(path)]
    files = [path for path in folder.rglob("*") if path.is_file() and (is_log(path) or is_bag(path)) and path.parent not in bags]
    return sorted([*bags, *files])


def content_digest(path: Path) -> str:
    """What tells the content of a log from any other one, whatever its name is.

    Raises:
        ConfigError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for part in storage_files(path):
            with part.open("rb") as file:
                while some := file.read(_AT_ONCE):
                    digest.update(some)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()
