"""The examples of docs/extending.md run as they stand there."""

from __future__ import annotations
import __future__

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What all the page's code defines, run from top to bottom in one module, beside the files that it shows."""
    folder = tmp_path_factory.mktemp("extending")
    for language, text in BLOCKS:
        shown = re.match(r"(?:#|<!--) (\w+\.(?:yaml|xml))", text)
        if language in ("xml", "yaml") and shown:
            (folder / shown.group(1)).write_text(text, encoding="utf-8")
    # dataclasses look their module up by name
    module = types.ModuleType("extending_examples")
    sys.modules[module.__name__] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for language, text in BLOCKS:
            if language == "python":
                # annotations as in the package, whose modules all begin with that import
                code = compile(text, str(PAGE), "exec", flags=__future__.annotations.compiler_flag)
                exec(code, module.__dict__)
    return vars(module)


def test_the_rule_moves_predictions_towards_what_was_seen(names: dict[str, object]) -> None:
    adapter, predictor, recent = names["adapter"], names["predictor"], names["recent"]
    obs, action = recent.obs[:, :1], recent.action[:, :1]
    prior = adapter.condition(adapter.prior(1))

    def error(p: object) -> torch.Tensor:
        return p.error(p.predict(obs, action).mean, recent.next_obs[:, :1]).square().mean()

    assert error(predictor) < 0.2 * error(prior)
    assert names["futures"].next_obs.shape == (3, 1, 8, 15, 4)


def test_the_rule_trains(names: dict[str, object]) -> None:
    (group,) = [g for g in names["adapter"].parameter_groups() if g.parameters[0].dim() == 0]
    recent = names["recent"]
    before = group.parameters[0].detach().clone()
    trainer = MetaTrainer(names["adapter"], OuterConfig(query=3, learning_rate=1e-2))
    obs = 0.1 * torch.arange(4.0)[None, :, None].expand(1, 4, 4)
    losses = [
        float(trainer.step(Windows(recent, obs, torch.zeros(1, 3, 1), torch.zeros(1, dtype=torch.int64)))) for _ in range(20)
    ]

    assert losses[-1] < losses[0]
    assert group.parameters[0] != before


def test_the_planner_plans_within_limits(names: dict[str, object]) -> None:
    controller = names["controller"]
    assert type(controller.settings.planner).__name__ == "PredictiveSampling"
    assert controller.step(np.zeros(4)).plan.shape == (20, 1)


def test_the_oracle_pulls_the_spring_to_its_target(names: dict[str, object]) -> None:
    assert abs(names["episode"].obs[-1, 0] - 0.5) < 0.2


def test_power_costs_reward(names: dict[str, object]) -> None:
    objective = names["robot"].objective
    plain = objective(torch.zeros(7, 2), torch.ones(7, 1), torch.ones(7, 2), torch.zeros(7, 0))
    torch.testing.assert_close(names["reward"], plain - 0.1)
    assert np.isfinite(names["thrifty"].step(np.zeros(4)).action).all()


def test_a_physical_model_learns_the_gain(names: dict[str, object]) -> None:
    from adaptive_mbrl.control.gate import chosen_belief
    from sim.scenarios import Change
    from sim.simulation import BatchSimulation

    robot, physical = names["robot"], names["physical"]
    physical.reset()
    simulation = BatchSimulation(robot, 1)
    obs = simulation.reset([0])
    simulation.set_change(0, Change(actuator_gain=0.5))
    for _ in range(20):
        command = physical.step(obs[0])
        obs = simulation.step(command.action[None])
    gate = physical._state.gate
    assert not command.info.fell_back.any()
    assert chosen_belief(gate, physical.settings.adapter.prior(1)).gain.item() == pytest.approx(2.5, rel=0.1)
    assert command.info.adapted_error[0] < command.info.prior_error[0]
