"""Run scenarios: B robots side by side, each with its own seed and its own changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.process import SINGLE, Share
from sim.episodes.policies import Policy
from sim.episodes.recorded import ControllerLog, Recorded
from sim.robot.task import RobotTask
from sim.scenarios.scenario import Scenario
from sim.simulation.base import Simulation
from sim.simulation.batch import BatchSimulation
from sim.simulation.choice import simulation_of
from sim.simulation.course import apply_changes, start

StepHook = Callable[[int, Simulation], None]
"""Called before every control step with the step's number and the simulation; for progress bars, videos and diagnostics."""


def run_scenarios(
    robot: RobotTask,
    scenarios: Sequence[Scenario],
    policy: Policy,
    *,
    source: str,
    action_noise: float | np.ndarray = 0.0,
    noise_seed: int = 0,
    snapshot_steps: Sequence[int] = (),
    hook: StepHook | None = None,
    dump_folder: Path | None = None,
    share: Share | None = None,
) -> Recorded:
    """Run one episode per scenario, all at once; several processes may share the work, and each gets all that was recorded.

    The episode of a robot that is no longer healthy, or whose physics becomes unstable, ends there; the other robots go on as if
    nothing had happened.

    Args:
        robot: the robot of every scenario.
        scenarios: seeds and changes, one per robot, with the same number of steps.
        policy: chooses the actions.
        source: tag of the episodes.
        action_noise: std of white noise that is added to the actions [half ranges], one number or one per robot; the episodes
            hold the actions with their noise.
        noise_seed: seed of the added noise.
        snapshot_steps: control steps before which the simulation's state is kept, where it has one that can be returned to.
        hook: called before every control step, see `StepHook`.
        dump_folder: where a step that becomes unstable is written for a replay; None writes nothing.
        share: which of the scenarios this process simulates; all of them if not given.
    """
    share = share or SINGLE.share(len(scenarios))
    noise = np.broadcast_to(np.reshape(action_noise, (-1, 1)), (len(scenarios), 1))[share.slice]
    scenarios = scenarios[share.slice]
    steps = scenarios[0].steps
    if any(s.steps != steps for s in scenarios):
        raise ConfigError("scenarios that run together need the same number of steps")
    simulation = simulation_of(robot, len(scenarios), dump_folder)
    try:
        obs = start(simulation, scenarios)
        goals = simulation.goals(steps, policy.preview)
        policy.reset(simulation)
        rng = np.random.default_rng(noise_seed)
        half_range = (robot.action_high - robot.action_low) / 2
        all_obs, true_obs, infos, snapshots = [obs], [simulation.true_obs], [], {}
        actions: list[np.ndarray] = []
        paid: list[np.ndarray] = []
        for t in range(steps):
            # all processes go on until the last robot of the last one has ended
            if not share.process.any(not simulation.ended.all()):
                break
            apply_changes(simulation, scenarios)
            if hook is not None:
                hook(t, simulation)
            if t in snapshot_steps and isinstance(simulation, BatchSimulation):
                snapshots[t] = simulation.state()
            sent = actions[-1] if actions else None
            planned, info = policy.act(obs, robot.known_goals(goals, t, policy.preview), sent)
            disturbance: float | np.ndarray = 0.0
            if np.any(action_noise):
                disturbance = noise * half_range * rng.standard_normal((share.total, planned.shape[1]))[share.slice]
            action = simulation.clip(planned + disturbance)
            obs = simulation.step(action)
            all_obs.append(obs)
            true_obs.append(simulation.true_obs)
            actions.append(action)
            paid.append(simulation.reward)
            if info is not None:
                infos.append(info)
    finally:
        simulation.close()
    if robot.objective is None:
        rewards = np.stack(paid, 1)
    else:
        rewards = robot.rewards(np.stack(true_obs, 1), np.stack(actions, 1), goals[:, : len(actions)])
    tags = [{"source": source, "scenario": scenario.to_mapping()} for scenario in scenarios]
    episodes = _episodes(np.stack(all_obs, 1), np.stack(actions, 1), rewards, tags, simulation.lengths, simulation.cut)
    recorded = Recorded(episodes, ControllerLog.of(infos) if infos else None, snapshots, simulation.instabilities)
    return Recorded.joined(share.process.gather(recorded))


def _episodes(
    obs: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    tags: Sequence[dict[str, Any]],
    lengths: Sequence[int | None],
    cut: np.ndarray,
) -> tuple[Episode, ...]:
    """One episode per robot; `lengths` are those of the episodes that have ended, by themselves or because they were `cut`."""
    episodes = []
    for i, ended_after in enumerate(lengths):
        length = actions.shape[1] if ended_after is None else ended_after
        ended = ended_after is not None and not cut[i]
        episodes.append(Episode(obs[i, : length + 1], actions[i, :length], rewards[i, :length], tags[i], ended=ended))
    return tuple(episodes)
