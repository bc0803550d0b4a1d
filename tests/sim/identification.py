"""Robots that are driven, and beliefs about their physics that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from adaptive_mbrl.adaptation.base import Adapter, BeliefT
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.transitions import Transitions
from sim.identification.adapter import PhysicsAdapter, PhysicsBelief
from sim.identification.estimator import PhysicsConfig
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation

WINDOW = 16
_ROBOTS: dict[str, Robot] = {}


def robot_named(name: str) -> Robot:
    return _ROBOTS.setdefault(name, load_robot(name))


def normalizer_of(name: str) -> Normalizer:
    return load_checkpoint(name).adapter.normalizer


def adapter_for(name: str, **config: Any) -> PhysicsAdapter:
    return PhysicsAdapter(robot_named(name), normalizer_of(name), WINDOW, PhysicsConfig(**config))


def drive(named: str | Robot, changes: list[Change], steps: int, seed: int = 0) -> tuple[BatchSimulation, Transitions]:
    """Robots under `changes` from the start, moved by smooth noise; all of their transitions, (B, steps)."""
    robot = robot_named(named) if isinstance(named, str) else named
    simulation = BatchSimulation(robot, len(changes))
    obs = simulation.reset(list(range(len(changes))), changes)
    rng, action = np.random.default_rng(seed), np.zeros((len(changes), robot.spec.action_dim))
    scale = 0.15 if named == "quadrotor" else 1.0
    rows = []
    for _ in range(steps):
        action = np.clip(0.6 * action + 0.6 * rng.standard_normal(action.shape), -1, 1)
        sent = simulation.clip(scale * action)
        next_obs = simulation.step(sent)
        rows.append((obs, sent, next_obs))
        obs = next_obs
    obs, sent, next_obs = (torch.from_numpy(np.stack([row[i] for row in rows], axis=1)) for i in range(3))
    return simulation, Transitions(obs, sent, next_obs, torch.ones(len(changes), steps, dtype=torch.bool))


def follow(adapter: Adapter[BeliefT], transitions: Transitions, belief: BeliefT | None = None) -> BeliefT:
    """The belief after all of the transitions, one control step after the other."""
    belief = adapter.prior(len(transitions.obs)) if belief is None else belief
    recent = Transitions(*(torch.zeros_like(x[:, :1]).repeat_interleave(WINDOW, 1) for x in transitions))
    for k in range(transitions.obs.shape[1]):
        recent = recent.append(*(x[:, k] for x in transitions))
        belief = adapter.update(belief, recent)
    return belief


def estimates(adapter: PhysicsAdapter, belief: PhysicsBelief, robot: int = 0) -> dict[str, tuple[float, float]]:
    names, mean, std = adapter.diagnose(belief)
    return {name: (float(m), float(s)) for name, m, s in zip(names, mean[robot], std[robot], strict=True)}
