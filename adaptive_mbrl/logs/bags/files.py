"""Which files and folders are bags, and in which files the messages of a bag are."""

from __future__ import annotations

from pathlib import Path

STORAGE = (".mcap", ".db3")
"""Endings of files that hold messages: MCAP, and SQLite as rosbag2 writes it."""
COMPRESSED = tuple(f"{ending}.zstd" for ending in STORAGE)
"""Endings of such files in a rosbag2 that was recorded with `--compression-mode file`."""
METADATA = "metadata.yaml"
_MARK = b"rosbag2_bagfile_information"


def is_bag(path: Path) -> bool:
    """Whether this is a file that holds messages, or a rosbag2.

    A folder is a rosbag2 if its metadata say so. Without metadata, as after a power failure, it is one if its files are named
    after it: `run7/run7_0.mcap`. Otherwise each file is a bag of its own.
    """
    if not path.is_dir():
        return path.name.lower().endswith(STORAGE)
    files = storage_files(path)
    stem = path.resolve().name
    named = all(
        file.stem == stem or (file.stem.startswith(f"{stem}_") and file.stem[len(stem) + 1 :].isdigit()) for file in files
    )
    return bool(files) and (has_metadata(path) or named)


def has_metadata(folder: Path) -> bool:
    """Whether a folder has the metadata of a rosbag2, which its recorder writes last."""
    try:
        return _MARK in (folder / METADATA).read_bytes()
    except OSError:
        return False


def storage_files(path: Path) -> list[Path]:
    """The files that hold the messages of a bag, in the order of their names."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.name.lower().endswith((*STORAGE, *COMPRESSED)) and file.is_file())
