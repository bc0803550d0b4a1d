"""The control step is a pure function: the same state, inputs and noise give the same plan, compiled or not."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.belief import Belief, tensors_of
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.control.delay import DelayConfig
from adaptive_mbrl.control.gate import chosen_belief
from adaptive_mbrl.control.step import ControllerState, ControlSettings, StepInputs, StepNoise, control_step, initial_state
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning import CVaRRiskConfig
from tests.core.analytic import POINT, POINT_WINDOW
from tests.core.compiling import OneGraphCompiler, one_graph_compiler
from tests.core.driving import PLANNERS, control_settings

HORIZON = 2
"""A compiler unrolls it, so that a long one takes long to trace."""


@pytest.fixture
def one_graph() -> Iterator[OneGraphCompiler]:
    with one_graph_compiler() as compiler:
        yield compiler


def settings_of(trained: MetaTrainer, method: str, rule: str = "gradient", **settings: Any) -> ControlSettings:
    adapter = trained.adapter
    assert isinstance(adapter, NetworkAdapter)
    if rule == "none":
        adapter = make_adapter(adapter.model, (NoneConfig(),), POINT_WINDOW)
    planner = dataclasses.replace(PLANNERS[method], horizon=HORIZON, uncertainty_penalty=0.5, risk=CVaRRiskConfig(0.6))
    return control_settings(adapter, planner=planner, **settings)


def inputs_at(t: int, obs: Tensor, sent: Tensor, **changed: Any) -> StepInputs:
    """Two robots on whose way two actions are, in mid-period; the second one has a gap in step 3."""
    pending = torch.tensor([[[0.2]], [[-0.1]]])
    connected = torch.tensor([True, t != 3])
    return StepInputs(
        obs, obs + 0.01, torch.ones(2, 1), sent, connected, pending, torch.full((2, 1), 0.5), torch.zeros(2, dtype=torch.bool)
    )._replace(**changed)


def states_after(settings: ControlSettings, steps: int) -> tuple[ControllerState, StepInputs, StepNoise]:
    """The state after some steps, and what the next one gets."""
    state, obs = initial_state(settings, 2, POINT_WINDOW, POINT.obs_dim), torch.tensor([[0.3, 0.0], [-0.2, 0.5]])
    for t in range(steps):
        state, _, _ = control_step(
            state, inputs_at(t, obs, state.last_action), StepNoise(settings.planner.draw_noise()), settings
        )
        obs = obs + 0.1 * state.last_action
    return state, inputs_at(steps, obs, state.last_action), StepNoise(settings.planner.draw_noise())


QUICK = [("icem", "gradient"), ("mppi", "none"), ("gradient", "none")]
"""A planner and a rule: one planner of each kind, and a rule that plans under what it has learned."""


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.slow)
        for pair in itertools.product(PLANNERS, ("gradient", "none"))
    ],
)
def test_the_step_is_one_graph_for_a_compiler(trained: MetaTrainer, method: str, rule: str, one_graph: OneGraphCompiler):
    settings = settings_of(trained, method, rule)
    compiled = one_graph(control_step)
    state = expected_state = initial_state(settings, 2, POINT_WINDOW, POINT.obs_dim)
    obs = torch.tensor([[0.3, 0.0], [-0.2, 0.5]])
    for t in range(5):
        noise = StepNoise(settings.planner.draw_noise())
        state, plan, report = compiled(state, inputs_at(t, obs, state.last_action), noise, settings)
        expected_state, expected, expected_report = control_step(
            expected_state, inputs_at(t, obs, expected_state.last_action), noise, settings
        )
        torch.testing.assert_close(tensors_of(state), tensors_of(expected_state))
        torch.testing.assert_close(plan, expected)
        torch.testing.assert_close(report, expected_report, equal_nan=True)
        obs = obs + 0.1 * state.last_action
    assert one_graph.graphs == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", PLANNERS)
def test_the_step_is_one_graph_with_noise_of_each_robots_own(trained: MetaTrainer, method: str, one_graph: OneGraphCompiler):
    settings = settings_of(trained, method)
    settings.planner.seed([4, 5])
    state, inputs, noise = states_after(settings, 4)

    _, plan, report = one_graph(control_step)(state, inputs, noise, settings)

    _, expected, expected_report = control_step(state, inputs, noise, settings)
    torch.testing.assert_close(plan, expected)
    torch.testing.assert_close(report, expected_report)
    assert one_graph.graphs == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"precision": "bfloat16", "gate": None, "predicted_steps": 2},
        {"delay": DelayConfig(), "predicted_steps": 2},
        *(
            pytest.param(settings, marks=pytest.mark.slow)
            for settings in ({"adapt": False}, {"precision": "bfloat16"}, {"gate": None}, {"predicted_steps": 2})
        ),
    ],
    ids=str,
)
def test_the_step_is_one_graph_with_other_settings(trained: MetaTrainer, changed: dict[str, Any], one_graph: OneGraphCompiler):
    """And with noise of each robot's own."""
    settings = settings_of(trained, "icem", **changed)
    settings.planner.seed([4, 5])
    state, inputs, noise = states_after(settings, 4)

    _, plan, report = one_graph(control_step)(state, inputs, noise, settings)

    _, expected, expected_report = control_step(state, inputs, noise, settings)
    torch.testing.assert_close(plan, expected)
    torch.testing.assert_close(report, expected_report)
    assert one_graph.graphs == 1


