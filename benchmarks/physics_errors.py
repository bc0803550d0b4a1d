"""How well do estimated physics, alone and with a learned residual, predict noisy robots and robots unlike their MJCF?

Usage: python benchmarks/physics_errors.py [ROBOT ...] --out FILE

Robots are driven by smooth noise for 120 control steps; after 60 of them all actuators become weaker, to 0.6. From step 10 on,
every third step, the next 10 steps are predicted open loop by what is believed then. The error is RMS over channels and steps, in
the target stds of the robot's shipped checkpoint, against what is observed, noise included. `wrong` is the MJCF with masses that
are 20 % too large and springs missing, as for the arms `wrong_physics` and `wrong_hybrid` of `adaptive-mbrl evaluate`.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.transitions import Transitions
from benchmarks.bridge_machine import machine
from sim.evaluation.metrics import ratio_and_interval
from sim.identification.adapter import PhysicsAdapter
from sim.identification.hybrid import HybridAdapter
from sim.identification.mistaken import USUAL_ERROR, mistaken
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation

Array = NDArray[np.float64]
STEPS, CHANGE, FIRST, EVERY, HORIZON, WINDOW = 120, 60, 10, 3, 10, 16
WEAKER = 0.6
NOISES = (0.0, 0.003, 0.01)
"""Standard deviation in every channel, in its own unit."""
FORCE = {"quadrotor": 0.15}
"""Share of the largest actions that a robot is driven with, if not all: the quadrotor would turn over."""


def main(robots: tyro.conf.Positional[tuple[str, ...]] = ("cartpole", "quadrotor"), *, out: Path, episodes: int = 12) -> None:
    """Predict, and write the figures.

    Args:
        robots: names of robots that have a shipped checkpoint.
        out: the JSON file.
        episodes: number of robots that are driven in each case, with seeds from 0 on.
    """
    torch.set_num_threads(1)
    report: dict[str, Any] = {"machine": machine(), "episodes": episodes, "physics_errors": []}
    for name, noise in product(robots, NOISES):
        robot, normalizer = load_robot(name), load_checkpoint(name).adapter.normalizer
        driven = drive(robot, episodes, noise, FORCE.get(name, 1.0))
        for mjcf, model in (("right", robot), ("wrong", mistaken(robot, USUAL_ERROR))):
            alone, together = (
                errors(adapter, driven)
                for adapter in (PhysicsAdapter(model, normalizer, WINDOW), HybridAdapter(model, normalizer, WINDOW))
            )
            row = {
                "robot": name,
                "mjcf": mjcf,
                "noise": noise,
                "physics": mean_and_interval(alone),
                "hybrid": mean_and_interval(together),
                "ratio": ratio_and_interval(together, alone),
            }
            report["physics_errors"].append(row)
            print(row, flush=True)
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")


def drive(robot: Robot, episodes: int, noise: float, force: float) -> Transitions:
    """What is observed of robots that are moved by smooth noise, (E, STEPS)."""
    change = Change(obs_noise=noise) if noise else Change()
    simulation = BatchSimulation(robot, episodes)
    obs, rows = simulation.reset(list(range(episodes)), [change] * episodes), []
    rng, action = np.random.default_rng(0), np.zeros((episodes, robot.spec.action_dim))
    for step in range(STEPS):
        if step == CHANGE:
            for row in range(episodes):
                simulation.set_change(row, Change(actuator_gain=WEAKER, obs_noise=change.obs_noise))
        action = np.clip(0.6 * action + 0.6 * rng.standard_normal(action.shape), -1, 1)
        sent = simulation.clip(force * action)
        next_obs = simulation.step(sent)
        rows.append((obs, sent, next_obs))
        obs = next_obs
    obs, sent, next_obs = (torch.from_numpy(np.stack([row[i] for row in rows], axis=1)) for i in range(3))
    return Transitions(obs, sent, next_obs, torch.ones(episodes, STEPS, dtype=torch.bool))


def errors(adapter: Adapter[Any], driven: Transitions) -> Array:
    """The mean error of each robot's predictions, (E,)."""
    belief, found = adapter.prior(len(driven.obs)), []
    recent = Transitions(*(torch.zeros_like(x[:, :1]).repeat_interleave(WINDOW, 1) for x in driven))
    for step in range(STEPS - HORIZON):
        if step >= FIRST and step % EVERY == 0:
            ahead = slice(step, step + HORIZON)
            predictor = adapter.condition(belief)
            predicted = predictor.roll_out(driven.obs[:, step], driven.action[:, None, ahead]).next_obs[0, :, 0]
            found.append(predictor.error(predicted, driven.next_obs[:, ahead]).square().mean((1, 2)).sqrt())
        recent = recent.append(*(x[:, step] for x in driven))
        belief = adapter.update(belief, recent)
    return torch.stack(found).double().mean(0).numpy()


if __name__ == "__main__":
    tyro.cli(main)
