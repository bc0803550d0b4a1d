"""Windows of simulated episodes whose transitions are all under one known change.

The controller's belief is from any number of recent transitions (`control/gate.py`), and so are these windows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.situations import stretches_of
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.diagnosis_fit import Examples
from adaptive_mbrl.transitions import Transitions
from sim.scenarios.change import Change
from sim.scenarios.parameters import parameter_values

_ONE_IN = 8  # scenarios that calibrate


class Known(NamedTuple):
    """Steps `begin` to `end` - 1 of an episode, which are all under one change."""

    episode: Episode
    begin: int
    end: int
    change: Change


class Parts(NamedTuple):
    """Episodes of three kinds, without a scenario in common."""

    fitting: list[Episode]
    calibrating: list[Episode]
    held_out: list[Episode]


def divide(episodes: Sequence[Episode], fraction: float) -> Parts:
    """Episodes to fit to, to calibrate on, and to compare on.

    Those that are tagged `validation` are compared on; without any, those of the last scenarios are. Of the others, those of
    every eighth scenario calibrate. All episodes of a scenario stay together, since its branches are under its changes.

    Args:
        episodes: those without a scenario are left out.
        fraction: share of the scenarios that is held out, if no episode is tagged.
    """
    simulated = [e for e in episodes if "scenario" in e.tags]
    marked = {_scenario(e) for e in simulated if e.tags.get("validation")}
    others = [key for key in dict.fromkeys(map(_scenario, simulated)) if key not in marked]
    if not marked:
        last = max(1, round(fraction * len(others)))
        others, marked = others[:-last], set(others[-last:])
    calibrating = set(others[_ONE_IN - 1 :: _ONE_IN] or others[1:][-1:])
    if not calibrating:
        raise ConfigError(
            f"the episodes are of {len(others) + len(marked)} simulated scenarios; needed: at least 3, to fit to, to "
            "calibrate on, and to compare on"
        )
    parts = Parts([], [], [])
    for episode in simulated:
        key = _scenario(episode)
        part = parts.held_out if key in marked else parts.calibrating if key in calibrating else parts.fitting
        part.append(episode)
    return parts


def known_stretches(episodes: Sequence[Episode]) -> list[Known]:
    """The stretches of episodes whose change is known."""
    return [
        Known(episode, stretch.begin, stretch.end, from_mapping(Change, stretch.change, source="an episode's scenario"))
        for episode, stretches in zip(episodes, stretches_of(episodes), strict=True)
        for stretch in stretches
        if stretch.change is not None and stretch.begin < stretch.end
    ]


def draw_examples(known: Sequence[Known], names: Sequence[str], window: int, num: int, seed: int = 0) -> Examples:
    """Windows that end anywhere within the stretches, drawn with replacement.

    Half of them keep as many transitions as their stretch and K allow, the others any number from none up to that.

    Args:
        known: at least one stretch.
        names: the parameters that are the labels.
        window: K.
        num: W.
        seed: fixes what is drawn.
    """
    rng = np.random.default_rng(seed)
    sizes = np.array([k.end - k.begin for k in known])
    labels = np.stack([parameter_values(k.change, names) for k in known])
    chosen = rng.choice(len(known), num, p=sizes / sizes.sum())
    seen = rng.integers(1, sizes[chosen] + 1)
    ends, most = np.array([known[i].begin for i in chosen]) + seen, np.minimum(seen, window)
    kept = np.where(rng.random(num) < 0.5, most, rng.integers(0, most + 1))
    first = known[0].episode
    obs = np.zeros((num, window, first.obs.shape[1]), np.float32)
    action = np.zeros((num, window, first.action.shape[1]), np.float32)
    next_obs, valid = np.zeros_like(obs), np.zeros((num, window), bool)
    for row, (i, end, number) in enumerate(zip(chosen, ends, kept, strict=True)):
        episode, begin = known[i].episode, end - number
        places = slice(window - number, window)
        obs[row, places], next_obs[row, places] = episode.obs[begin:end], episode.obs[begin + 1 : end + 1]
        action[row, places], valid[row, places] = episode.action[begin:end], True
    recent = Transitions(*map(torch.from_numpy, (obs, action, next_obs, valid)))
    return Examples(recent, torch.from_numpy(labels[chosen].astype(np.float32)))


def _scenario(episode: Episode) -> str:
    return json.dumps(episode.tags["scenario"], sort_keys=True)
