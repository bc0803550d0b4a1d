"""Branches: what other plans would have done at visited states.

A planner asks its model about hundreds of candidate plans around the one that it sends, so that is where the model has to be
right; the actions that were sent are a small part of that space. In simulation the candidates can be tried. A few of them are
simulated from snapshots of visited states, under the change that was in force there. Each is kept as a short episode that begins
with up to K steps of the history that led to its state, and ends where the robot's episode ends, or where its physics became
unstable.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.situations import change_in_force
from adaptive_mbrl.planning.base import Planner
from adaptive_mbrl.process import SINGLE, Process
from sim.episodes.recorded import Recorded
from sim.robot.robot import Robot
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor


def candidate_plans(planner: Planner, episodes: Sequence[Episode], step: int, num: int, generator: torch.Generator) -> Tensor:
    """The actions that were sent from `step` on, plus noise as the planner's candidates have it.

    Args:
        planner: gives the horizon H, the noise and the limits.
        episodes: B episodes that have a step `step`; one that ends within the horizon is continued with its last action.
        step: control step that the plans begin with.
        num: number of candidates.
        generator: the source of the noise, on the planner's device.

    Returns:
        Actions within the limits, (B, num, H, action_dim).
    """
    steps = step + np.arange(planner.horizon)
    sent = np.stack([e.action[np.minimum(steps, len(e) - 1)] for e in episodes])
    return planner.clip(torch.from_numpy(sent).to(planner.device)[:, None] + planner.perturbations(num, generator))


def revisit(robot: Robot, recorded: Recorded, num: int) -> Iterator[tuple[int, list[int], BatchSimulation, OraclePredictor]]:
    """Go back to every snapshot, with the robots that were still running then.

    Args:
        robot: the robot of the episodes.
        recorded: episodes with snapshots.
        num: number of candidates that the oracle rolls out for each robot.

    Yields:
        The control step, the indices of the running robots, and these robots at that step: as a simulation, and as an oracle.
    """
    simulation, oracle = None, None
    for step, snapshot in recorded.snapshots.items():
        running = recorded.running_at(step)
        if not running:
            continue
        if simulation is None or oracle is None or simulation.num_robots != len(running):
            simulation = BatchSimulation(robot, len(running))
            oracle = OraclePredictor(simulation, num)
        simulation.restore(snapshot.select(running))
        oracle.sync()
        yield step, running, simulation, oracle


def branch_episodes(
    robot: Robot,
    planner: Planner,
    recorded: Recorded,
    window: int,
    num_branches: int,
    seed: int = 0,
    process: Process = SINGLE,
) -> list[Episode]:
    """Simulate `num_branches` candidates at every snapshot of every robot.

    Args:
        robot: the robot of the episodes.
        planner: gives the horizon and the noise.
        recorded: episodes with snapshots.
        window: K, the number of steps of history that a branch starts with; near an episode's beginning there are fewer.
        num_branches: number of candidates per state.
        seed: fixes the candidates.
        process: this process among those that share the snapshots; each gets all branches.
    """
    branches: list[Episode] = []
    generator = torch.Generator(planner.device).manual_seed(seed)
    steps = [step for step in recorded.snapshots if recorded.running_at(step)]
    own = set(steps[process.share(len(steps)).slice])
    for step, running, simulation, oracle in revisit(robot, recorded, num_branches):
        trunk = [recorded.episodes[i] for i in running]
        actions = candidate_plans(planner, trunk, step, num_branches, generator).cpu()
        if step not in own:
            continue
        futures = oracle.roll_out(torch.from_numpy(simulation.obs), actions)
        next_obs = futures.next_obs[0]
        # a candidate that broke goes on at its last step: the simulator failed there, not the robot
        alive = torch.ones(next_obs.shape[:3], dtype=torch.bool) if futures.alive is None else futures.alive[0]
        present = torch.from_numpy(np.stack([e.obs[step] for e in trunk]))[:, None, None].expand(-1, num_branches, 1, -1)
        goals = torch.from_numpy(simulation.goals(step + actions.shape[2])[:, None, step:])
        rewards = robot.objective(torch.cat([present, next_obs[:, :, :-1]], 2), actions, next_obs, goals)
        for i, episode in enumerate(trunk):
            for j in range(num_branches):
                if valid := int(oracle.valid_steps[i, j]):
                    future = (next_obs[i, j, :valid], actions[i, j, :valid], rewards[i, j, :valid])
                    branches.append(_branch(episode, step, window, *future, ended=not alive[i, j, valid - 1]))
    return list(itertools.chain.from_iterable(process.gather(branches)))


def _branch(
    episode: Episode, step: int, window: int, next_obs: Tensor, actions: Tensor, rewards: Tensor, *, ended: bool
) -> Episode:
    """The last `window` steps of an episode before `step`, followed by another future."""
    begin = max(0, step - window)
    return Episode(
        np.concatenate([episode.obs[begin : step + 1], next_obs.numpy()]),
        np.concatenate([episode.action[begin:step], actions.numpy()]),
        np.concatenate([episode.reward[begin:step], rewards.numpy()]),
        {**episode.tags, "source": "branch", "situation": change_in_force(episode, step)},
        history=step - begin,
        ended=ended,
    )
