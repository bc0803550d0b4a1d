"""Planners, one file each, on the base that owns limits, noise and warm start."""

from __future__ import annotations

import torch

from adaptive_mbrl.planning.base import IsLate, Plan, Planner, PlanState, Returns
from adaptive_mbrl.planning.cem import CEM, CEMConfig
from adaptive_mbrl.planning.gradient import GradientPlanner, GradientPlannerConfig
from adaptive_mbrl.planning.icem import ICEM, ICEMConfig
from adaptive_mbrl.planning.mppi import MPPI, MPPIConfig
from adaptive_mbrl.planning.random_shooting import RandomShooting, RandomShootingConfig
from adaptive_mbrl.planning.risk import CVaRRiskConfig, MeanRiskConfig, RiskConfig, WorstRiskConfig
from adaptive_mbrl.planning.sampling import SamplingConfig, SamplingPlanner
from adaptive_mbrl.planning.score import Score
from adaptive_mbrl.spec import RobotSpec

PlannerConfig = ICEMConfig | CEMConfig | MPPIConfig | RandomShootingConfig | GradientPlannerConfig
"""In YAML one entry with the planner's name, for example ``icem: {horizon: 15}``."""


def make_planner(spec: RobotSpec, config: PlannerConfig, seed: int = 0, device: torch.device | str = "cpu") -> Planner:
    """The planner that the config describes."""
    return config.make(spec, seed, device)


__all__ = [
    "CEM",
    "ICEM",
    "MPPI",
    "CEMConfig",
    "CVaRRiskConfig",
    "GradientPlanner",
    "GradientPlannerConfig",
    "ICEMConfig",
    "IsLate",
    "MPPIConfig",
    "MeanRiskConfig",
    "Plan",
    "PlanState",
    "Planner",
    "PlannerConfig",
    "RandomShooting",
    "RandomShootingConfig",
    "Returns",
    "RiskConfig",
    "SamplingConfig",
    "SamplingPlanner",
    "Score",
    "WorstRiskConfig",
    "make_planner",
]
