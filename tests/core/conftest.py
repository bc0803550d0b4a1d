"""What several of the core's test modules share."""

from __future__ import annotations

import pytest
import torch

from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.meta.trainer import MetaTrainer
from tests.core.analytic import POINT, POINT_ADAPTATION, POINT_MODEL, POINT_OUTER, point_episodes


@pytest.fixture(scope="session")
def trained() -> MetaTrainer:
    """A small model, meta-trained for a few seconds on point masses of many gains; do not change it."""
    trainer = MetaTrainer(POINT, POINT_MODEL, POINT_ADAPTATION, POINT_OUTER, seed=0, device=torch.device("cpu"))
    trainer.fit(WindowSampler(point_episodes(40, seed=0), POINT_ADAPTATION.window, POINT_OUTER.query), 200)
    return trainer
