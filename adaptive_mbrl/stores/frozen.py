"""Values that stand still although they should not: a driver that hangs repeats its last ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FROZEN_STEPS = 10
"""A channel that repeats its value for this many steps while others change is frozen."""


class Frozen(NamedTuple):
    """Numbers of steps in runs of `FROZEN_STEPS` or more.

    Attributes:
        channels: steps in which one channel stands still while another one or the command changes, (obs_dim,).
        altogether: steps in which nothing at all changes, though something new was measured.
    """

    channels: NDArray[np.int64]
    altogether: int


def frozen_steps(obs: NDArray[np.float32], action: NDArray[np.float32], advances: NDArray[np.bool_] | None = None) -> Frozen:
    """Count the steps of one episode in which values are frozen.

    Steps in which nothing at all changes belong to no run of a channel and end none, because a robot may stand still. Neither do
    steps in which nothing new was measured, because then the value is that of before.

    Args:
        obs: observations, (T + 1, obs_dim).
        action: commands, (T, action_dim).
        advances: whether something new was measured in each step, (T,); None where nobody knows.
    """
    same = obs[1:] == obs[:-1]
    moved = np.ones(len(action), bool)
    moved[1:] = (action[1:] != action[:-1]).any(axis=1)
    still = same.all(axis=1) & ~moved
    measured = np.ones(len(action), bool) if advances is None else advances
    altogether = 0 if advances is None else int(_in_long_runs(still[measured][:, None])[0])
    return Frozen(_in_long_runs(same[measured & ~still]), altogether)


def _in_long_runs(true: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of each column the number of rows in runs of `FROZEN_STEPS` or more that are true."""
    edges = np.diff(np.pad(true.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    found = np.zeros(true.shape[1], np.int64)
    for column in np.flatnonzero(true.any(axis=0)):
        lengths = np.flatnonzero(edges[:, column] == -1) - np.flatnonzero(edges[:, column] == 1)
        found[column] = lengths[lengths >= FROZEN_STEPS].sum()
    return found
