"""Which windows a training looks at more often: those of newer episodes, of better ones, or of rare situations.

Windows are drawn uniformly over all steps by default. A model that plans is asked about states that a good controller visits,
while most of the data of a training on its own episodes comes from earlier, worse controllers. The weight of episode e is

    w_e = exp(recency * age_e + reward * z_e)

where age_e is 0 for the first batch of the data and 1 for the last one, in equal steps, so that the branches of a round are as
old as the episodes that they leave, and z_e is the episode's mean reward, standardised over the episodes that are no branches.
Windows of a training situation whose weights sum to W have their weights multiplied by W^-situations, so that with 1 all
situations are drawn equally often, however much was recorded of each.

The loss is not corrected for the weights: the aim is another distribution of states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.episode import Episode

_LARGEST_Z = 2.0


@dataclass(frozen=True)
class WeightingConfig:
    """How often windows are drawn; with all 0 they are alike.

    Attributes:
        recency: a window of the last batch of episodes is drawn e^recency times as often as one of the first. A round of a
            training is one batch.
        reward: a window of an episode whose mean reward is one standard deviation higher is drawn e^reward times as often; two
            standard deviations above or below the mean are the most that counts. Mean and standard deviation are those of the
            episodes that are no branches.
        situations: with 1 every training situation is drawn equally often, with 0 as often as it has windows.
    """

    recency: float = bounded(0.0, low=0.0, high=10.0)
    reward: float = bounded(0.0, low=0.0, high=10.0)
    situations: float = bounded(0.0, low=0.0, high=1.0)


def episode_weights(episodes: Sequence[Episode], config: WeightingConfig) -> NDArray[np.float64] | None:
    """Relative weight of a window of each episode, (E,), of which the largest is 1; None where all are alike.

    Args:
        episodes: the data; each says the batch that it was collected in.
        config: the strengths.
    """
    if (config.recency == 0 and config.reward == 0) or not episodes:
        return None
    batches, batch = np.unique([e.batch for e in episodes], return_inverse=True)
    age = batch / max(1, len(batches) - 1)
    rewards = np.array([e.reward[e.history :].mean() for e in episodes], dtype=np.float64)
    whole = np.array([not e.is_branch for e in episodes])
    trunk = rewards[whole] if whole.any() else rewards
    spread = trunk.std()
    z = (rewards - trunk.mean()) / spread if spread > 0 else np.zeros_like(rewards)
    logarithm = config.recency * age + config.reward * z.clip(-_LARGEST_Z, _LARGEST_Z)
    weights: NDArray[np.float64] = np.exp(logarithm - logarithm.max())
    return weights
