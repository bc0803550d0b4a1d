"""Does adapting pay on recorded episodes? The error of two checkpoints on the same held-out windows.

Both roll out the query of each window, open loop. The error is the root mean square over channels, and its unit is the standard
deviation of one step's target in the training data, which both share. The adaptive model is asked after 0, 1, 2, 4, ... of the
newest transitions of each window (the K-shot curve); what the other one believes does not depend on them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.situations import stretches_of, tag_text
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.storage import write_text_atomically

COMPARISON_FILE = "comparison.json"
"""In the folder of the run that adapts."""
MOST_EPISODES = 400
"""More held-out episodes than these are thinned out evenly."""
WINDOWS_PER_EPISODE = 16

Interval = tuple[float, float]


class Comparison(NamedTuple):
    """Errors on E held-out episodes.

    Attributes:
        horizon: M, number of predicted steps.
        shots: numbers k of transitions that the adaptive model was given, rising, S of them.
        adaptive: mean error over the M steps after k transitions, (E, S).
        multitask: the same of the multi-task model, (E,).
        by_step: error of both at each step ahead, the adaptive one with its whole window, (2, M).
        situations: the situation of each episode, by its name; an episode with several has the first one's.
    """

    horizon: int
    shots: tuple[int, ...]
    adaptive: NDArray[np.float64]
    multitask: NDArray[np.float64]
    by_step: NDArray[np.float64]
    situations: tuple[str, ...]

    def saved(self) -> tuple[float, Interval | None]:
        """The share of the multi-task model's error that adapting saves, and its 95 % interval over the held-out episodes.

        There is no interval of a single episode.
        """
        ours, theirs = self.adaptive[:, -1], self.multitask
        share = float(1 - ours.mean() / theirs.mean())
        if len(ours) < 2:
            return share, None
        # loading it takes as long as half of torch
        from scipy.stats import bootstrap

        found = bootstrap(
            (ours, theirs),
            lambda a, b, axis: 1 - a.mean(axis) / b.mean(axis),
            paired=True,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        return share, (float(found.low), float(found.high))


def compare(
    adaptive: NetworkAdapter, multitask: NetworkAdapter, held_out: Sequence[Episode], window: int, horizon: int
) -> Comparison | None:
    """Compare two checkpoints of one data set.

    Args:
        adaptive: the model that adapts.
        multitask: the model that does not.
        held_out: episodes that none of them was trained on.
        window: K.
        horizon: M, number of steps to predict.

    Returns:
        None if no held-out episode is long enough.
    """
    usable = [e for e in held_out if len(e) - e.history >= horizon]
    if not usable:
        return None
    chosen = [usable[i] for i in np.unique(np.linspace(0, len(usable) - 1, MOST_EPISODES).astype(int))]
    shots = (0, *(2**i for i in range(window.bit_length()) if 2**i < window), window)
    ours, theirs, by_step = [], [], []
    for episode in chosen:
        sampler = WindowSampler([episode], window, horizon)
        windows = sampler.at(torch.linspace(0, len(sampler) - 1, min(WINDOWS_PER_EPISODE, len(sampler))).long())
        errors = [_errors(adaptive, windows._replace(recent=windows.recent.newest(k))) for k in shots]
        other = _errors(multitask, windows)
        ours.append([float(e.mean()) for e in errors])
        theirs.append(float(other.mean()))
        by_step.append([errors[-1].mean(0), other.mean(0)])
    names = tuple(_name(stretches[0].key) for stretches in stretches_of(chosen))
    return Comparison(horizon, shots, np.array(ours), np.array(theirs), np.array(by_step).mean(0), names)


def save_comparison(path: Path, comparison: Comparison) -> None:
    """Write a comparison into a JSON file."""
    content = {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in comparison._asdict().items()}
    write_text_atomically(path, json.dumps(content) + "\n")


def load_comparison(path: Path) -> Comparison | None:
    """Read what `save_comparison` wrote; None if there is no such file.

    Raises:
        ConfigError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        arrays = {name: np.array(found[name], dtype=np.float64) for name in ("adaptive", "multitask", "by_step")}
        return Comparison(**found | arrays | {name: tuple(found[name]) for name in ("shots", "situations")})
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ConfigError(f"{path}: damaged: {error}") from error


def _name(key: str) -> str:
    try:
        return tag_text(json.loads(key))
    except ValueError:
        # an episode that is a situation of its own
        return key


def _errors(adapter: NetworkAdapter, windows: Windows) -> NDArray[np.float64]:
    """The error of each window at each step ahead, (W, M)."""
    with torch.no_grad():
        predictor = adapter.condition(adapter.infer(windows.recent))
        return query_errors(predictor, windows).mean(0).square().mean(-1).sqrt().double().numpy()
