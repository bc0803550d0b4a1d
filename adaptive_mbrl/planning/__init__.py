"""Sampling planners, one file each, on the base that owns rollout and warm start."""

from __future__ import annotations

import torch

from adaptive_mbrl.planning.base import Planner, PlannerConfig
from adaptive_mbrl.planning.cem import CEM
from adaptive_mbrl.planning.icem import ICEM
from adaptive_mbrl.planning.mppi import MPPI
from adaptive_mbrl.planning.random_shooting import RandomShooting
from adaptive_mbrl.spec import RobotSpec

_METHODS: dict[str, type[Planner]] = {"icem": ICEM, "cem": CEM, "mppi": MPPI, "random_shooting": RandomShooting}


def make_planner(spec: RobotSpec, config: PlannerConfig, seed: int = 0, device: torch.device | str = "cpu") -> Planner:
    """The planner that the config names."""
    return _METHODS[config.method](spec, config, seed, device)


__all__ = ["CEM", "ICEM", "MPPI", "Planner", "PlannerConfig", "RandomShooting", "make_planner"]
