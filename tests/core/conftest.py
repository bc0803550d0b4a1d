"""What several of the core's test modules share."""

from __future__ import annotations

import pytest

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.meta.trainer import MetaTrainer
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_RULES, POINT_WINDOW, point_episodes


@pytest.fixture(scope="session")
def trained() -> MetaTrainer:
    """A small model, meta-trained for a few seconds on point masses of many gains; do not change it."""
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL, seed=0), POINT_RULES, POINT_WINDOW)
    trainer = MetaTrainer(adapter, POINT_OUTER, seed=0)
    trainer.fit(EpisodeDataset(POINT, point_episodes(40, seed=0), [], POINT_WINDOW, POINT_OUTER.query), 200)
    return trainer
