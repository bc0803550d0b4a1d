"""The controller on a point mass whose motor gain changes: it adapts, notices harm, and refuses bad input without a trace."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from adaptive_mbrl.adaptation.gradient import GradientAdapter, GradientBelief
from adaptive_mbrl.adaptation.none import NoAdapter
from adaptive_mbrl.controller import AdaptiveController, Ahead, ControllerState
from adaptive_mbrl.errors import ObservationError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import PlannerConfig, make_planner
from adaptive_mbrl.planning.base import Plan
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT, POINT_ADAPTATION, TO_ORIGIN, push

WINDOW = POINT_ADAPTATION.window
PLANNER = PlannerConfig(horizon=6, num_samples=32, num_iterations=2, num_elites=6, num_elites_kept=2, noise_beta=1.0)
REACH = Objective(POINT, (Term("quadratic", 1.0, ("position",), goal=("where",)),), ("where",))
CHANGE_AT, STEPS = 25, 60
START = np.array([0.3, 0.0], np.float32)


def controller(trainer: MetaTrainer, *, adapter: GradientAdapter | None = None, seed: int = 0, **options) -> AdaptiveController:
    objective = options.pop("objective", REACH)
    planner = make_planner(POINT, options.pop("planner", PLANNER), seed)
    return AdaptiveController(POINT, adapter or trainer.adapter, planner, objective, WINDOW, **options)


def goal_at(t: int) -> np.ndarray:
    """Back and forth, so that there is always something to learn from."""
    return np.array([1.0 if t // 8 % 2 else -1.0], np.float32)


class Run(NamedTuple):
    """An episode, one row per control step."""

    obs: np.ndarray
    action: np.ndarray
    prior_error: np.ndarray
    adapted_error: np.ndarray
    fell_back: np.ndarray


def run(
    driven: AdaptiveController, gain_before: float | np.ndarray, gain_after: float | np.ndarray, start=START, steps=STEPS
) -> Run:
    obs, rows = start, []
    for t in range(steps):
        command = driven.step(obs, goal_at(t))
        info = command.info
        rows.append((obs, command.action, info.prior_error, info.adapted_error, info.fell_back))
        obs = push(obs, command.action, gain_before if t < CHANGE_AT else gain_after)
    return Run(*(np.stack(column) for column in zip(*rows, strict=True)))


# --- adapting -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain_after", [0.25, 1.6])
def test_after_a_change_of_gain_the_adapted_error_falls_below_the_priors(trained: MetaTrainer, gain_after: float):
    ran = run(controller(trained), 0.8, gain_after)

    settled = slice(CHANGE_AT + WINDOW + 1, None)
    assert ran.adapted_error[settled].mean() < 0.5 * ran.prior_error[settled].mean()
    assert ran.fell_back[settled].mean() < 0.1


def test_without_adaptation_the_belief_is_the_prior(trained: MetaTrainer):
    ran = run(controller(trained, adapt=False), 0.8, 0.25, steps=12)

    np.testing.assert_array_equal(ran.adapted_error, ran.prior_error)
    assert not ran.fell_back.any()


def test_errors_are_about_predictions_made_before_the_observation_was_seen(trained: MetaTrainer):
    """RMS over channels in stds of the one-step target, of the belief in use when the action was chosen."""
    ran = run(controller(trained, fallback=False), 0.5, 0.5, steps=5)
    obs, action, normalizer = torch.from_numpy(ran.obs), torch.from_numpy(ran.action), trained.adapter.model.normalizer

    def error(belief: GradientBelief) -> float:
        mean = trained.adapter.predict(belief, obs[None, None, 3], action[None, None, 3]).mean[0, 0]
        return normalizer.error(mean, obs[4]).square().mean().sqrt().item()

    # three transitions were known when action 3 was chosen
    known = Transitions(obs[None, :3], action[None, :3], obs[None, 1:4], torch.ones(1, 3, dtype=torch.bool))
    prior = trained.adapter.prior(1)
    assert ran.prior_error[4, 0] == pytest.approx(error(prior), rel=1e-4)
    assert ran.adapted_error[4, 0] == pytest.approx(error(trained.adapter.update(prior, known)), rel=1e-4)


# --- falling back -------------------------------------------------------------------------------------------------------------


def harmful(trained: MetaTrainer, log_step_size: float) -> GradientAdapter:
    adapter = copy.deepcopy(trained.adapter)
    for parameter in adapter.log_step_sizes.values():
        parameter.data.fill_(log_step_size)
    return adapter


@pytest.mark.parametrize("log_step_size", [3.0, 80.0, 1000.0], ids=["wild", "enormous", "not finite"])
def test_it_falls_back_to_the_prior_when_adaptation_does_harm(trained: MetaTrainer, log_step_size: float):
    """Also when the belief is so wrong that its predictions are no numbers any more."""
    ran = run(controller(trained, adapter=harmful(trained, log_step_size)), 0.8, 0.25)

    assert ran.fell_back[5:].all()
    assert np.isfinite(ran.action).all()
    frozen = run(controller(trained, adapt=False), 0.8, 0.25)
    # the first steps were taken under the harmful belief, so compare how well the later ones follow the goal
    goals = np.stack([goal_at(t) for t in range(STEPS)])
    miss, frozen_miss = (np.abs(r.obs[30:, :1] - goals[30:]).mean() for r in (ran, frozen))
    assert miss < 1.3 * frozen_miss


def test_the_fallback_can_be_switched_off(trained: MetaTrainer):
    ran = run(controller(trained, adapter=harmful(trained, 3.0), fallback=False), 0.8, 0.25, steps=20)

    assert not ran.fell_back.any()
    assert ran.adapted_error[10:].mean() > 2 * ran.prior_error[10:].mean()


def test_it_returns_to_the_belief_when_that_becomes_useful_again(trained: MetaTrainer):
    """One robot's sensor jumps for a while, which no adaptation can follow; then all is well."""
    driven, obs = controller(trained), START
    fell_back = []
    for t in range(80):
        jump = np.float32([3.0 * (-1) ** t, 0.0]) if 10 <= t < 20 else 0.0
        command = driven.step(obs + jump, goal_at(t))
        fell_back.append(bool(command.info.fell_back[0]))
        obs = push(obs, command.action, 0.3)

    assert not any(fell_back[60:])


