"""The configuration of a collection of training episodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.weighting import WeightingConfig
from adaptive_mbrl.planning import ICEMConfig, PlannerConfig


@dataclass(frozen=True)
class DataConfig:
    """Where the training episodes come from.

    Attributes:
        steps: number of control steps of an episode.
        random_episodes: number of episodes with coloured noise as actions, in round 0.
        oracle_episodes: number of episodes with the oracle planner, in round 0; its simulator steps are counted apart.
        oracle_planner: settings of the oracle's planner.
        iterations: number of rounds that collect with the current controller.
        episodes_per_iteration: number of episodes that each of these rounds collects.
        action_noise: std of the noise on oracle and controller actions [half ranges]; one third of the episodes gets none of
            it, one third half of it, one third all of it.
        branches_per_state: number of other plans that are simulated from each snapshot of oracle and controller episodes, so that
            the model learns what the planner asks about.
        branch_every: number of control steps between two snapshots.
        validation_fraction: share of episodes that every collection holds out, at least one episode of several; with 0 there is
            no validation. Of recorded episodes, of which none is marked for validation, it is the last part of each.
        episodes_from: folder of a complete run, or of recorded episodes that `collect`, `import-bag` or `data import` wrote. The
            training takes these episodes and collects none; with `iterations: 0` it has a single round before the last one.
        exploration_bonus: weight of the ensemble's spread of predicted returns, which the planner's score gets in the first
            collection with a controller, so that it goes where the members disagree (Sekar et al. 2020, arXiv 2005.05960). It
            falls to 0 along a straight line until the last collection; 0 does not explore.
        weighting: which episodes the outer loop sees more often.
    """

    steps: int = bounded(200, low=2)
    random_episodes: int = bounded(16, low=0)
    oracle_episodes: int = bounded(0, low=0)
    oracle_planner: PlannerConfig = ICEMConfig()
    iterations: int = bounded(8, low=0)
    episodes_per_iteration: int = bounded(16, low=1)
    action_noise: float = bounded(0.2, low=0.0, high=2.0)
    branches_per_state: int = bounded(0, low=0)
    branch_every: int = bounded(5, low=1)
    validation_fraction: float = bounded(0.1, low=0.0, high=0.5)
    episodes_from: Path | None = None
    exploration_bonus: float = bounded(0.0, low=0.0)
    weighting: WeightingConfig = WeightingConfig()

    def bonus_in(self, round_index: int) -> float:
        """The exploration bonus of a round that collects with a controller; the first is round 1."""
        if self.iterations == 1:
            return self.exploration_bonus
        return self.exploration_bonus * max(0.0, 1 - (round_index - 1) / (self.iterations - 1))
