"""Controllers that drive a point mass whose motor gain changes, shared by the tests about controllers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from adaptive_mbrl.adaptation import Adapter, NetworkAdapter
from adaptive_mbrl.adaptation.belief import Belief
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.objective import Objective, RewardFunction, Term
from adaptive_mbrl.planning import (
    CEMConfig,
    GradientPlannerConfig,
    ICEMConfig,
    MPPIConfig,
    PlannerConfig,
    RandomShootingConfig,
    Score,
    make_planner,
)
from tests.core.analytic import POINT, POINT_WINDOW, push

PLANNER = ICEMConfig(horizon=6, num_samples=32, num_iterations=2, num_elites=6, num_elites_kept=2, noise_beta=1.0)
REACH = Objective(POINT, (Term("quadratic", 1.0, ("position",), goal=("where",)),), ("where",))
_SAMPLING = {"horizon": 6, "num_samples": 32, "num_iterations": 2}
PLANNERS: dict[str, PlannerConfig] = {
    "icem": PLANNER,
    "cem": CEMConfig(**_SAMPLING, num_elites=6),
    "mppi": MPPIConfig(**_SAMPLING),
    "random_shooting": RandomShootingConfig(**_SAMPLING),
    "gradient": GradientPlannerConfig(horizon=6, num_samples=4, num_iterations=3),
}
"""One of each kind, of the same horizon."""
CHANGE_AT, STEPS = 25, 60
START = np.array([0.3, 0.0], np.float32)


class Run(NamedTuple):
    """An episode, one row per control step."""

    obs: np.ndarray
    action: np.ndarray
    prior_error: np.ndarray
    adapted_error: np.ndarray
    fell_back: np.ndarray
    run_length: np.ndarray


class BeliefWitness(NetworkAdapter):
    """Notes the last belief that it conditioned a predictor on: in a control step, the one that is planned under."""

    def condition(self, belief: Belief, noise: Tensor | None = None) -> NetworkPredictor:
        self.belief = belief
        return super().condition(belief, noise)


class RecordingReward:
    """A reward function that notes what it is asked about.

    Args:
        reward: what it returns.
    """

    def __init__(self, reward: RewardFunction = REACH) -> None:
        self.reward, self.goal_dim = reward, reward.goal_dim
        self.starts: list[Tensor] = []
        self.next_obs: list[Tensor] = []

    def __call__(self, obs: Tensor, action: Tensor, next_obs: Tensor, goal: Tensor) -> Tensor:
        self.starts.append(obs[0, :, 0, 0])
        self.next_obs.append(next_obs)
        return self.reward(obs, action, next_obs, goal)

    @property
    def num_samples(self) -> list[int]:
        """Number of candidates of each question so far."""
        return [next_obs.shape[2] for next_obs in self.next_obs]


def control_settings(
    adapter: Adapter[Any],
    objective: RewardFunction = REACH,
    planner: PlannerConfig = PLANNER,
    seed: int = 0,
    **settings: Any,
) -> ControlSettings:
    """What a controller of the point mass needs; `settings` are further fields of `ControlSettings`."""
    made = make_planner(POINT, planner, seed)
    return ControlSettings(adapter, made, Score(objective, made.uncertainty_penalty, risk=made.risk), **settings)


def controller(trainer: MetaTrainer, *, adapter: Adapter[Any] | None = None, **settings: Any) -> AdaptiveController:
    """A controller of the point mass; `settings` as in `control_settings`."""
    return AdaptiveController(POINT, control_settings(adapter or trainer.adapter, **settings), POINT_WINDOW)


def goal_at(t: int) -> np.ndarray:
    """Back and forth, so that there is always something to learn from."""
    return np.array([1.0 if t // 8 % 2 else -1.0], np.float32)


def run(
    driven: AdaptiveController,
    gain_before: float | np.ndarray,
    gain_after: float | np.ndarray,
    start: np.ndarray = START,
    steps: int = STEPS,
) -> Run:
    """An episode in which the gain changes at step `CHANGE_AT`."""
    obs, rows = start, []
    for t in range(steps):
        command = driven.step(obs, goal_at(t))
        info = command.info
        rows.append((obs, command.action, info.prior_error, info.adapted_error, info.fell_back, info.run_length))
        obs = push(obs, command.action, gain_before if t < CHANGE_AT else gain_after)
    return Run(*(np.stack(column) for column in zip(*rows, strict=True)))
