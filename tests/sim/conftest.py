"""Checkpoints that are made in no time: untrained, or not even that; and a renderer."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptive_mbrl.adaptation import RuleConfig
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description, save_checkpoint
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.planning import ICEMConfig
from sim.evaluation.drawing_process import NO_RENDERER, pick_renderer
from sim.robot.robot import load_robot

TINY_PLANNER = ICEMConfig(horizon=5, num_samples=8, num_iterations=2, num_elites=3)
MakeCheckpoint = Callable[..., Path]
RULES = {rule.TAG: rule for rule in typing.get_args(RuleConfig)}


@pytest.fixture(scope="session")
def make_checkpoint() -> MakeCheckpoint:
    """Write an untrained checkpoint: make_checkpoint(folder, robot="cartpole", rule="gradient", seed=1) -> folder."""

    def make(folder: Path, robot: str = "cartpole", rule: str = "gradient", seed: int = 1) -> Path:
        spec, objective = load_robot(robot).spec, load_robot(robot).objective
        # modules are routed between two layers
        hidden = (8, 8) if rule == "soft_modules" else (8,)
        model = ModelConfig(hidden=hidden, members=2, context_dim=2)
        rules = (RULES[rule](),)
        description = Description(
            FORMAT_VERSION, spec, objective.terms, objective.goal_names, model, rules, TINY_PLANNER, 4, {"made by": "a test"}
        )
        save_checkpoint(folder, Checkpoint(description, description.make_adapter(seed=seed)))
        return folder

    return make


@pytest.fixture(scope="session", autouse=True)
def _briefly_timed() -> Iterator[None]:
    """An evaluation finds out how long a control step takes by a few of them, which is a third of what it does in a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.evaluation.arms.TIMED_STEPS", 3)
        yield


@pytest.fixture(scope="session")
def renderer() -> None:
    """For tests that draw, which are skipped where nothing can be drawn; finding that out takes too long for collecting them."""
    if pick_renderer() is None:
        pytest.skip(NO_RENDERER)


@pytest.fixture(scope="session")
def cartpole_scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 steps, the motor weakens at step 12."""
    path = tmp_path_factory.mktemp("scenarios") / "weak_motor.yaml"
    path.write_text("robot: cartpole\nsteps: 30\nseed: 5\nchanges:\n  - {at: 12, actuator_gain: 0.3}\n")
    return path
