"""Trainers of the point mass and data for them."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from adaptive_mbrl.adaptation import Rules, make_adapter
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.process import Process
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_RULES, POINT_WINDOW, point_episodes

WINDOW, QUERY = POINT_WINDOW, POINT_OUTER.query


def point_trainer(
    seed: int = 0,
    rules: Rules = POINT_RULES,
    model: ModelConfig = POINT_MODEL,
    process: Process | None = None,
    **outer: object,
) -> MetaTrainer:
    """A trainer of a small model; `outer` changes settings of the outer loop."""
    adapter = make_adapter(DynamicsModel(POINT, model, seed), rules, WINDOW)
    return MetaTrainer(adapter, dataclasses.replace(POINT_OUTER, **outer), seed, process=process or Process())


def point_dataset(num: int = 8, seed: int = 0) -> EpisodeDataset:
    return EpisodeDataset(POINT, point_episodes(num, seed), [], WINDOW, QUERY)


def held_out(num: int, seed: int) -> EpisodeDataset:
    """A dataset whose held-out episodes matter only."""
    return EpisodeDataset(POINT, point_episodes(1, 0), point_episodes(num, seed), WINDOW, QUERY)


def some_windows(index: Tensor) -> Windows:
    return WindowSampler(point_episodes(8, 0), WINDOW, QUERY).at(index)


def weights(of: MetaTrainer) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in of.adapter.state_dict().items()}
