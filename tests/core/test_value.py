"""A terminal value: what it is fitted to, what it does for a short horizon, and that it travels with its checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import FORMAT_VERSION, VALUE_FILE, Checkpoint, Description, load_checkpoint, save_checkpoint
from adaptive_mbrl.control.inputs import InputChecker, StepOptions
from adaptive_mbrl.control.step import ControlSettings, StepNoise, control_step, initial_state
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import CheckpointError, ConfigError, DivergenceError
from adaptive_mbrl.meta.value_fit import fit_value
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.planning.value import ValueConfig, ValueFunction
from adaptive_mbrl.predictor import Trajectories
from tests.core.analytic import POINT, POINT_MODEL, POINT_WINDOW, TINY_PLANNER, push
from tests.core.compiling import TRACED_PLANNER, one_graph_compiler

SPEED = Objective(POINT, (Term("linear", 1.0, ("speed",)),))
NEAR = Objective(POINT, (Term("tolerance", 1.0, ("position",), scale=0.5),))
CONFIG = ValueConfig(discount=0.9, sweeps=15, updates=60, batch_size=256, learning_rate=3e-3)
QUICK = dataclasses.replace(CONFIG, sweeps=2, updates=5)


def constant(speed: float, steps: int = 60, *, ended: bool = False, source: str = "policy") -> Episode:
    """The same observation again and again, with a reward of `speed` for each step."""
    obs = np.tile(np.array([speed, speed], np.float32), (steps + 1, 1))
    return Episode(obs, np.zeros((steps, 1), np.float32), np.zeros(steps, np.float32), {"source": source}, ended=ended)


def homing(start: float, seed: int, steps: int = 60) -> Episode:
    """A spring and a damper bring the point mass to the origin."""
    rng = np.random.default_rng(seed)
    obs, actions = [np.array([start, 0.0], np.float32)], []
    for _ in range(steps):
        action = np.clip(-0.4 * obs[-1][:1] - 0.4 * obs[-1][1:] + rng.normal(0, 0.2), -1, 1).astype(np.float32)
        actions.append(action)
        obs.append(push(obs[-1], action, 1.0))
    return Episode(np.stack(obs), np.stack(actions), np.zeros(steps, np.float32), {"source": "policy"})


@pytest.fixture(scope="module")
def homing_value() -> ValueFunction:
    value = ValueFunction(POINT, CONFIG)
    fit_value(value, [homing(s, i) for i, s in enumerate(np.linspace(-8, 8, 16))], NEAR)
    return value


# --- what it is fitted to -----------------------------------------------------------------------------------------------------


def test_a_reward_that_never_ends_is_worth_its_geometric_series():
    value = ValueFunction(POINT, CONFIG)

    figures = fit_value(value, [constant(s) for s in (-1.0, 0.0, 2.0)], SPEED)

    found = value.value(torch.tensor([[-1.0, -1.0], [0.0, 0.0], [2.0, 2.0]]))
    torch.testing.assert_close(found, torch.tensor([-10.0, 0.0, 20.0]), atol=0.8, rtol=0.0)
    assert figures["value/explained_variance"] > 0.99


def test_nothing_comes_after_an_episode_that_ended_by_itself():
    """One step before its end it is worth the reward of that step; cut at a limit it goes on."""
    values = {}
    for ended in (True, False):
        value = ValueFunction(POINT, CONFIG)
        fit_value(value, [constant(1.0, steps=1, ended=ended), constant(3.0, steps=1, ended=ended)], SPEED)
        values[ended] = float(value.value(torch.ones(1, 2)))
    assert values[True] == pytest.approx(1.0, abs=0.2)
    assert values[False] > 2.0


def test_episodes_of_a_random_policy_are_left_out_once_there_are_others():
    both, policy = ValueFunction(POINT, QUICK), ValueFunction(POINT, QUICK)
    fit_value(both, [constant(1.0), constant(2.0), constant(-5.0, source="random")], SPEED)
    fit_value(policy, [constant(1.0), constant(2.0)], SPEED)
    assert torch.equal(both.value(torch.ones(1, 2)), policy.value(torch.ones(1, 2)))
    alone = ValueFunction(POINT, CONFIG)
    fit_value(alone, [constant(-5.0, source="random"), constant(1.0, source="random")], SPEED)
    assert float(alone.value(torch.full((1, 2), -5.0))) == pytest.approx(-50.0, abs=3.0)


def test_a_second_fit_goes_on_from_the_first_one():
    """New units of the returns do not change the values that it begins with."""
    value = ValueFunction(POINT, CONFIG)
    fit_value(value, [constant(s) for s in (-1.0, 2.0)], SPEED)
    slow = dataclasses.replace(CONFIG, sweeps=1, updates=1, learning_rate=0.0)
    other = ValueFunction(POINT, slow)
    other.load_state_dict(value.state_dict())
    fit_value(other, [constant(s) for s in (-1.0, 2.0)] * 3, SPEED)
    at = torch.tensor([[-1.0, -1.0], [2.0, 2.0]])
    torch.testing.assert_close(other.value(at), value.value(at), atol=0.05, rtol=0.01)


def test_a_fit_that_is_not_finite_is_one_line_and_no_value():
    with pytest.raises(DivergenceError, match=r"key 'value': targets of its fit are not finite; a lower value.learning_rate"):
        fit_value(ValueFunction(POINT, QUICK), [constant(1.0), constant(float("nan"))], SPEED)
    wild = dataclasses.replace(QUICK, sweeps=1, updates=3, learning_rate=1e30)
    with pytest.raises(DivergenceError, match="fitted values are not finite"):
        fit_value(ValueFunction(POINT, wild), [constant(1.0), constant(2.0)], SPEED)


# --- what it does for a planner -----------------------------------------------------------------------------------------------


def first_action(position: float, value: ValueFunction | None) -> float:
    """The first action of a plan of 5 steps with the true dynamics, from rest."""
    planner, obs = make_planner(POINT, TINY_PLANNER), torch.tensor([[position, 0.0]])
    score = Score(NEAR, terminal_value=value)

    def returns(actions: torch.Tensor) -> torch.Tensor:
        state, steps = np.broadcast_to(obs.numpy()[:, None], (1, actions.shape[1], 2)), []
        for action in actions.unbind(2):
            state = push(state, action.numpy(), 1.0)
            steps.append(torch.from_numpy(state))
        return score(Trajectories(torch.stack(steps, 2)[None]), actions, obs, torch.zeros(1, 0))

    _, plan = planner.improve(planner.init(1), returns, planner.draw_noise())
    return float(plan.actions[0, 0, 0])


def test_with_a_value_a_short_horizon_finds_a_reward_far_away(homing_value: ValueFunction):
    """The reward is at the origin, 7 m away; five steps of 0.1 s reach 2 m at most, where it is still zero to the bit."""
    for position in (7.0, -7.0):
        towards = -np.sign(position)
        assert towards * first_action(position, homing_value) > 0.25
    assert abs(first_action(7.0, None) - first_action(-7.0, None)) < 1e-6


def test_the_weight_scales_what_the_score_gets(homing_value: ValueFunction):
    half = ValueFunction(POINT, dataclasses.replace(CONFIG, weight=0.5))
    half.load_state_dict(homing_value.state_dict())
    at = torch.tensor([[0.5, 0.0]])
    torch.testing.assert_close(half(at), 0.5 * homing_value(at))


def test_outside_of_the_data_it_stays_what_it_is_at_the_edge(homing_value: ValueFunction):
    edge, far = (torch.tensor([[float(x), 0.0]]) for x in (homing_value.normalizer.obs_high[0], 1e6))
    torch.testing.assert_close(homing_value.value(far), homing_value.value(edge))


def test_an_objective_with_a_goal_is_refused():
    with pytest.raises(ConfigError, match=r"key 'value': the objective of 'point_mass' has a goal \(where\), which episodes"):
        ValueFunction(POINT, CONFIG, ("where",))


def test_a_control_step_with_a_value_is_one_graph(homing_value: ValueFunction):
    """It waits for nothing, like any other control step."""
    rules = (NoneConfig(),)
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), rules, POINT_WINDOW).eval()
    settings = ControlSettings(adapter, make_planner(POINT, TRACED_PLANNER), Score(NEAR, terminal_value=homing_value))
    state = initial_state(settings, 1, POINT_WINDOW, POINT.obs_dim)
    inputs = InputChecker(POINT, 0, TRACED_PLANNER.horizon, torch.device("cpu")).inputs(
        np.array([1.0, 0.0], np.float32), None, StepOptions(), None
    )
    noise = StepNoise(settings.planner.draw_noise())
    with one_graph_compiler() as compiler:
        compiled = compiler(lambda state, inputs, noise: control_step(state, inputs, noise, settings))
        _, plan, _ = compiled(state, inputs, noise)
    assert compiler.graphs == 1
    torch.testing.assert_close(plan.actions, control_step(state, inputs, noise, settings)[1].actions)


# --- in a checkpoint ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(homing_value: ValueFunction, tmp_path: Path) -> Path:
    rules = (NoneConfig(),)
    about = Description(
        FORMAT_VERSION, POINT, NEAR.terms, (), POINT_MODEL, rules, TINY_PLANNER, POINT_WINDOW, value=homing_value.config
    )
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), rules, POINT_WINDOW)
    save_checkpoint(tmp_path / "saved", Checkpoint(about, adapter, value=homing_value))
    return tmp_path / "saved"


def test_it_travels_with_its_checkpoint_into_the_controllers_score(saved: Path, homing_value: ValueFunction):
    at = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    value = load_checkpoint(saved).value
    assert value is not None
    assert torch.equal(value(at), homing_value(at))
    found = AdaptiveController.load(saved).settings.score.terminal_value
    assert found is not None
    assert torch.equal(found(at, at[:, :0]), homing_value(at))


def test_it_is_not_used_for_another_objective_than_it_was_fitted_to(saved: Path, caplog: pytest.LogCaptureFixture):
    assert AdaptiveController.load(saved, objective=NEAR).settings.score.terminal_value is not None
    assert not caplog.messages
    assert AdaptiveController.load(saved, objective=SPEED).settings.score.terminal_value is None
    (line,) = caplog.messages
    assert line == f"{saved}: its terminal value is not used: it was fitted to another objective than the one given here"


def test_a_missing_or_damaged_file_is_one_line(saved: Path):
    (saved / VALUE_FILE).write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"value\.safetensors: damaged"):
        load_checkpoint(saved)
    (saved / VALUE_FILE).unlink()
    with pytest.raises(CheckpointError, match=r"value\.safetensors: missing"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.pop("return_mean"), "tensor 'return_mean' is missing"),
        (lambda t: t.update(more=torch.ones(1)), "unknown tensor 'more'"),
        (lambda t: t.update(return_std=torch.ones(2)), r"tensor 'return_std' has shape \(2,\); needed: \(\)"),
        (lambda t: t["net.0.bias"].fill_(torch.nan), "tensor 'net.0.bias' holds NaN"),
    ],
)
def test_weights_that_do_not_fit_name_the_tensor(saved: Path, damage: Callable[[dict[str, torch.Tensor]], object], message: str):
    tensors = load_file(saved / VALUE_FILE)
    damage(tensors)
    save_file(tensors, saved / VALUE_FILE)

    with pytest.raises(CheckpointError, match=rf"value\.safetensors: {message}"):
        load_checkpoint(saved)
