"""Reads the files of a dataset in LeRobot's format v3.0, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.stores.lerobot import layout
from adaptive_mbrl.stores.lerobot.tables import damage_named, read_columns

_FRAMES_OF = "episode_index"


@dataclass(frozen=True)
class Entry:
    """What a dataset says about one of its episodes.

    Attributes:
        index: number of the episode.
        length: number of its frames.
        tasks: what the robot does in it.
    """

    index: int
    length: int
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A dataset that is opened to be read.

    Attributes:
        root: its folder.
        fps: frames per second.
        robot: the kind of robot; empty if nobody said it.
        features: the entries of `info.json` about what a frame holds.
        data_path: pattern of the paths of its files.
        files: the episodes in each file, by the numbers of chunk and file.
    """

    root: Path
    fps: float
    robot: str
    features: Mapping[str, Mapping[str, Any]]
    data_path: str
    files: Mapping[tuple[int, int], tuple[Entry, ...]]

    @property
    def lengths(self) -> dict[int, int]:
        """The number of frames of each episode, by the number of the episode."""
        return {entry.index: entry.length for entries in self.files.values() for entry in entries}

    def path(self, file: tuple[int, int]) -> Path:
        """The file of frames with these numbers."""
        return self.root / self.data_path.format(chunk_index=file[0], file_index=file[1])

    def episodes(self, file: tuple[int, int], names: tuple[str, ...]) -> Iterator[tuple[Entry, dict[str, np.ndarray]]]:
        """The episodes of a file, and columns of their frames.

        Raises:
            ConfigError: the file is damaged, or does not hold the frames that it should.
        """
        path = self.path(file)
        columns = read_columns(path, (_FRAMES_OF, *names))
        number = columns.pop(_FRAMES_OF)
        order = np.argsort(number, kind="stable")
        for entry in self.files[file]:
            begin, end = np.searchsorted(number, (entry.index, entry.index + 1), sorter=order)
            rows = order[begin:end]
            if len(rows) != entry.length:
                raise ConfigError(f"{path}: damaged: {len(rows)} frames of episode {entry.index}; it has {entry.length}")
            yield entry, {name: values[rows] for name, values in columns.items()}


def open_dataset(root: Path) -> Dataset:
    """Read what a dataset says about itself.

    Raises:
        ConfigError: there is no dataset, it is damaged, or it has another format.
    """
    path = root / layout.INFO
    if not path.is_file():
        raise ConfigError(f"{root}: is no dataset of LeRobot (no {layout.INFO})")
    with damage_named(path):
        info = json.loads(path.read_text(encoding="utf-8"))
        version = str(info["codebase_version"])
    if not version.startswith("v3."):
        raise ConfigError(
            f"{root}: has the format {version}; allowed: v3.x, into which LeRobot's "
            "'python -m lerobot.datasets.v30.convert_dataset_v21_to_v30' turns it"
        )
    with damage_named(path):
        fps, features, data_path = float(info["fps"]), info["features"], str(info.get("data_path") or layout.DATA)
        if not fps > 0:
            raise ValueError(f"fps is {fps:g}")
    return Dataset(root, fps, str(info.get("robot_type") or ""), features, data_path, _files(root))


def _files(root: Path) -> dict[tuple[int, int], tuple[Entry, ...]]:
    """The episodes by the file that holds their frames, both in the order of the dataset."""
    paths = sorted((root / layout.EPISODES).parent.parent.glob("*/*.parquet"))
    if not paths:
        raise ConfigError(f"{root}: has no episodes (no {layout.EPISODES.format(chunk_index=0, file_index=0)})")
    found: dict[tuple[int, int], list[Entry]] = {}
    for path in paths:
        names = ("episode_index", "length", "tasks", "data/chunk_index", "data/file_index")
        columns = read_columns(path, names)
        with damage_named(path):
            for index, length, tasks, chunk, file in zip(*(columns[name] for name in names), strict=True):
                entry = Entry(int(index), int(length), tuple(map(str, tasks)))
                found.setdefault((int(chunk), int(file)), []).append(entry)
    return {file: tuple(sorted(entries, key=lambda e: e.index)) for file, entries in sorted(found.items())}
