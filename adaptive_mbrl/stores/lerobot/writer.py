"""Writes the files of a dataset in LeRobot's format v3.0, episode by episode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.stores.lerobot import layout
from adaptive_mbrl.stores.lerobot.feature_statistics import Statistics, as_lists, merged, statistics_of
from adaptive_mbrl.stores.lerobot.tables import RollingFiles

_ROWS_AT_ONCE = 500
"""Episodes whose rows are kept in memory before they are written."""


class DatasetWriter:
    """A dataset that is written from its first episode to its last one.

    A frame is an observation and the action that was sent then. So an episode of T steps has T frames.

    Args:
        root: its folder.
        spec: the robot.
        most_bytes: size of a file before it is compressed.
    """

    def __init__(self, root: Path, spec: RobotSpec, most_bytes: int = layout.MEGABYTES_PER_FILE << 20) -> None:
        self._root, self._spec = root, spec
        self._fps = layout.frames_per_second(spec.dt)
        self._features = _features(spec)
        self._data = RollingFiles(root, layout.DATA, most_bytes)
        self._episodes = RollingFiles(root, layout.EPISODES, most_bytes)
        self._rows: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._statistics: dict[str, Statistics] = {}
        self._num_episodes, self._num_frames = 0, 0

    def add(self, episode: Episode, task: str) -> None:
        """Append an episode of at least one step.

        Args:
            episode: the episode.
            task: a sentence about what the robot does in it.
        """
        columns = self._columns(episode, self._tasks.setdefault(task, len(self._tasks)))
        table = _table(columns, self._features)
        chunk, file = self._data.place(table.nbytes)
        self._data.write(table)
        statistics = {name: statistics_of(values) for name, values in columns.items()}
        self._statistics = {name: merged(self._statistics.get(name), found) for name, found in statistics.items()}
        row = {
            "episode_index": self._num_episodes,
            "tasks": [task],
            "length": len(episode),
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": self._num_frames,
            "dataset_to_index": self._num_frames + len(episode),
        }
        row |= {f"stats/{name}/{key}": x for name, found in as_lists(statistics).items() for key, x in found.items()}
        self._rows.append(row)
        self._num_episodes, self._num_frames = self._num_episodes + 1, self._num_frames + len(episode)
        if len(self._rows) == _ROWS_AT_ONCE:
            self._write_rows()

    def finish(self) -> None:
        """Complete the files, and write those about the whole dataset."""
        self._write_rows()
        self._data.close()
        self._episodes.close()
        self._write_tasks()
        info = {
            "codebase_version": layout.VERSION,
            "robot_type": self._spec.name,
            "total_episodes": self._num_episodes,
            "total_frames": self._num_frames,
            "total_tasks": len(self._tasks),
            "chunks_size": layout.FILES_PER_CHUNK,
            "data_files_size_in_mb": layout.MEGABYTES_PER_FILE,
            "video_files_size_in_mb": layout.VIDEO_MEGABYTES_PER_FILE,
            "fps": self._fps,
            "splits": {"train": f"0:{self._num_episodes}"},
            "data_path": layout.DATA,
            "video_path": None,
            "features": self._features,
        }
        for name, content in ((layout.STATISTICS, as_lists(self._statistics)), (layout.INFO, info)):
            (self._root / name).write_text(json.dumps(content, indent=4), encoding="utf-8")

    def _columns(self, episode: Episode, task: int) -> dict[str, np.ndarray]:
        frames = np.arange(len(episode))
        last = frames == len(episode) - 1
        return {
            layout.STATE: np.asarray(episode.obs[:-1], np.float32),
            layout.ACTION: np.asarray(episode.action, np.float32),
            layout.REWARD: np.asarray(episode.reward, np.float32),
            layout.DONE: last,
            layout.TRUNCATED: last & (not episode.ended),
            layout.TIME: (frames / self._fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(len(episode), self._num_episodes),
            "index": self._num_frames + frames,
            "task_index": np.full(len(episode), task),
        }

    def _write_rows(self) -> None:
        if not self._rows:
            return
        table = extra_package("pyarrow", "lerobot").Table.from_pylist(self._rows)
        chunk, file = self._episodes.place(table.nbytes)
        for name, number in (("chunk", chunk), ("file", file)):
            table = table.append_column(f"meta/episodes/{name}_index", [[number] * len(self._rows)])
        self._episodes.write(table)
        self._rows = []

    def _write_tasks(self) -> None:
        """The tasks, as a table whose texts are the index of a pandas data frame."""
        pa = extra_package("pyarrow", "lerobot")
        columns = [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": None},
            {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object", "metadata": None},
        ]
        index = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.2.0"}
        table = pa.table({"task_index": list(self._tasks.values()), "task": list(self._tasks)})
        table = table.replace_schema_metadata({"pandas": json.dumps(index)})
        extra_package("pyarrow.parquet", "lerobot").write_table(table, self._root / layout.TASKS)


def _features(spec: RobotSpec) -> dict[str, dict[str, Any]]:
    """The entries of `info.json` about what a frame holds."""
    return {
        layout.STATE: layout.array_feature(spec.obs_names),
        layout.ACTION: layout.array_feature(spec.action_names),
        layout.REWARD: layout.number_feature("float32"),
        layout.DONE: layout.number_feature("bool"),
        layout.TRUNCATED: layout.number_feature("bool"),
        **{name: layout.number_feature(dtype) for name, dtype in layout.COUNTERS.items()},
    }


def _table(columns: dict[str, np.ndarray], features: dict[str, dict[str, Any]]) -> Any:
    """Columns as Arrow's types; an array with one number is a number, as LeRobot wants it."""
    pa = extra_package("pyarrow", "lerobot")
    types = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
    arrays = {}
    for name, values in columns.items():
        (width,), of = features[name]["shape"], types[features[name]["dtype"]]
        flat = pa.array(values.reshape(-1), of)
        arrays[name] = flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)
    return pa.table(arrays)
