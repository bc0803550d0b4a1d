"""How far a model foresees held-out episodes: its open-loop error at each step ahead, with and without adapting.

The error is the root mean square over channels, in standard deviations of one step's target in the training data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import Windows, WindowSampler, concatenate
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.training.config import TrainConfig

MOST_EPISODES = 32
"""Of more held-out episodes than these, some are left out: the same ones in every run that holds out the same episodes."""
WINDOWS_PER_EPISODE = 8
STEPS_OF_NAME = 8
"""Steps that an episode is known by."""

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class HeldOutErrors:
    """Mean errors of E held-out episodes, at each of H steps ahead.

    Attributes:
        episodes: a name for each episode, which is the same in every run, E of them.
        adapted: after adapting to the whole window, (E, H).
        prior: without adapting, (E, H).
        shots: numbers k of transitions, rising, S of them.
        by_shots: mean error over the H steps after adapting to the newest k transitions, (E, S).
    """

    episodes: tuple[str, ...]
    adapted: Rows
    prior: Rows
    shots: tuple[int, ...]
    by_shots: Rows

    @property
    def horizon(self) -> int:
        """H, the number of steps ahead."""
        return len(self.adapted[0])


def horizons_of(config: TrainConfig) -> tuple[int, int]:
    """How many steps ahead the errors of a training are about: as far as its planner looks, else as far as its loss does."""
    return max(config.outer.query, config.planner.horizon), config.outer.query


def held_out_errors(
    adapter: Adapter[Any], held_out: Sequence[Episode], window: int, horizons: Sequence[int], device: torch.device
) -> HeldOutErrors | None:
    """Let a model predict held-out episodes.

    Branches are left out, because they are no episodes of their own: their errors are not independent of those of their trunk.

    Args:
        adapter: the model, on `device`.
        held_out: episodes that it was not trained on.
        window: K.
        horizons: numbers of steps ahead; the first one counts for which there is an episode that is long enough.
        device: where to compute.

    Returns:
        None if no held-out episode is long enough, or a prediction is not finite.
    """
    trunks = [e for e in held_out if not e.is_branch]
    for horizon in horizons:
        if usable := [e for e in trunks if len(e) - e.history >= horizon]:
            return _errors(adapter, _chosen(usable), window, horizon, device)
    return None


def episode_name(episode: Episode) -> str:
    """A short name that equal episodes share, from their length and first steps."""
    steps = slice(episode.history, episode.history + STEPS_OF_NAME)
    content = (np.ascontiguousarray(part[steps], dtype=np.float32).tobytes() for part in (episode.obs, episode.action))
    return hashlib.sha256(b"".join((str(len(episode) - episode.history).encode(), *content))).hexdigest()[:12]


def _chosen(episodes: Sequence[Episode]) -> dict[str, Episode]:
    """At most `MOST_EPISODES` of the episodes, by their names; these decide, so that runs with common episodes choose alike."""
    named = {episode_name(e): e for e in episodes}
    kept = set(sorted(named)[:MOST_EPISODES])
    return {name: e for name, e in named.items() if name in kept}


def _errors(
    adapter: Adapter[Any], chosen: dict[str, Episode], window: int, horizon: int, device: torch.device
) -> HeldOutErrors | None:
    samplers = [WindowSampler([e], window, horizon, device) for e in chosen.values()]
    parts = [s.at(torch.linspace(0, len(s) - 1, min(WINDOWS_PER_EPISODE, len(s))).long()) for s in samplers]
    sizes, windows = [len(part.obs) for part in parts], concatenate(parts)
    shots = (*(2**i for i in range(window.bit_length()) if 2**i < window), window)
    was_training = adapter.training
    adapter.eval()
    with torch.no_grad():
        prior = _by_episode(_rolled_out(adapter, adapter.prior(len(windows.obs)), windows), sizes)
        after = [_by_episode(_rolled_out(adapter, adapter.infer(windows.recent.newest(k)), windows), sizes) for k in shots]
    adapter.train(was_training)
    by_shots = np.stack([prior.mean(1), *(errors.mean(1) for errors in after)], axis=1)
    if not np.isfinite(by_shots).all():
        # a model that has diverged
        return None
    return HeldOutErrors(tuple(chosen), _rows(after[-1]), _rows(prior), (0, *shots), _rows(by_shots))


def _rolled_out(adapter: Adapter[Any], belief: Any, windows: Windows) -> Tensor:
    """The error of each window at each step ahead, (W, H)."""
    return query_errors(adapter.condition(belief), windows).mean(0).square().mean(-1).sqrt()


def _by_episode(errors: Tensor, sizes: Sequence[int]) -> NDArray[np.float64]:
    """Means over the windows of each episode, (E, H)."""
    return np.stack([part.double().mean(0).cpu().numpy() for part in errors.split(list(sizes))])


def _rows(values: NDArray[np.float64]) -> Rows:
    """Plain numbers with six digits, as they are written."""
    return tuple(tuple(float(f"{value:.6g}") for value in row) for row in values)
