"""A control step whose prediction is not finite is written to one file, from which it can be run again to the bit."""

from __future__ import annotations

import copy
import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.adaptation.reversal import as_wired
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description, save_checkpoint
from adaptive_mbrl.control.delay import DelayConfig
from adaptive_mbrl.control.dump import StepDump, replay_control_step, restored
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController, Command, StepOptions
from adaptive_mbrl.dump import read_dump
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Score, WorstRiskConfig, make_planner
from adaptive_mbrl.planning.value import ValueConfig, ValueFunction
from tests.core.analytic import POINT, POINT_MODEL, POINT_WINDOW, push
from tests.core.driving import PLANNERS, REACH, START, goal_at
from tests.core.rules import KINDS, RULES, point_adapter, point_model, rules_marked_slow_but

FAULT_AT = 5


def description(name: str = "gradient", planner: str = "icem") -> Description:
    terms, goals = REACH.terms, REACH.goal_names
    return Description(FORMAT_VERSION, POINT, terms, goals, point_model(name), RULES[name], PLANNERS[planner], POINT_WINDOW)


def controller_of(adapter: NetworkAdapter, folder: Path, about: Description, **settings: object) -> AdaptiveController:
    planner = make_planner(POINT, about.planner)
    control = ControlSettings(adapter, planner, Score(about.objective, planner.uncertainty_penalty), **settings)
    return AdaptiveController(POINT, control, POINT_WINDOW, StepDump(folder, about))


def with_a_nan_weight(adapter: NetworkAdapter) -> None:
    with torch.no_grad():
        adapter.model.net.weight_0[0, 0, 0] = torch.nan


def with_an_overflow(adapter: NetworkAdapter) -> None:
    """Finite weights whose predictions are not."""
    adapter.normalizer.obs_high.fill_(torch.inf)
    adapter.normalizer.obs_low.fill_(-torch.inf)
    with torch.no_grad():
        adapter.model.net.weight_1.mul_(1e38)
        adapter.model.net.bias_1.fill_(3e38)


FAULTS = {"nan weight": with_a_nan_weight, "overflow": with_an_overflow}


def drive(controller: AdaptiveController, steps: int, fault=None) -> list[Command]:
    """Steps of two robots; the fault enters the adapter before step `FAULT_AT`."""
    obs, commands = np.stack([START, -START]), []
    for t in range(steps):
        if t == FAULT_AT and fault is not None:
            fault(as_wired(controller.settings.adapter))
        options = StepOptions(pending=np.full((1, 1), 0.1, np.float32), remaining=0.5, freeze=t == 2)
        commands.append(controller.step(obs, np.tile(goal_at(t), (2, 1)), options))
        obs = push(obs, commands[-1].action, 0.4)
    return commands


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("name", ["gradient", "recurrent", "gradient_then_bayes_linear"])
def test_a_control_step_that_is_not_finite_is_written_once_and_replayed_exactly(tmp_path: Path, name: str, fault):
    controller = controller_of(point_adapter(name), tmp_path, description(name))

    commands = drive(controller, FAULT_AT + 3, fault)

    (path,) = tmp_path.iterdir()
    dump = read_dump(path)
    assert dump.kind == "control_step"
    assert "not finite" in dump.reason or "no candidate has a finite predicted return" in dump.reason
    state, plan, report = replay_control_step(dump)
    command = commands[FAULT_AT]
    np.testing.assert_array_equal(plan.actions.numpy(), command.plan)
    np.testing.assert_array_equal(plan.predicted_return.numpy(), command.info.predicted_return)
    for field in ("prior_error", "adapted_error", "fell_back"):
        np.testing.assert_array_equal(getattr(report, field).numpy(), getattr(command.info, field))
    assert state.started.all()


def test_a_belief_whose_prediction_overflows_is_written_although_the_plan_is_made_under_the_prior(tmp_path: Path):
    """The prior, whose code is zero, is as it was."""
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), RULES["context"], POINT_WINDOW).eval()

    def lead_by(weight: float) -> None:
        for head in adapter.rules[0].modulation.heads.values():
            head.weight.data.fill_(weight)

    lead_by(30.0)
    controller = controller_of(adapter, tmp_path, description("context"))

    commands = drive(controller, FAULT_AT + 3, lambda adapter: lead_by(1e30))

    assert commands[FAULT_AT].info.fell_back.all()
    assert np.isinf(commands[-1].info.adapted_error).all()
    assert all(np.abs(command.info.predicted_return).max() < 1e6 for command in commands)
    (path,) = tmp_path.iterdir()
    dump = read_dump(path)
    assert dump.reason == "the prediction of this observation is not finite"
    np.testing.assert_array_equal(replay_control_step(dump)[1].actions.numpy(), commands[FAULT_AT].plan)


