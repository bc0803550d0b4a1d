"""Branches: what other plans would have done at visited states.

A planner asks its model about hundreds of candidate plans around the one it sends, so that is where the model has to be right;
the sent actions alone are a thin thread through that space. In simulation the candidates can be tried: from snapshots of visited
states a few are rolled out under the robot's present dynamics, and kept as short episodes whose first K steps are the history
that led there. Where the physics of a branch became unstable it ends before that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.planning.base import Planner
from sim.episodes.run import Recorded
from sim.robot.robot import Robot
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor


def candidate_plans(planner: Planner, episodes: Sequence[Episode], step: int, num: int) -> Tensor:
    """The actions sent from `step` on plus the planner's own noise, (B, num, H, action_dim)."""
    horizon = planner.horizon
    sent = torch.from_numpy(np.stack([e.action[step : step + horizon] for e in episodes])).to(planner.device)
    return planner.clip(sent[:, None] + planner.perturbations(num))


def branch_episodes(robot: Robot, planner: Planner, recorded: Recorded, window: int, num_branches: int) -> list[Episode]:
    """Simulate `num_branches` candidates at every snapshot of every robot.

    Args:
        robot: the robot.
        planner: gives the horizon and the noise.
        recorded: with snapshots at least a horizon before the episodes' ends.
        window: K, steps of history that a branch starts with, fewer near the beginning.
        num_branches: candidates per state.
    """
    trunk = recorded.episodes
    simulation = BatchSimulation(robot, len(trunk))
    oracle = OraclePredictor(simulation, num_branches)
    branches = []
    for step, snapshot in recorded.snapshots.items():
        simulation.restore(snapshot)
        oracle.sync()
        actions = candidate_plans(planner, trunk, step, num_branches).cpu()
        next_obs = oracle.roll_out(torch.from_numpy(simulation.obs), actions).next_obs[0]
        present = torch.from_numpy(np.stack([e.obs[step] for e in trunk]))[:, None, None].expand(-1, num_branches, 1, -1)
        goals = torch.from_numpy(simulation.goals(step + actions.shape[2])[:, None, step:])
        rewards = robot.objective(torch.cat([present, next_obs[:, :, :-1]], 2), actions, next_obs, goals).numpy()
        begin = max(0, step - window)
        for i, episode in enumerate(trunk):
            tags = {**episode.tags, "source": "branch"}
            for j in range(num_branches):
                valid = oracle.valid_steps[i, j]
                if valid == 0:
                    continue
                obs = np.concatenate([episode.obs[begin : step + 1], next_obs[i, j, :valid].numpy()])
                action = np.concatenate([episode.action[begin:step], actions[i, j, :valid].numpy()])
                reward = np.concatenate([episode.reward[begin:step], rewards[i, j, :valid]])
                branches.append(Episode(obs, action, reward, tags, history=step - begin))
    return branches
