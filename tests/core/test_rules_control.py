"""Every adaptation rule in the control loop: one graph for a compiler, freezing and forgetting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.control.step import StepInputs, StepNoise, control_step, initial_state
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from tests.core.analytic import POINT, POINT_WINDOW, TINY_PLANNER, TO_ORIGIN, push
from tests.core.compiling import TRACED_PLANNER, one_graph_compiler
from tests.core.driving import BeliefWitness, control_settings
from tests.core.rules import ADAPTING, KINDS, point_adapter, rules_marked_slow_but

ROBOTS = 2
START = np.array([[0.3, 0.0], [-0.2, 0.5]], np.float32)
TRACED = ("latent_samples", "mixture", "context_then_bayes_linear")
"""Rules whose graph the quick tests trace: samples, carried beliefs, and a composition with solves within the step.

`test_control_step.py` traces the derivatives of the rule gradient.
"""


def controller_of(adapter: NetworkAdapter, seed: int = 0) -> AdaptiveController:
    return AdaptiveController(POINT, control_settings(adapter, TO_ORIGIN, TINY_PLANNER, seed, gate=None), POINT_WINDOW)


def drive(controller: AdaptiveController, steps: int, gain: float, start: np.ndarray = START) -> np.ndarray:
    """The actions of an episode, (steps, robots, 1)."""
    obs, actions = start, []
    for _ in range(steps):
        actions.append(controller.step(obs).action)
        obs = push(obs, actions[-1], gain)
    return np.stack(actions)


@pytest.mark.parametrize("name", rules_marked_slow_but(TRACED))
def test_the_control_step_is_one_graph_for_a_compiler(name: str):
    """One graph for all steps, no value that the host has to wait for, and the same numbers."""
    settings = control_settings(point_adapter(name), TO_ORIGIN, TRACED_PLANNER)
    adapter, planner = settings.adapter, settings.planner
    state = expected_state = initial_state(settings, ROBOTS, POINT_WINDOW, POINT.obs_dim)
    obs, connected = torch.from_numpy(START), torch.ones(ROBOTS, dtype=torch.bool)
    nothing = torch.zeros(ROBOTS, 0)
    with one_graph_compiler() as one_graph:
        compiled = one_graph(control_step)
        for t in range(4):
            noise = StepNoise(planner.draw_noise(), adapter.draw_noise(state.gate.belief, planner.generators[0]))
            pending, share = torch.full((ROBOTS, 1, 1), 0.3), torch.full((ROBOTS, 1), 0.25 * (t % 4) + 0.25)
            frozen = torch.full((ROBOTS,), t == 2)
            inputs = StepInputs(obs, obs, nothing, state.last_action, connected, pending, share, frozen)
            state, plan, report = compiled(state, inputs, noise, settings)
            expected_state, expected, expected_report = control_step(expected_state, inputs, noise, settings)
            torch.testing.assert_close(tensors_of(state), tensors_of(expected_state), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(plan, expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(report, expected_report, rtol=1e-4, atol=1e-5, equal_nan=True)
            obs = obs + 0.1 * state.last_action
        assert one_graph.graphs == 1


@pytest.mark.parametrize("name", rules_marked_slow_but(KINDS, ADAPTING))
def test_freezing_keeps_the_belief_and_thawing_lets_it_move(name: str):
    adapter = point_adapter(name)
    witness = BeliefWitness(adapter.model, adapter.rules)
    controller, obs, beliefs = controller_of(witness), START, []
    for t in range(9):
        command = controller.step(obs, options=StepOptions(freeze=3 <= t < 6))
        beliefs.append([tensor.clone() for tensor in tensors_of(witness.belief)])
        obs = push(obs, command.action, 0.4)

    def same(i: int, j: int) -> bool:
        return all(torch.equal(a, b) for a, b in zip(beliefs[i], beliefs[j], strict=True))

    assert not same(1, 2)
    assert same(2, 5)
    assert not same(5, 6)


@pytest.mark.parametrize("name", rules_marked_slow_but(KINDS))
def test_a_reset_forgets_the_belief(name: str):
    """The next episode is that of a new controller, to the bit."""
    adapter = point_adapter(name)
    used = controller_of(adapter)
    drive(used, 8, gain=0.2)

    used.reset()
    used.settings.planner.seed(3)

    np.testing.assert_array_equal(drive(used, 8, gain=1.4), drive(controller_of(adapter, seed=3), 8, gain=1.4))


@pytest.mark.parametrize("name", rules_marked_slow_but(KINDS))
def test_a_robot_with_its_own_seed_acts_in_a_batch_as_it_would_alone(name: str):
    """Noise of the planner and of the posterior's samples alike."""
    adapter, seeds = point_adapter(name), [4, 9]
    controller = controller_of(adapter)
    controller.settings.planner.seed(seeds)
    together = drive(controller, 8, gain=0.4)

    for robot, seed in enumerate(seeds):
        alone = drive(controller_of(adapter, seed), 8, 0.4, START[robot : robot + 1])
        np.testing.assert_allclose(alone[:, 0], together[:, robot], rtol=1e-3, atol=1e-4)


def test_a_controller_refuses_more_robots_than_it_has_seeds_for():
    controller = controller_of(point_adapter("none"))
    controller.settings.planner.seed([4, 9, 5])

    with pytest.raises(ValueError, match="seeds for 3 robots, got 2"):
        controller.step(START)