@pytest.mark.parametrize("settings", [{"adapt": False}, {"gate": None}, {"precision": "bfloat16"}], ids=lambda s: next(iter(s)))
def test_a_replay_has_the_settings_of_the_controller(tmp_path: Path, settings: dict[str, object]):
    controller = controller_of(point_adapter("gradient"), tmp_path, description(), **settings)

    commands = drive(controller, FAULT_AT + 1, with_a_nan_weight)

    (path,) = tmp_path.iterdir()
    dump = read_dump(path)
    assert dump.about.items() >= settings.items()
    np.testing.assert_array_equal(replay_control_step(dump)[1].actions.numpy(), commands[FAULT_AT].plan)


def test_a_replay_has_the_terminal_value_the_exploration_bonus_and_the_risk(tmp_path: Path):
    adapter, still = point_adapter("gradient"), Objective(POINT, (Term("quadratic", 1.0, ("position",)),))
    about = dataclasses.replace(description(), terms=still.terms, goal_names=())
    value = ValueFunction(POINT, ValueConfig(hidden=(8,), weight=3.0), seed=4)
    control = ControlSettings(adapter, make_planner(POINT, about.planner), Score(still, -0.5, value, risk=WorstRiskConfig()))
    controller = AdaptiveController(POINT, control, POINT_WINDOW, StepDump(tmp_path, about))
    controller.step(START)
    with_a_nan_weight(adapter)

    controller.step(START)

    (path,) = tmp_path.iterdir()
    dump = read_dump(path)
    assert dump.about["objective_is_in_the_file"]
    # no plan was finite in that step, so that plans would be equal whatever the score
    score = restored(dump)[0].score
    assert (score.uncertainty_penalty, score.risk) == (-0.5, WorstRiskConfig())
    at = torch.randn(5, POINT.obs_dim, generator=torch.Generator().manual_seed(0))
    assert score.terminal_value is not None
    assert torch.equal(score.terminal_value(at, at[:, :0]), value(at))
    assert torch.equal(score.reward(at, at[:, :1], at, at[:, :0]), still(at, at[:, :1], at, at[:, :0]))


