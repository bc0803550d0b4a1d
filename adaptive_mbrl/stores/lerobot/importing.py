"""The sub-command `data import-lerobot`: the episodes of a dataset of LeRobot in a store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.stored_objective import save_objective
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.options import DataImportLeRobotOptions
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.stores.exchange import Batch, append_batches
from adaptive_mbrl.stores.lerobot import layout
from adaptive_mbrl.stores.lerobot.channels import (
    DatasetConfig,
    channel_values,
    guessed_spec,
    load_dataset_config,
    plain_config,
)
from adaptive_mbrl.stores.lerobot.names import Names
from adaptive_mbrl.stores.lerobot.ours import Facts, load_facts, load_our_objective, load_spec
from adaptive_mbrl.stores.lerobot.reader import Dataset, Entry, open_dataset

_ROUNDING = 0.01
"""How far the time of a frame may be from a multiple of the frame's period, as a share of it, and still be computed."""


def import_lerobot(options: DataImportLeRobotOptions) -> None:
    """Append the episodes of a dataset of LeRobot to a store.

    Raises:
        ConfigError: pyarrow is not installed, there is no such dataset, it is damaged, or `--spec` does not fit it.
    """
    dataset = open_dataset(options.folder)
    spec = load_spec(dataset.root)
    if spec is None:
        _import_foreign(dataset, options)
        return
    if options.spec is not None:
        raise ConfigError(f"--spec: {dataset.root} says itself what its channels mean; leave the flag out")
    for feature, names in ((layout.STATE, spec.obs_names), (layout.ACTION, spec.action_names)):
        if dataset.features.get(feature, {}).get("names") != list(names):
            raise ConfigError(f"{dataset.root}: its '{feature}' does not have the channels of its {layout.OURS}")
    facts = load_facts(dataset.root, dataset.lengths)
    batches = _batches(dataset, lambda file: _own_episodes(dataset, file, facts))
    append_batches(str(dataset.root), options.out, spec, batches)
    objective = load_our_objective(dataset.root, spec)
    if objective is not None:
        save_objective(options.out, objective)


def _import_foreign(dataset: Dataset, options: DataImportLeRobotOptions) -> None:
    """Import a dataset that somebody else wrote, of which less is known."""
    names = Names(dataset)
    if options.spec is None:
        config = plain_config(guessed_spec(dataset, names))
    else:
        config = load_dataset_config(options.spec, dataset, names)
    if names.left_out:
        print(f"Left out: {', '.join(names.left_out)}; only arrays of numbers are imported")
    if options.spec is None:
        print(
            "Note: nothing says what the channels mean, so all are linear and without a unit, and the limits of the actions are "
            "their smallest and largest value; --spec FILE says more"
        )
    source = _Source(dataset, names, config)
    append_batches(str(dataset.root), options.out, source.spec, _batches(dataset, source.episodes))


def _batches(dataset: Dataset, episodes: Callable[[tuple[int, int]], Iterator[Episode]]) -> list[Batch]:
    """A batch for each file, known by its content."""
    found = []
    for file in tqdm(dataset.files, desc="hash", unit="file", leave=False, disable=None):
        path = dataset.path(file)
        try:
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        found.append(Batch({"lerobot": {"file": path.name, "sha256": digest}}, len(dataset.files[file]), episodes(file)))
    return found


def _own_episodes(dataset: Dataset, file: tuple[int, int], facts: Mapping[int, Facts]) -> Iterator[Episode]:
    """The episodes of a file that `data export-lerobot` wrote, as they were."""
    for entry, columns in dataset.episodes(file, (layout.STATE, layout.ACTION, layout.REWARD)):
        of = facts[entry.index]
        frames, action = (columns[name].reshape(entry.length, -1) for name in (layout.STATE, layout.ACTION))
        obs = np.concatenate([frames, of.last_obs[None]])
        yield Episode(obs, action, columns[layout.REWARD], of.tags, of.history, of.ended, stamps=of.stamps)


@dataclass(frozen=True)
class _Source:
    """A dataset that somebody else wrote.

    Attributes:
        dataset: the dataset.
        names: the numbers of its observations and actions.
        config: which of them are channels.
    """

    dataset: Dataset
    names: Names
    config: DatasetConfig

    @property
    def spec(self) -> RobotSpec:
        """The robot."""
        return self.config.spec(self.dataset.fps)

    def episodes(self, file: tuple[int, int]) -> Iterator[Episode]:
        """The episodes of a file. There is no step after the last frame, because nobody knows what its action led to."""
        rewards = (layout.REWARD,) if layout.REWARD in self.dataset.features else ()
        for entry, columns in self.dataset.episodes(file, (*self.names.features, *rewards, layout.TIME)):
            if entry.length > 1:
                yield self._episode(entry, columns)

    def _episode(self, entry: Entry, columns: dict[str, np.ndarray]) -> Episode:
        obs = channel_values(self.config.obs, self.names.obs, columns)
        action = channel_values(self.config.action, self.names.action, columns)[:-1]
        reward = columns.get(layout.REWARD, np.zeros(entry.length)).reshape(-1)[:-1].astype(np.float32)
        tags = {"source": "lerobot", "dataset": self.dataset.root.resolve().name, "task": "; ".join(entry.tasks)}
        spec = self.spec
        ended = spec.can_end and not bool(is_healthy(spec, torch.from_numpy(obs[-1])))
        return Episode(obs, action, reward, tags, ended=ended, stamps=self._stamps(columns[layout.TIME]))

    def _stamps(self, times: np.ndarray) -> np.ndarray | None:
        """The times of the frames [s], if somebody measured them; LeRobot itself writes multiples of the frame's period."""
        since = times.astype(np.float64) - times[0]
        computed = np.arange(len(times)) / self.dataset.fps
        return None if np.abs(since - computed).max() < _ROUNDING / self.dataset.fps else times.astype(np.float64)
