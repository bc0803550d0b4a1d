"""What LeRobot's format has no place for, in a folder of its own within the dataset.

`spec.yaml` and `objective.yaml` are those of a store. `episodes.parquet` has one row for each episode: its tags as JSON, its
history, whether it ended by itself, the last observation, which no frame holds, because a frame has an action, and its measured
stamps, because the times of LeRobot's frames are a frame's period apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore
from adaptive_mbrl.data.stored_objective import load_objective, save_objective
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.stores.lerobot.layout import OURS
from adaptive_mbrl.stores.lerobot.tables import damage_named

EPISODES_FILE = "episodes.parquet"


class Facts(NamedTuple):
    """What an episode has beside its frames.

    Attributes:
        tags: its tags.
        history: its number of steps that only lead up to the rest.
        ended: whether it ended by itself.
        last_obs: observation after its last step, (obs_dim,).
        stamps: when its observations were measured [s], (T + 1,); None where nobody measured it.
    """

    tags: dict[str, Any]
    history: int
    ended: bool
    last_obs: np.ndarray
    stamps: np.ndarray | None


def save_ours(root: Path, store: EpisodeStore, episodes: Sequence[Episode]) -> None:
    """Write what LeRobot has no place for.

    Args:
        root: folder of the dataset.
        store: the store that is exported.
        episodes: those of its episodes that are, in the order of the dataset.
    """
    pa, parquet = extra_package("pyarrow", "lerobot"), extra_package("pyarrow.parquet", "lerobot")
    save_yaml(root / OURS / SPEC_FILE, store.spec)
    objective = None if store.folder is None else load_objective(store.folder, store.spec)
    if objective is not None:
        save_objective(root / OURS, objective)
    columns = {
        "episode_index": pa.array(range(len(episodes)), pa.int64()),
        "length": pa.array(map(len, episodes), pa.int64()),
        "tags": pa.array([json.dumps(e.tags) for e in episodes], pa.string()),
        "history": pa.array([e.history for e in episodes], pa.int64()),
        "ended": pa.array([e.ended for e in episodes], pa.bool_()),
        "last_obs": pa.array([e.obs[-1] for e in episodes], pa.list_(pa.float32())),
        "stamps": pa.array([e.stamps for e in episodes], pa.list_(pa.float64())),
    }
    parquet.write_table(pa.table(columns), root / OURS / EPISODES_FILE)


def load_spec(root: Path) -> RobotSpec | None:
    """The robot of a dataset that `data export-lerobot` wrote; None for any other one."""
    path = root / OURS / SPEC_FILE
    return load_yaml(path, RobotSpec) if path.exists() else None


def load_our_objective(root: Path, spec: RobotSpec) -> Objective | None:
    """What is rewarded in a dataset that `data export-lerobot` wrote; None if the store did not say it."""
    return load_objective(root / OURS, spec)


def load_facts(root: Path, lengths: Mapping[int, int]) -> dict[int, Facts]:
    """The facts of all episodes of a dataset that `data export-lerobot` wrote, by the numbers of the episodes.

    Args:
        root: folder of the dataset.
        lengths: the number of frames of each episode, as the dataset has them.

    Raises:
        ConfigError: the file is damaged, or is about other episodes.
    """
    path = root / OURS / EPISODES_FILE
    parquet = extra_package("pyarrow.parquet", "lerobot")
    with damage_named(path):
        table = parquet.read_table(path)
        names = ("episode_index", "tags", "history", "ended", "last_obs", "stamps")
        columns = (table.column(name).to_numpy() for name in names)
        facts = {
            int(index): Facts(json.loads(tags), int(history), bool(ended), last_obs, stamps)
            for index, tags, history, ended, last_obs, stamps in zip(*columns, strict=True)
        }
        of_export = dict(zip(facts, table.column("length").to_pylist(), strict=True))
    if of_export != lengths:
        raise ConfigError(
            f"{path}: is about {len(of_export)} episodes with {sum(of_export.values())} frames, and the dataset has "
            f"{len(lengths)} with {sum(lengths.values())}, so it was changed after its export; "
            f"to import it without tags and histories, delete {root / OURS}"
        )
    return facts
