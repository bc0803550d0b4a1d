"""Checkpoints of the robot with every kind of channel, and how a test reads what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description, load_checkpoint
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError
from adaptive_mbrl.objective import Term
from tests.core.analytic import MIXED, TINY_PLANNER, mixed_model

MODEL = {"hidden": (7, 5), "members": 2, "activation": "tanh", "context_dim": 3}
TERMS = (Term("linear", 1.0, ("speed",)), Term("cosine", 0.5, ("pitch",), goal=("wanted_pitch",)))


RULES = {
    "gradient": GradientConfig(steps=2, step_sizes="per_parameter", learning_rate=0.1, second_order=True),
    "none": NoneConfig(),
}


def checkpoint(seed: int = 0, rule: str = "gradient", **model: object) -> Checkpoint:
    description = Description(
        format_version=FORMAT_VERSION,
        spec=MIXED,
        terms=TERMS,
        goal_names=("wanted_pitch",),
        window=4,
        model=ModelConfig(**{**MODEL, **model}),  # type: ignore[arg-type]
        adaptation=(RULES[rule],),
        planner=TINY_PLANNER,
        provenance={"updates": 3},
    )
    return Checkpoint(description, make_adapter(mixed_model(seed, **model), description.adaptation, window=4))


def message(path: Path | str, error: type[AdaptiveMBRLError] = CheckpointError) -> str:
    with pytest.raises(error) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)