def test_a_replay_is_repeatable_and_follows_from_the_file_alone(tmp_path: Path):
    drive(controller_of(point_adapter("context"), tmp_path, description("context")), FAULT_AT + 1, with_a_nan_weight)
    (path,) = tmp_path.iterdir()

    first, second = (replay_control_step(read_dump(path)) for _ in range(2))

    for a, b in zip(tensors_of(first), tensors_of(second), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", rules_marked_slow_but(KINDS))
def test_a_healthy_run_writes_nothing(tmp_path: Path, name: str):
    controller = controller_of(point_adapter(name), tmp_path, description(name))

    drive(controller, 10)
    controller.reset()
    drive(controller, 3)

    assert list(tmp_path.iterdir()) == []


def late_drive(controller: AdaptiveController, steps: int, fault=None) -> list[Command]:
    """A point mass whose actions act two control steps late, with a gap after it was found out; then the fault."""
    obs, sent, commands = START, [np.zeros(1, np.float32)] * 3, []
    for t in range(steps):
        if t == steps - 1 and fault is not None:
            fault(as_wired(controller.settings.adapter))
        commands.append(controller.step(obs, goal_at(t), StepOptions(after_gap=t == 14)))
        sent.append(commands[-1].action)
        obs = push(obs, sent[-3], 0.8)
    return commands


def test_a_step_with_a_delay_is_replayed_exactly_and_older_dumps_have_none(trained: MetaTrainer, tmp_path: Path):
    """And that it is not known what acted after the gap is no fault."""
    controller = controller_of(copy.deepcopy(trained.adapter), tmp_path / "new", description(), delay=DelayConfig())

    commands = late_drive(controller, 20, with_a_nan_weight)

    assert commands[-2].info.delay.tolist() == [2]
    (path,) = (tmp_path / "new").iterdir()
    dump = read_dump(path)
    state, plan, _ = replay_control_step(dump)
    assert state.delay.choice.tolist() == [2]
    np.testing.assert_array_equal(plan.actions[0].numpy(), commands[-1].plan)
    drive(controller_of(point_adapter("gradient"), tmp_path / "old", description()), FAULT_AT + 1, with_a_nan_weight)
    (path,) = (tmp_path / "old").iterdir()
    older = read_dump(path)
    expected = replay_control_step(older)
    del older.about["delay"]
    number = len(older.sequence("state"))
    since = [f"state.{i}" for i in range(number - len(tensors_of(expected[0].delay)), number)]
    older = dataclasses.replace(older, tensors={name: x for name, x in older.tensors.items() if name not in since})
    np.testing.assert_array_equal(replay_control_step(older)[1].actions.numpy(), expected[1].actions.numpy())


def test_a_gap_is_not_taken_for_a_fault(tmp_path: Path):
    """After a gap there is no error to tell, which is no prediction that failed."""
    controller = controller_of(point_adapter("gradient"), tmp_path, description())
    drive(controller, 4)

    controller.step(np.stack([START, START]), np.ones((2, 1), np.float32), StepOptions(after_gap=True))

    assert list(tmp_path.iterdir()) == []


def test_a_loaded_controller_writes_where_it_is_told_to(tmp_path: Path):
    adapter = point_adapter("gradient")
    about = dataclasses.replace(description(), planner=PLANNERS["icem"])
    save_checkpoint(tmp_path / "saved", Checkpoint(about, adapter))
    controller = AdaptiveController.load(tmp_path / "saved", planner=PLANNERS["mppi"], dump_folder=tmp_path / "dumps")

    commands = drive(controller, FAULT_AT + 2, with_a_nan_weight)

    (path,) = (tmp_path / "dumps").iterdir()
    # the planner that was in use, not the checkpoint's
    np.testing.assert_array_equal(replay_control_step(read_dump(path))[1].actions.numpy(), commands[FAULT_AT].plan)


def test_a_folder_that_cannot_be_written_does_not_disturb_the_control_step(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("in the way")
    controller = controller_of(point_adapter("gradient"), tmp_path / "file", description())

    commands = drive(controller, FAULT_AT + 3, with_a_nan_weight)

    assert len(commands) == FAULT_AT + 3
    assert "could not be written" in caplog.text


def test_a_replay_plans_for_the_objective_that_was_in_use(tmp_path: Path):
    other = Objective(
        POINT, (Term("quadratic", 1.0, ("position",), goal=("where",)), Term("linear", 3.0, ("speed",))), ("where",)
    )
    controller = controller_of(point_adapter("none"), tmp_path, description("none"))
    settings = dataclasses.replace(controller.settings, score=Score(other))
    controller = AdaptiveController(POINT, settings, POINT_WINDOW, controller.dump)

    commands = drive(controller, FAULT_AT + 1, with_a_nan_weight)

    (path,) = tmp_path.iterdir()
    dump = read_dump(path)
    assert dump.about["objective_is_in_the_file"]
    assert len(dump.about["description"]["terms"]) == 2
    np.testing.assert_array_equal(replay_control_step(dump)[1].actions.numpy(), commands[FAULT_AT].plan)


def test_an_objective_of_ones_own_is_marked(tmp_path: Path):
    class Mine:
        goal_dim = 1

        def __call__(self, obs, action, next_obs, goal):
            return REACH(obs, action, next_obs, goal)

    controller = controller_of(point_adapter("none"), tmp_path, description("none"))
    settings = dataclasses.replace(controller.settings, score=Score(Mine()))

    drive(AdaptiveController(POINT, settings, POINT_WINDOW, controller.dump), FAULT_AT + 1, with_a_nan_weight)

    (path,) = tmp_path.iterdir()
    assert not read_dump(path).about["objective_is_in_the_file"]


def test_a_dump_in_the_background_is_the_same(tmp_path: Path):
    controller = controller_of(point_adapter("gradient"), tmp_path, description())
    watching = StepDump(tmp_path, description(), in_background=True)
    controller = AdaptiveController(POINT, controller.settings, POINT_WINDOW, watching)

    commands = drive(controller, FAULT_AT + 1, with_a_nan_weight)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.name == "dump":
            thread.join()

    (path,) = tmp_path.iterdir()
    np.testing.assert_array_equal(replay_control_step(read_dump(path))[1].actions.numpy(), commands[FAULT_AT].plan)
