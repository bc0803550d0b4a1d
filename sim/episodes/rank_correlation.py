"""Is it the model or the planner? Rank correlation of predicted and true returns of the same candidate plans.

At visited states, the same candidates are rolled out in the adapted model and in the simulator. A planner only needs their
*order*: a model whose returns are well ordered up to the planning horizon is good enough, whatever its error; where the order
is lost, planning deeper is useless.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.data.windows import WindowSampler, concatenate
from adaptive_mbrl.planning.score import step_rewards
from sim.episodes.branches import candidate_plans
from sim.episodes.run import Recorded
from sim.robot.robot import Robot
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor


def rank_correlation(
    robot: Robot, controller: AdaptiveController, recorded: Recorded, horizons: Sequence[int], num_candidates: int = 64
) -> dict[int, float]:
    """Mean Spearman correlation by horizon, over the snapshots of `recorded` and their robots; without snapshots, empty.

    The candidates are the actions that were really sent, plus the planner's own noise.

    Args:
        robot: the robot.
        controller: model, adaptation rule and planner under test.
        recorded: episodes with snapshots, at least a planning horizon before their ends.
        horizons: control steps, each at most the planner's horizon.
        num_candidates: plans per state.
    """
    simulation = BatchSimulation(robot, len(recorded.episodes))
    oracle = OraclePredictor(simulation, num_candidates)
    objective = controller.settings.score.reward
    collected: dict[int, list[float]] = {h: [] for h in horizons}
    for step, snapshot in recorded.snapshots.items():
        simulation.restore(snapshot)
        oracle.sync()
        obs = torch.from_numpy(np.stack([e.obs[step] for e in recorded.episodes])).to(controller.device)
        actions = candidate_plans(controller.settings.planner, recorded.episodes, step, num_candidates)
        goal = torch.from_numpy(simulation.goals(step + actions.shape[2])[:, step:]).to(controller.device)
        predicted = _predicted(controller, recorded.episodes, step, obs, actions)
        model_rewards, true_rewards = (
            step_rewards(objective, next_obs, actions, obs, goal).mean(0).cpu().numpy()
            for next_obs in (predicted, oracle.roll_out(obs, actions).next_obs)
        )
        for h in horizons:
            for m, t in zip(model_rewards[..., :h].sum(-1), true_rewards[..., :h].sum(-1), strict=True):
                if np.ptp(m) > 0 and np.ptp(t) > 0:
                    collected[h].append(float(spearmanr(m, t).statistic))
    return {h: float(np.mean(values)) for h, values in collected.items() if values}


@torch.no_grad()
def _predicted(controller: AdaptiveController, episodes: Sequence[Episode], step: int, obs: Tensor, actions: Tensor) -> Tensor:
    # windows of one episode are numbered by their first query step
    windows = [WindowSampler([e], controller.window, 1, controller.device).at(torch.tensor([step])) for e in episodes]
    return controller.predictor(concatenate(windows).recent).roll_out(obs, actions).next_obs