def test_one_robots_harm_is_not_anothers(trained: MetaTrainer):
    """Only the second of two robots sees a sensor that jumps."""
    driven, obs = controller(trained), np.stack([START, START])
    fell_back = []
    for t in range(30):
        jump = np.zeros_like(obs)
        jump[1] = [4.0 * (-1) ** t, 3.0 * (-1) ** (t // 2)]
        command = driven.step(obs + jump, np.tile(goal_at(t), (2, 1)))
        fell_back.append(command.info.fell_back)
        obs = push(obs, command.action, 0.3)

    assert not np.stack(fell_back)[10:, 0].any()


def test_it_learns_from_what_was_really_sent(trained: MetaTrainer):
    """Strong noise between controller and motor: a controller that is told of it predicts well, one that is not does not."""
    error = {}
    for told in (True, False):
        rng = np.random.default_rng(0)
        driven, obs, sent, errors = controller(trained), START, None, []
        for t in range(STEPS):
            command = driven.step(obs, goal_at(t), sent=sent if told else None)
            errors.append(command.info.adapted_error[0])
            sent = np.clip(command.action + rng.normal(0, 0.5, 1), -1, 1)
            obs = push(obs, sent, 0.3)
        error[told] = np.mean(errors[WINDOW:])

    assert error[True] < 0.8 * error[False]


def test_what_lies_across_a_gap_is_not_learned_from(trained: MetaTrainer):
    """The robot is elsewhere after a gap; only the steps on either side of it count."""
    driven, undisturbed = controller(trained), controller(trained)
    obs, sent = START, None
    for t in range(20):
        beside = t in (10, 11)
        away = np.float32([5.0, -3.0]) if t == 10 else np.float32([0.0, 0.0])
        command = driven.step(obs + away, goal_at(t), sent=sent, after_gap=beside)
        expected = undisturbed.step(obs, goal_at(t))
        if beside:
            assert np.isnan(command.info.adapted_error).all()
        elif t > 11:
            assert command.info.adapted_error < expected.info.adapted_error + 0.1
        sent = expected.action
        obs = push(obs, sent, 0.3)


def test_sent_equal_to_the_command_changes_nothing(trained: MetaTrainer):
    told, untold = controller(trained), controller(trained)
    obs, sent = np.stack([START, -START]), np.full((2, 1), 7.0)  # at the first step nothing was sent yet
    for t in range(12):
        goal = np.tile(goal_at(t), (2, 1))
        command, expected = told.step(obs, goal, sent=sent), untold.step(obs, goal)
        np.testing.assert_array_equal(command.action, expected.action)
        sent = command.action
        obs = push(obs, sent, 0.3)


def test_with_actions_on_their_way_the_plan_begins_after_them(trained: MetaTrainer):
    """Every action acts two steps late: planning from where the robot will be then, it comes to rest at the goal."""
    error, goal = {}, np.ones(1, np.float32)
    for told in (True, False):
        driven, obs, errors = controller(trained), START, []
        acted, queue = None, [np.zeros(1, np.float32)] * 2
        for _ in range(STEPS):
            command = driven.step(obs, goal, sent=acted, pending=np.stack(queue) if told else None)
            acted = queue[0]
            queue = [*queue[1:], command.action]
            obs = push(obs, acted, 0.8)
            errors.append(abs(obs[0] - goal[0]))
        error[told] = np.mean(errors[STEPS // 2 :])

    assert error[True] < 0.5 * error[False]


def test_of_a_part_of_a_period_a_part_of_the_change_is_expected(trained: MetaTrainer):
    """Planning in mid-period from a newer obs: as if from where the robot will be when the action on its way has ended."""
    driven = controller(trained, adapt=False)
    latest, pending = np.array([0.8, 0.5], np.float32), np.array([[0.4]], np.float32)

    def start_of(remaining: float) -> np.ndarray:
        seen = []
        roll_out = driven.adapter.roll_out
        driven.adapter = copy.copy(driven.adapter)
        driven.adapter.roll_out = lambda belief, obs, actions, dtype: seen.append(obs) or roll_out(belief, obs, actions, dtype)
        driven.step(START, goal_at(0), latest=latest, pending=pending, remaining=remaining)
        return seen[0][0].numpy()

    whole = start_of(1.0)
    assert np.abs(whole - latest).max() > 0.01
    np.testing.assert_allclose(start_of(0.25), latest + 0.25 * (whole - latest), atol=1e-5)


def test_the_newest_transition_holds_the_action_on_its_way(trained: MetaTrainer):
    """Not being told what was sent, the controller assumes that the pending action acted, not the planned one."""
    assumed, told = controller(trained), controller(trained)
    pending = np.array([[0.4]], np.float32)
    for t in range(8):
        obs = START + 0.01 * t
        sent = None if t == 0 else pending[0]
        first, second = assumed.step(obs, goal_at(t), pending=pending), told.step(obs, goal_at(t), sent=sent, pending=pending)
        np.testing.assert_array_equal(first.info.adapted_error, second.info.adapted_error)


def test_a_frozen_belief_stays_and_a_thawed_one_moves(trained: MetaTrainer):
    driven, obs = controller(trained, fallback=False), START
    beliefs = []
    for t in range(30):
        driven.belief_is_frozen = 10 <= t < 20
        command = driven.step(obs, goal_at(t))
        beliefs.append([x.clone() for x in driven._state.belief.adapted.values()])
        obs = push(obs, command.action, 0.3)

    def same(i: int, j: int) -> bool:
        return all(torch.equal(a, b) for a, b in zip(beliefs[i], beliefs[j], strict=True))

    assert not same(8, 9)
    assert same(9, 19)
    assert not same(19, 20)


@pytest.mark.parametrize("method", ["icem", "cem", "mppi", "random_shooting"])
@pytest.mark.parametrize("num_samples", [1, 12, 100])
def test_a_step_can_be_made_with_fewer_samples(trained: MetaTrainer, method: str, num_samples: int):
    driven = controller(trained, planner=dataclasses.replace(PLANNER, method=method))
    seen = []
    roll_out = driven.adapter.roll_out
    driven.adapter = copy.copy(driven.adapter)
    driven.adapter.roll_out = lambda belief, obs, actions, dtype: seen.append(actions.shape[1]) or roll_out(belief, obs, actions)

    for samples in (None, num_samples, None):
        assert np.isfinite(driven.step(START, goal_at(0), num_samples=samples).action).all()

    fewest = driven.planner.least_samples
    assert fewest <= 8
    assert [seen[0], seen[2], seen[4]] == [PLANNER.num_samples, max(num_samples, fewest), PLANNER.num_samples]


# --- one robot or many, again and again ---------------------------------------------------------------------------------------


def test_a_batch_of_robots_does_what_each_would_do_alone(trained: MetaTrainer):
    starts = np.array([[0.3, 0.0], [-0.5, 0.4], [0.0, -1.0]], np.float32)
    before, after = np.array([0.4, 0.8, 1.2]), np.array([1.2, 0.3, 0.8])

    together = run(controller(trained), before, after, starts, steps=35)

    for i in range(3):
        alone = run(controller(trained), before[i], after[i], starts[i], steps=35)
        np.testing.assert_allclose(together.obs[:, i], alone.obs, atol=2e-3)
        np.testing.assert_allclose(together.adapted_error[1:, i], alone.adapted_error[1:, 0], atol=2e-3)


def test_one_robot_in_a_batch_of_one_is_one_robot(trained: MetaTrainer):
    single, batch = run(controller(trained), 0.5, 1.0, steps=30), run(controller(trained), 0.5, 1.0, START[None], steps=30)

    assert single.action.shape == (30, 1)
    assert batch.action.shape == (30, 1, 1)
    np.testing.assert_array_equal(single.action, batch.action[:, 0])


def test_the_same_seed_gives_the_same_actions_and_another_seed_others(trained: MetaTrainer):
    first, again, other = (run(controller(trained, seed=seed), 0.5, 1.0, steps=30) for seed in (4, 4, 5))

    np.testing.assert_array_equal(first.action, again.action)
    np.testing.assert_array_equal(first.adapted_error, again.adapted_error)
    assert np.abs(first.action - other.action).max() > 1e-3


def test_after_reset_another_number_of_robots_may_begin(trained: MetaTrainer):
    driven = controller(trained, objective=TO_ORIGIN)
    driven.step(START)
    with pytest.raises(ObservationError, match="3 robots; 1 since"):
        driven.step(np.zeros((3, 2), np.float32))

    driven.reset()

    assert driven.step(np.zeros((3, 2), np.float32)).action.shape == (3, 1)


def test_the_first_step_knows_no_errors_and_later_ones_do(trained: MetaTrainer):
    driven = controller(trained, objective=TO_ORIGIN)
    obs = np.stack([START, -START])

    first, second = driven.step(obs).info, driven.step(obs).info

    assert np.isnan(first.prior_error).all()
    assert np.isnan(first.adapted_error).all()
    assert not first.fell_back.any()
    for info in (first, second):
        assert info.predicted_return.shape == (2,)
        assert np.isfinite(info.predicted_return).all()
        assert info.adapt_seconds > 0
        assert info.plan_seconds > 0
    assert np.isfinite(second.prior_error).all()
    assert np.isfinite(second.adapted_error).all()


def test_the_plan_begins_with_the_action(trained: MetaTrainer):
    single, batch = controller(trained).step(START, goal_at(0)), controller(trained).step(START[None], goal_at(0))

    assert single.plan.shape == (PLANNER.horizon, 1)
    np.testing.assert_array_equal(single.plan[0], single.action)
    np.testing.assert_array_equal(batch.plan, single.plan[None])


def test_actions_are_within_limits_and_float32(trained: MetaTrainer):
    ran = run(controller(trained, planner=dataclasses.replace(PLANNER, sigma=3.0)), 0.5, 0.5, np.float32([30.0, 5.0]), steps=10)

    assert ran.action.dtype == np.float32
    assert np.abs(ran.action).max() <= 1.0


def test_the_callers_arrays_may_be_reused(trained: MetaTrainer):
    """Drivers keep one buffer for the sensors and one for the motors, and write into both."""
    driven, undisturbed = controller(trained), controller(trained)
    obs, goal = START.copy(), np.zeros(1, np.float32)
    for t in range(8):
        goal[:] = goal_at(t)
        command, expected = driven.step(obs, goal), undisturbed.step(obs.copy(), goal.copy())
        np.testing.assert_array_equal(command.action, expected.action)
        np.testing.assert_array_equal(command.info.adapted_error, expected.info.adapted_error)
        obs[:] = push(obs, expected.action, 0.4)
        command.action[:] = 7.0


# --- bad input ----------------------------------------------------------------------------------------------------------------

BAD_OBS = {
    "too long": (np.zeros(3), r"obs: got shape \(3,\); expected \(2,\) or \(robots, 2\)"),
    "too short": (np.zeros((1, 1)), r"obs: got shape \(1, 1\)"),
    "a number": (np.float64(1.0), r"obs: got shape \(\)"),
    "too deep": (np.zeros((1, 1, 2)), r"obs: got shape \(1, 1, 2\)"),
    "no robot": (np.zeros((0, 2)), r"obs: got shape \(0, 2\)"),
    "nan": (np.array([0.0, np.nan]), "obs: channel 'speed' is not finite"),
    "infinite": (np.array([[-np.inf, 0.0]]), "obs: channel 'position' is not finite"),
    "beyond float32": (np.array([0.0, 1e300]), "obs: channel 'speed' is not finite"),
    "words": (["fast", "slow"], "obs: expected numbers"),
    "ragged": ([[1.0], [1.0, 2.0]], "obs: expected numbers"),
    "nothing": (None, "obs: "),
}
BAD_GOALS = {
    "missing": (None, "goal: missing; the objective needs 1 values"),
    "too long": (np.zeros(2), "goal: expected 1 finite values"),
    "nan": (np.array([np.nan]), "goal: expected 1 finite values"),
    "a number": (np.float64(0.0), "goal: expected 1 finite values"),
    "another robot's": (np.zeros((2, 1)), "goal: got 2 rows for 1 robots"),
    "another horizon": (np.zeros((1, 4, 1)), "goal: .*4.*horizon.*6"),
    "too deep": (np.zeros((1, 1, 6, 1)), "goal: "),
    "words": (["left"], "goal: expected numbers"),
}

BAD_SENT = {
    "too long": (np.zeros(2), r"sent: got shape \(2,\); expected \(1,\)"),
    "nan": (np.array([np.nan]), "sent: channel 'force' is not finite"),
    "of a batch": (np.zeros((1, 1)), r"sent: got shape \(1, 1\) beside obs of shape \(2,\)"),
    "words": (["hard"], "sent: expected numbers"),
}

BAD_LATEST = {
    "too long": (np.zeros(3), r"latest: got shape \(3,\)"),
    "nan": (np.array([0.0, np.nan]), "latest: channel 'speed' is not finite"),
    "of two robots": (np.zeros((2, 2)), r"latest: got shape \(2, 2\) beside 1 robots"),
}
BAD_PENDING = {
    "a row": (np.zeros(1), r"pending: expected finite values of shape \(steps, 1\), got shape \(1,\)"),
    "too wide": (np.zeros((2, 2)), r"pending: .* got shape \(2, 2\)"),
    "nan": (np.full((1, 1), np.nan), "pending: expected finite values"),
    "another robot's": (np.zeros((2, 1, 1)), "pending: "),
    "words": ([["hard"]], "pending: expected numbers"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(("bad", "message"), BAD_OBS.values(), ids=BAD_OBS.keys())
def test_a_bad_obs_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, bad, goal_at(0), message)


@pytest.mark.parametrize(("bad", "message"), BAD_GOALS.values(), ids=BAD_GOALS.keys())
def test_a_bad_goal_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, bad, message)


@pytest.mark.parametrize(("bad", "message"), BAD_SENT.values(), ids=BAD_SENT.keys())
def test_a_bad_sent_action_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, goal_at(0), message, sent=bad)


@pytest.mark.parametrize(("bad", "message"), BAD_PENDING.values(), ids=BAD_PENDING.keys())
def test_bad_pending_actions_are_refused_and_change_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, goal_at(0), message, pending=bad)


@pytest.mark.parametrize(("bad", "message"), BAD_LATEST.values(), ids=BAD_LATEST.keys())
def test_a_bad_latest_obs_is_refused_and_changes_nothing(trained: MetaTrainer, bad, message: str):
    assert_refused_without_a_trace(trained, START, goal_at(0), message, latest=bad)


def assert_refused_without_a_trace(trained: MetaTrainer, obs, goal, message: str, **options) -> None:
    driven, undisturbed = controller(trained), controller(trained)
    present = START
    for t in range(6):
        if t in (0, 3):
            with pytest.raises(ObservationError, match=message) as caught:
                driven.step(obs, goal, **options)
            assert "\n" not in str(caught.value)
        command, expected = driven.step(present, goal_at(t)), undisturbed.step(present, goal_at(t))
        np.testing.assert_array_equal(command.action, expected.action)
        np.testing.assert_array_equal(command.info.adapted_error, expected.info.adapted_error)
        present = push(present, command.action, 0.5)


def test_a_goal_that_the_objective_does_not_know_is_refused(trained: MetaTrainer):
    with pytest.raises(ObservationError, match="goal: expected 0 finite values"):
        controller(trained, objective=TO_ORIGIN).step(START, np.zeros(1))


def test_a_moving_goal_is_seen_ahead(trained: MetaTrainer):
    """The goal stays here for one more step and is far away after that: only who looks ahead starts now."""
    still = np.full((1, PLANNER.horizon, 1), START[0], np.float32)
    moving = still.copy()
    moving[:, 1:] = 3.0

    waits, starts = (controller(trained).step(START, goal).action[0] for goal in (still, moving))

    assert starts > waits + 0.3


# --- fit for a compiler -------------------------------------------------------------------------------------------------------


def without_waiting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
    """A compiler that refuses whatever depends on a value that only the device knows, and copies to the host."""
    for node in graph.graph.nodes:
        value = node.meta.get("example_value")
        assert value is None or not free_unbacked_symbols(value), f"{node} depends on values"
        assert node.target not in ("cpu", "numpy", "tolist"), f"{node} copies to the host"
    return graph.forward


@pytest.fixture
def one_graph() -> Iterator[Callable[[Callable], Callable]]:
    torch.compiler.reset()
    yield functools.partial(torch.compile, fullgraph=True, backend=without_waiting)
    torch.compiler.reset()


@pytest.mark.parametrize("rule", ["gradient", "none"])
@pytest.mark.parametrize("method", ["icem", "cem", "mppi", "random_shooting"])
def test_the_step_is_one_graph_for_a_compiler(trained: MetaTrainer, method: str, rule: str, one_graph):
    planner = dataclasses.replace(PLANNER, method=method, uncertainty_penalty=0.5)
    adapter = trained.adapter if rule == "gradient" else NoAdapter(trained.adapter.model)
    driven = controller(trained, adapter=adapter, planner=planner)

    pending = torch.tensor([[[0.2]], [[-0.1]]])

    def step(state: ControllerState, obs: Tensor, goal: Tensor, noise: Tensor) -> tuple[ControllerState, Plan]:
        state, _, fell_back = driven._observe_and_adapt(state, obs)
        return driven._plan_and_act(state, obs, goal, fell_back, noise, Ahead(obs, pending, 0.5))

    compiled = one_graph(step)
    state = expected_state = driven._initial_state(2)
    obs, goal = torch.tensor([[0.3, 0.0], [-0.2, 0.5]]), torch.ones(2, 1)
    for _ in range(3):
        noise = driven.planner.draw_noise()
        state, plan = compiled(state, obs, goal, noise)
        expected_state, expected = step(expected_state, obs, goal, noise)
        torch.testing.assert_close(state.last_action, expected_state.last_action)
        torch.testing.assert_close(plan, expected)
        obs = obs + 0.1 * state.last_action


@pytest.mark.parametrize(
    "waits",
    [lambda x: x * x.sum().item(), lambda x: x if x.sum() > 0 else -x, lambda x: x[x > 0], lambda x: x.cpu()],
    ids=["item", "if", "mask", "copy"],
)
def test_the_compiler_above_refuses_what_waits_for_the_device(waits: Callable, one_graph):
    with pytest.raises((torch._dynamo.exc.Unsupported, torch._dynamo.exc.BackendCompilerFailed)):
        one_graph(waits)(torch.ones(2))
