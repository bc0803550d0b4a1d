"""Controllers that are measured, and the control steps that they are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.bench.cases import RULES, Case
from adaptive_mbrl.checkpoint import Checkpoint
from adaptive_mbrl.control.gate import GateConfig
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController, Command
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.planning import MPPIConfig, SamplingPlanner, Score, make_planner

NUM_OBSERVATIONS = 64
"""Observations that follow one another, again and again."""


@dataclass(frozen=True)
class Driven:
    """A controller that is given one observation after the other.

    Attributes:
        controller: what is measured.
        observations: what it sees, (number, B, obs_dim).
        goal: its objective's goal, (goal_dim,).
    """

    controller: AdaptiveController
    observations: NDArray[np.float32]
    goal: NDArray[np.float32]

    def step(self, number: int) -> Command:
        """The control step of a number."""
        goal = np.tile(self.goal, (self.observations.shape[1], 1))
        return self.controller.step(self.observations[number % len(self.observations)], goal if self.goal.size else None)


def random_model(case: Case, checkpoint: Checkpoint) -> DynamicsModel:
    """A model with random weights, for the robot and in the ranges of a checkpoint."""
    description = checkpoint.description
    model = DynamicsModel(description.spec, ModelConfig(hidden=(case.width,) * case.layers, members=case.members))
    # predictions of random weights stay within the ranges of the data, and so finite
    model.normalizer.load_state_dict(checkpoint.adapter.model.normalizer.state_dict())
    return model


def driven_by(case: Case, checkpoint: Checkpoint, device: torch.device | str) -> Driven:
    """The controller of a case."""
    spec = checkpoint.description.spec
    model = random_model(case, checkpoint)
    planner = make_planner(spec, MPPIConfig(num_samples=case.samples, horizon=case.horizon, num_iterations=1), device=device)
    adapter = make_adapter(model, RULES[case.rule], case.window).to(device).eval()
    gate = GateConfig() if case.gate else None
    settings = ControlSettings(adapter, planner, Score(checkpoint.reward), gate=gate, precision=case.precision)
    return observed(AdaptiveController(spec, settings, case.window, compile=case.compile), checkpoint, case.batch)


def observed(controller: AdaptiveController, checkpoint: Checkpoint, batch: int) -> Driven:
    """A controller of a checkpoint's robot with observations like those of its training."""
    normalizer = checkpoint.adapter.model.normalizer
    mean, std = (value.cpu().numpy() for value in (normalizer.obs_mean, normalizer.obs_std))
    noise = np.random.default_rng(0).standard_normal((NUM_OBSERVATIONS, batch, len(mean)))
    goal = np.zeros(controller.settings.score.reward.goal_dim, dtype=np.float32)
    return Driven(controller, (mean + 0.1 * std * noise).astype(np.float32), goal)


def planning_operations(controller: AdaptiveController, batch: int) -> int:
    """The floating-point operations of the matrix products in the rollouts of one control step; a product and its sum are two."""
    adapter, planner = controller.settings.adapter, controller.settings.planner
    obs = torch.zeros(batch, controller.spec.obs_dim, device=planner.device)
    actions = torch.zeros(batch, planner.num_samples, planner.horizon, planner.action_dim, device=planner.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        adapter.condition(adapter.prior(batch)).roll_out(obs, actions)
    iterations = planner.num_iterations if isinstance(planner, SamplingPlanner) else 1
    return int(counter.get_total_flops()) * iterations
