"""The sub-command `data export-lerobot`: a store of episodes as a dataset of LeRobot."""

from __future__ import annotations

from tqdm import tqdm

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.options import DataExportLeRobotOptions
from adaptive_mbrl.storage import atomic_folder
from adaptive_mbrl.stores.lerobot.ours import save_ours
from adaptive_mbrl.stores.lerobot.writer import DatasetWriter


def export_lerobot(options: DataExportLeRobotOptions) -> None:
    """Write a store as a dataset of LeRobot, format v3.0.

    Raises:
        ConfigError: pyarrow is not installed, the store holds no step, or the folder of the dataset exists already.
    """
    extra_package("pyarrow", "lerobot")
    if options.out.exists():
        raise ConfigError(f"--out: {options.out} exists already; a dataset is never overwritten; allowed: a new folder")
    store = EpisodeStore.open(options.folder)
    episodes = [e for e in store.episodes if len(e) > 0]
    if not episodes:
        raise ConfigError(f"{options.folder}: holds no episode with a step to export")
    with atomic_folder(options.out) as temporary:
        writer = DatasetWriter(temporary, store.spec)
        for episode in tqdm(episodes, desc="export", unit="episode", leave=False, disable=None):
            writer.add(episode, task_of(episode, store.spec.name))
        writer.finish()
        save_ours(temporary, store, episodes)
    print(f"{options.out}: {len(episodes)} episodes, {sum(map(len, episodes))} frames")
    if len(episodes) < len(store.episodes):
        print(f"Left out: {len(store.episodes) - len(episodes)} episodes without a step, which LeRobot has none of")
    print(f"Read it with LeRobotDataset('{options.out.name}', root='{options.out}')")


def task_of(episode: Episode, robot: str) -> str:
    """A sentence about what the robot does: the tag `task`, where the episode has one."""
    task = episode.tags.get("task")
    return task if isinstance(task, str) and task else f"Move as '{robot}' was recorded."
