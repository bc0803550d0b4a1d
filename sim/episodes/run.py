"""Run scenarios: B robots side by side, each with its own seed and its own changes of dynamics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from adaptive_mbrl.controller import StepInfo
from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.errors import ConfigError
from sim.episodes.policies import Policy
from sim.robot.robot import Robot
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation, SimulationState
from sim.simulation.course import apply_changes, start

StepHook = Callable[[int, BatchSimulation], None]
"""Called before every control step with its number; for progress bars, videos and diagnostics."""


@dataclass(frozen=True)
class Recorded:
    """Episodes of B robots and what the controller reported.

    Attributes:
        episodes: one per robot.
        infos: one per control step; empty for a policy that reports nothing.
        snapshots: simulation states at the steps asked for, by step.
    """

    episodes: tuple[Episode, ...]
    infos: tuple[StepInfo, ...]
    snapshots: dict[int, SimulationState]


def run_scenarios(
    robot: Robot,
    scenarios: Sequence[Scenario],
    policy: Policy,
    *,
    source: str,
    action_noise: float | np.ndarray = 0.0,
    noise_seed: int = 0,
    snapshot_steps: Sequence[int] = (),
    hook: StepHook | None = None,
) -> Recorded:
    """Run one episode per scenario, all at once.

    Args:
        robot: the robot; every scenario must be of it and have the same number of steps.
        scenarios: seeds and changes, one per robot.
        policy: chooses the actions.
        source: tag of the episodes.
        action_noise: std of white noise added to the actions [half ranges], one or one per robot; what is recorded is what was
            sent.
        noise_seed: of that noise.
        snapshot_steps: control steps before which the simulation's state is kept.
        hook: see `StepHook`.
    """
    steps = scenarios[0].steps
    if any(s.steps != steps for s in scenarios):
        raise ConfigError("scenarios that run together need the same number of steps")
    simulation = BatchSimulation(robot, len(scenarios))
    obs = start(simulation, scenarios)
    goals = simulation.goals(steps, policy.preview)
    policy.reset(simulation)
    rng = np.random.default_rng(noise_seed)
    half_range = (robot.action_high - robot.action_low) / 2
    noise = np.reshape(action_noise, (-1, 1))
    all_obs, true_obs, infos, snapshots = [obs], [simulation.true_obs], [], {}
    actions: list[np.ndarray] = []
    for t in range(steps):
        apply_changes(simulation, scenarios)
        if hook is not None:
            hook(t, simulation)
        if t in snapshot_steps:
            snapshots[t] = simulation.state()
        sent = actions[-1] if actions else None
        planned, info = policy.act(obs, robot.known_goals(goals, t, policy.preview), sent)
        disturbance = noise * half_range * rng.standard_normal(planned.shape) if np.any(noise) else 0.0
        action = simulation.clip(planned + disturbance)
        obs = simulation.step(action)
        all_obs.append(obs)
        true_obs.append(simulation.true_obs)
        actions.append(action)
        if info is not None:
            infos.append(info)
    rewards = robot.rewards(np.stack(true_obs, 1), np.stack(actions, 1), goals[:, :steps])
    episodes = _episodes(scenarios, np.stack(all_obs, 1), np.stack(actions, 1), rewards, source)
    return Recorded(episodes, tuple(infos), snapshots)


def _episodes(
    scenarios: Sequence[Scenario], obs: np.ndarray, actions: np.ndarray, rewards: np.ndarray, source: str
) -> tuple[Episode, ...]:
    return tuple(
        Episode(obs[i], actions[i], rewards[i], {"source": source, "scenario": scenario.to_mapping()})
        for i, scenario in enumerate(scenarios)
    )
