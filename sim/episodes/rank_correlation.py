"""Is it the model or the planner? Rank correlation of predicted and true returns of the same candidate plans.

At visited states, the same candidates are rolled out in the adapted model and in the simulator. A planner only needs their
*order*. A model whose returns are well ordered up to the planning horizon is good enough, whatever its error. Where the order is
lost, a longer horizon does not help.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import WindowSampler, concatenate
from adaptive_mbrl.planning.score import step_rewards
from adaptive_mbrl.predictor import Trajectories
from sim.episodes.branches import candidate_plans, revisit
from sim.episodes.recorded import Recorded
from sim.robot.robot import Robot


def rank_correlation(
    robot: Robot,
    controller: AdaptiveController,
    recorded: Recorded,
    horizons: Sequence[int],
    num_candidates: int = 64,
    seed: int = 0,
) -> dict[int, float]:
    """How well the model orders candidate plans: the mean Spearman correlation over the snapshots of `recorded` and their robots.

    The candidates are the actions that were really sent, plus noise as the planner's candidates have it.

    Args:
        robot: the robot of the episodes.
        controller: model, adaptation rule and planner under test.
        recorded: episodes with snapshots.
        horizons: numbers of control steps over which returns are compared, each at most the planner's horizon.
        num_candidates: number of plans per state.
        seed: fixes the candidates.

    Returns:
        The correlation by horizon; empty without snapshots.
    """
    # loading it takes as long as half of torch
    from scipy.stats import spearmanr

    generator = torch.Generator(controller.device).manual_seed(seed)
    objective = controller.settings.score.reward
    collected: dict[int, list[float]] = {h: [] for h in horizons}
    for step, running, simulation, oracle in revisit(robot, recorded, num_candidates):
        episodes = [recorded.episodes[i] for i in running]
        obs = torch.from_numpy(np.stack([e.obs[step] for e in episodes])).to(controller.device)
        actions = candidate_plans(controller.settings.planner, episodes, step, num_candidates, generator)
        goal = torch.from_numpy(simulation.goals(step + actions.shape[2])[:, step:]).to(controller.device)
        predicted = _predicted(controller, episodes, step, obs, actions)
        model_rewards, true_rewards = (
            step_rewards(objective, futures, actions, obs, goal).mean(0).cpu().numpy()
            for futures in (predicted, oracle.roll_out(obs, actions))
        )
        for h in horizons:
            for m, t in zip(model_rewards[..., :h].sum(-1), true_rewards[..., :h].sum(-1), strict=True):
                if np.ptp(m) > 0 and np.ptp(t) > 0:
                    collected[h].append(float(spearmanr(m, t).statistic))
    return {h: float(np.mean(values)) for h, values in collected.items() if values}


@torch.no_grad()
def _predicted(
    controller: AdaptiveController, episodes: Sequence[Episode], step: int, obs: Tensor, actions: Tensor
) -> Trajectories:
    # windows of one episode are numbered by their first query step
    windows = [WindowSampler([e], controller.window, 1, controller.device).at(torch.tensor([step])) for e in episodes]
    return controller.predictor(concatenate(windows).recent).roll_out(obs, actions)