@pytest.mark.slow
def test_the_step_is_one_graph_while_the_belief_is_frozen(trained: MetaTrainer, one_graph: OneGraphCompiler):
    settings = settings_of(trained, "icem")
    state, inputs, noise = states_after(settings, 4)
    frozen = inputs._replace(freeze=torch.ones(2, dtype=torch.bool))

    new_state, plan, _ = one_graph(control_step)(state, frozen, noise, settings)

    assert_equal(new_state.gate.belief, state.gate.belief)
    torch.testing.assert_close(plan, control_step(state, frozen, noise, settings)[1])


@pytest.mark.parametrize(
    "waits",
    [lambda x: x * x.sum().item(), lambda x: x if x.sum() > 0 else -x, lambda x: x[x > 0], lambda x: x.cpu()],
    ids=["item", "if", "mask", "copy"],
)
def test_the_compiler_above_refuses_what_waits_for_the_device(waits: Callable, one_graph: OneGraphCompiler):
    with pytest.raises((torch._dynamo.exc.Unsupported, torch._dynamo.exc.BackendCompilerFailed)):
        one_graph(waits)(torch.ones(2))


@pytest.mark.parametrize("method", PLANNERS)
def test_a_step_changes_nothing_that_it_is_given(trained: MetaTrainer, method: str):
    """State, inputs, noise and meta-parameters are as before, and a second step from them is the same to the bit."""
    settings = settings_of(trained, method)
    given = states_after(settings, 4)
    tensors = [*tensors_of(given[0]), *given[1][:6], given[2].plan]
    copies = [tensor.clone() for tensor in tensors]
    weights = {name: tensor.clone() for name, tensor in settings.adapter.state_dict().items()}
    generator = settings.planner.generators[0].get_state()

    first = control_step(*given, settings)

    assert_equal(tensors, copies)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in settings.adapter.state_dict().items())
    assert torch.equal(settings.planner.generators[0].get_state(), generator)
    for out, again in zip(first, control_step(*given, settings), strict=True):
        assert_equal(out, again)


def test_a_frozen_belief_is_kept_and_what_is_seen_still_enters_the_window(trained: MetaTrainer):
    settings = settings_of(trained, "icem")
    state, inputs, noise = states_after(settings, 4)

    frozen, _, _ = control_step(state, inputs._replace(freeze=torch.ones(2, dtype=torch.bool)), noise, settings)
    free, _, _ = control_step(state, inputs, noise, settings)

    assert_equal(frozen.gate.belief, state.gate.belief)
    assert any(not torch.equal(a, b) for a, b in zip(tensors_of(free.gate.belief), tensors_of(state.gate.belief), strict=True))
    assert_equal(frozen.recent, free.recent)


def test_a_frozen_belief_after_a_gap_keeps_its_window_and_its_age(trained: MetaTrainer):
    settings = settings_of(trained, "icem")
    state, inputs, noise = states_after(settings, 4)
    held = inputs._replace(freeze=torch.tensor([True, False]), connected=torch.zeros(2, dtype=torch.bool))

    after, _, _ = control_step(state, held, noise, settings)

    for kept, before in zip(after.recent, state.recent, strict=True):
        torch.testing.assert_close(kept[0], before[0])
    assert torch.equal(after.gate.length[0], state.gate.length[0])
    # the other robot has no new transition either, but its window goes on
    assert not after.recent.valid[1, -1]
    assert torch.equal(after.gate.length[1], state.gate.length[1] + 1)


def test_the_marks_come_before_adapting_before_planning_and_at_the_end(trained: MetaTrainer):
    settings = settings_of(trained, "icem")
    state, inputs, noise = states_after(settings, 1)
    marks: list[None] = []

    control_step(state, inputs, noise, settings, mark=lambda: marks.append(None))

    assert len(marks) == 3


def assert_equal(values: Belief, others: Belief) -> None:
    for value, other in zip(tensors_of(values), tensors_of(others), strict=True):
        torch.testing.assert_close(value, other, rtol=0, atol=0, equal_nan=True)


def test_the_prediction_of_the_plan_is_that_of_its_belief_from_when_it_begins_to_act(trained: MetaTrainer):
    settings = settings_of(trained, "icem")
    state, inputs, noise = states_after(settings, 4)
    nothing_in_between = inputs._replace(pending=torch.zeros(2, 0, 1))
    asked = dataclasses.replace(settings, predicted_steps=HORIZON)

    new_state, plan, report = control_step(state, nothing_in_between, noise, asked)

    belief = chosen_belief(new_state.gate, settings.adapter.prior(2))
    futures = settings.adapter.condition(belief).roll_out(inputs.begin, plan.actions[:, None]).next_obs
    assert report.predicted.shape == (2, futures.shape[0], HORIZON + 1, POINT.obs_dim)
    torch.testing.assert_close(report.predicted[:, :, 1:], futures[:, :, 0].transpose(0, 1))
    torch.testing.assert_close(report.predicted[:, :, 0], inputs.begin[:, None].expand(-1, futures.shape[0], -1))


def test_a_prediction_that_is_reported_changes_nothing_else(trained: MetaTrainer):
    settings = settings_of(trained, "icem")
    given = states_after(settings, 4)

    _, plan, report = control_step(*given, dataclasses.replace(settings, predicted_steps=2))

    _, expected, expected_report = control_step(*given, settings)
    torch.testing.assert_close(plan, expected)
    torch.testing.assert_close(report._replace(predicted=expected_report.predicted), expected_report)
    assert expected_report.predicted.numel() == 0


def test_the_prediction_begins_where_pending_actions_lead_to(trained: MetaTrainer):
    settings = dataclasses.replace(settings_of(trained, "icem"), predicted_steps=1)
    state, inputs, noise = states_after(settings, 4)

    _, _, report = control_step(state, inputs, noise, settings)

    assert not torch.allclose(report.predicted[:, 0, 0], inputs.begin)
