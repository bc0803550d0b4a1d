"""What the outer loop needs of data: windows to train on, their statistics, and others that are held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import torch

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import TransitionStatistics, transition_statistics
from adaptive_mbrl.data.weighting import WeightingConfig, episode_weights
from adaptive_mbrl.data.windows import ALL, Windows, WindowSampler
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec


class Dataset(Protocol):
    """Windows of one robot; in memory or not, nobody who trains on it knows."""

    def __len__(self) -> int:
        """Number of training windows."""

    def sample(self, num: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        """Training windows, `num` of them, drawn with replacement; only those in `part` are put together."""

    @property
    def num_tasks(self) -> int:
        """Number of training situations; `Windows.task` of a training window is below it, and of a held-out one is not."""

    def sample_tasks(self, num_tasks: int, per_task: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        """Training windows of `num_tasks` situations, `per_task` of each one after another, drawn with replacement.

        A situation is as likely to be drawn as a window of it is in `sample`. With `part`, only the windows of these of the
        situations.
        """

    def known_parameters(self) -> list[dict[str, float] | None]:
        """What is known of each situation's dynamics, as numbers by name; None where nothing is.

        A window's is at its `Windows.task`: those of the training come first, those of held-out windows follow.
        """

    def statistics(self) -> TransitionStatistics:
        """Statistics of the training transitions, those of episodes that are too short for a query left out."""

    def held_out(self, num: int) -> Windows | None:
        """Windows spread evenly over episodes that are not trained on; None where nothing is held out."""


def require_finite(episodes: Iterable[Episode]) -> None:
    """Refuse numbers that no model can be fitted to.

    Raises:
        ConfigError: an observation or an action is not finite.
    """
    for number, episode in enumerate(episodes):
        for what, values in (("observation", episode.obs), ("action", episode.action)):
            rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if len(rows):
                where = f"step {rows[0]} of episode {number}" + (f" ({episode.tags['file']})" if "file" in episode.tags else "")
                raise ConfigError(f"an {what} is not finite: {where}; 'adaptive-mbrl data check' names all of them")


class EpisodeDataset:
    """A `Dataset` of episodes; what does not fit into memory stays in the files of their store.

    Args:
        spec: the robot.
        training: episodes to train on.
        held_out: others, for validation; may be empty. Where all of them ended by themselves before a query was over, there is no
            validation.
        window: K, or `Adapter.carried` where that is more.
        query: M.
        device: where windows are put together.
        weighting: which training episodes are drawn more often.
    """

    def __init__(
        self,
        spec: RobotSpec,
        training: Sequence[Episode],
        held_out: Sequence[Episode],
        window: int,
        query: int,
        device: torch.device | str = "cpu",
        weighting: WeightingConfig = WeightingConfig(),  # noqa: B008
    ) -> None:
        self.spec = spec
        weights = episode_weights(training, weighting)
        self._training = WindowSampler(training, window, query, device, weights, balance=weighting.situations)
        usable = [e for e in held_out if not e.ended or len(e) - e.history >= query]
        # a situation that is held out is none of the training's, even where the dynamics are the same
        self._held_out = WindowSampler(usable, window, query, device, first_task=self.num_tasks) if usable else None

    def __len__(self) -> int:
        return len(self._training)

    def sample(self, num: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        """See `Dataset.sample`."""
        return self._training.sample(num, generator, part)

    @property
    def num_tasks(self) -> int:
        """See `Dataset.num_tasks`."""
        return self._training.num_tasks

    def sample_tasks(self, num_tasks: int, per_task: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        """See `Dataset.sample_tasks`."""
        return self._training.sample_tasks(num_tasks, per_task, generator, part)

    def known_parameters(self) -> list[dict[str, float] | None]:
        """See `Dataset.known_parameters`."""
        return [known for part in (self._training, self._held_out) if part is not None for known in part.known_parameters()]

    def statistics(self) -> TransitionStatistics:
        """See `Dataset.statistics`."""
        return transition_statistics(self.spec, self._training.transitions())

    def held_out(self, num: int) -> Windows | None:
        """See `Dataset.held_out`."""
        if self._held_out is None:
            return None
        return self._held_out.at(torch.linspace(0, len(self._held_out) - 1, num).long())
