"""One episode: raw SI units, and tags that say where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Episode:
    """One uninterrupted stretch of a robot's life.

    Attributes:
        obs: observations in SI units, (T + 1, obs_dim) float32.
        action: the actions as they were sent, (T, action_dim) float32.
        reward: the reward of each step, (T,) float32.
        tags: facts that JSON can hold: `source` (random, oracle, policy, branch, bag ...), in simulation the `scenario`, and
            where it is known the `situation`, which episodes of equal dynamics share (see `data/situations.py`).
        history: number of first steps that only lead up to the rest: queries begin after them, and they are not counted.
        ended: whether the episode ended by itself at its last step (a fall, an unstable simulation), and was not cut at a limit.
        batch: the number of the batch that holds it in its store; a store says it when it takes or reads an episode.
        stamps: when each observation was measured [s], (T + 1,) float64, by the recording's own clock, which counts from the
            epoch where the recording says so; never decreasing. None where nobody measured it, as in simulation. Steps are dt
            apart all the same: an observation on the control grid has the stamp of the measurement that is nearest to it.
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    tags: dict[str, Any] = field(default_factory=dict)
    history: int = 0
    ended: bool = False
    batch: int = 0
    stamps: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.action)

    @property
    def is_branch(self) -> bool:
        """Whether it branches off from another episode, from a snapshot of the simulator."""
        return self.tags.get("source") == "branch"
