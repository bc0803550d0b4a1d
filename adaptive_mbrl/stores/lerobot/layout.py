"""Where LeRobot's format v3.0 keeps what, as in `lerobot/datasets/utils.py` and `dataset_writer.py`.

A dataset is a folder. `data/` holds the frames of many episodes one after another, `meta/episodes/` one row for each episode that
says in which file its frames are. Files are numbered within chunks: `chunk-000/file-000.parquet`.
"""

from __future__ import annotations

from typing import Any

VERSION = "v3.0"
INFO = "meta/info.json"
STATISTICS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILES_PER_CHUNK = 1000
MEGABYTES_PER_FILE = 100
VIDEO_MEGABYTES_PER_FILE = 200

STATE, ACTION, OBSERVATIONS = "observation.state", "action", "observation."
REWARD, DONE, TRUNCATED = "next.reward", "next.done", "next.truncated"
TIME = "timestamp"
COUNTERS = {TIME: "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64", "task_index": "int64"}
"""What every dataset has, and its type: the time since the episode's begin [s], and numbers of the frame in its episode, of the
episode, of the frame in the dataset, and of the task."""

OURS = "meta/adaptive_mbrl"
"""Folder of what only this project knows; LeRobot's readers do not look into it."""


def array_feature(names: tuple[str, ...]) -> dict[str, Any]:
    """The entry in `info.json` of an array with one named number for each channel."""
    return {"dtype": "float32", "shape": [len(names)], "names": list(names)}


def number_feature(dtype: str) -> dict[str, Any]:
    """The entry in `info.json` of a single number."""
    return {"dtype": dtype, "shape": [1], "names": None}


def frames_per_second(dt: float) -> float:
    """The rate of a control period [s]: a whole number where it is one, which LeRobot expects."""
    rate = 1 / dt
    return round(rate) if abs(rate - round(rate)) < 1e-6 * rate else rate
