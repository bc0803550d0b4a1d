"""Controllers that estimate a robot's physics, alone and as arms of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.controller import StepOptions
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import EvaluateOptions
from adaptive_mbrl.planning import GradientPlannerConfig, ICEMConfig
from sim.evaluation.evaluate import evaluate
from sim.evaluation.plots import recovery_figure
from sim.evaluation.report import make_report, write_report
from sim.evaluation.setup import prepare
from sim.identification.controller import physics_controller
from sim.identification.estimator import PhysicsConfig
from sim.identification.mistaken import mistaken
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation
from tests.sim.identification import estimates, normalizer_of, robot_named

PHYSICS = ("physics", "hybrid", "wrong_physics", "wrong_hybrid")


def test_a_controller_finds_out_and_tells():
    """The quadrotor hovers with one weak rotor; the ratio of its gain to the others' is what can be seen."""
    robot = robot_named("quadrotor")
    planner = ICEMConfig(horizon=8, num_samples=12, num_iterations=2, num_elites=4)
    controller = physics_controller(robot, normalizer_of("quadrotor"), planner)
    simulation = BatchSimulation(robot, 1)
    obs = simulation.reset([0], [Change(actuator_gain={"rotor_2": 0.7})])
    goals = simulation.goals(12, 8)
    assert controller.belief is None

    for t in range(12):
        command = controller.step(obs, goals[:, t : t + 8])
        obs = simulation.step(command.action)

    found = estimates(controller.settings.adapter, controller.belief)  # type: ignore[arg-type]
    assert found["actuator_gain rotor_2"][0] / found["actuator_gain rotor_1"][0] == pytest.approx(0.7, abs=0.02)
    assert float(command.info.adapted_error[0]) < 0.1 * float(command.info.prior_error[0])
    controller.reset()
    assert controller.belief is None


@pytest.mark.parametrize("max_delay", [0, 1])
def test_pending_actions_are_refused_where_a_delay_is_estimated(max_delay: int):
    """They would be missing among the actions that a delay puts off."""
    planner = ICEMConfig(horizon=3, num_samples=8, num_iterations=1, num_elites=4)
    config = PhysicsConfig(kinds=("actuator_gain",), max_delay=max_delay)
    controller = physics_controller(robot_named("cartpole"), normalizer_of("cartpole"), planner, config=config)
    obs = np.zeros(controller.spec.obs_dim, dtype=np.float32)
    pending = StepOptions(pending=np.zeros((1, 1)))

    if max_delay:
        with pytest.raises(ConfigError, match="pending: the adapter estimates the action delay itself") as caught:
            controller.step(obs, options=pending)
        assert "\n" not in str(caught.value)
        assert controller.belief is None
        controller.step(obs)
    else:
        controller.step(obs, options=pending)
    assert controller.belief is not None


def test_a_planner_with_derivatives_is_refused():
    with pytest.raises(ConfigError, match="physics has no derivative to plan with"):
        physics_controller(robot_named("cartpole"), normalizer_of("cartpole"), GradientPlannerConfig())


def test_a_mistaken_robot_is_too_heavy_and_lacks_springs():
    cheetah, cartpole = robot_named("half_cheetah"), robot_named("cartpole")

    wrong, bare = mistaken(cheetah, 0.2), mistaken(cartpole, 0.2)

    np.testing.assert_allclose(wrong.model.body_mass, 1.2 * cheetah.model.body_mass)
    thigh = cheetah.model.joint("bthigh").id
    assert wrong.model.jnt_stiffness[thigh] == pytest.approx(0.8 * cheetah.model.jnt_stiffness[thigh])
    # the place along the track is not seen, and has no spring
    assert wrong.model.jnt_stiffness[cheetah.model.joint("rootx").id] == 0
    assert (bare.model.jnt_stiffness < 0).all()
    assert (cartpole.model.jnt_stiffness == 0).all()


@pytest.fixture(scope="module")
def evaluation(make_checkpoint: Callable[..., Path], cartpole_scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "cartpole")
    return evaluate(prepare(checkpoint, cartpole_scenario, episodes=1, physics=True))


def test_physics_is_an_arm_of_an_evaluation(evaluation: Any, tmp_path: Path):
    assert tuple(evaluation.arms) == ("random", "adaptive", "frozen", *PHYSICS, "oracle")
    physics, hybrid, wrong, wrong_hybrid = (evaluation.arms[name] for name in PHYSICS)
    # the motor weakens at step 12; at the nominal robot, the prior of the right model is exact
    assert physics.prior_error[2:12].max() < 1e-4
    assert wrong.prior_error[2:12].min() > 1e-4
    assert physics.model_error[18:].mean() < 0.2 * physics.prior_error[18:].mean()
    assert hybrid.model_error[18:].mean() < 0.2 * hybrid.prior_error[18:].mean()
    assert wrong_hybrid.model_error[18:].mean() < 0.2 * wrong_hybrid.prior_error[18:].mean()
    # the error over ten steps is that of the learned models, on the same windows as without the optional arms
    assert evaluation.open_loop is None or set(evaluation.open_loop.errors) == {"adaptive", "frozen"}
    report = make_report(evaluation)
    write_report(tmp_path / "report.json", report)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["config"]["physics"] == list(PHYSICS)
    assert content["config"]["physics_error"] == 0.2
    assert content["summary"]["adaptive_minus_physics"]["return_after_change"]["mean"] is not None
    drawn = {line.get_label() for line in recovery_figure(evaluation).axes[0].lines}
    assert set(PHYSICS) <= drawn


def test_the_wrong_model_can_be_left_out_or_be_more_wrong(make_checkpoint: Callable[..., Path], tmp_path: Path):
    checkpoint = make_checkpoint(tmp_path / "cartpole")

    def set_up(**options: Any) -> Any:
        return prepare(checkpoint, "cartpole/demo", episodes=1, **options)

    without, alone, worse = set_up(), set_up(physics=True, physics_error=0.0), set_up(physics=True, physics_error=0.5)

    assert (without.physics, without.physics_error) == ({}, None)
    assert (list(alone.physics), alone.physics_error) == (["physics", "hybrid"], None)
    assert worse.physics_error == 0.5
    model = worse.physics["wrong_physics"].settings.adapter.robot.model
    assert worse.physics["wrong_hybrid"].settings.adapter.physics.robot.model.body_mass.tolist() == model.body_mass.tolist()
    np.testing.assert_allclose(model.body_mass, 1.5 * robot_named("cartpole").model.body_mass)


@pytest.mark.parametrize(("physics", "share"), [(True, -0.1), (True, 1.0), (False, 0.2)])
def test_an_impossible_error_of_the_model_is_refused(physics: bool, share: float):
    with pytest.raises(ConfigError, match="--physics-error"):
        EvaluateOptions(checkpoint="cartpole", scenario="cartpole/demo", physics=physics, physics_error=share)
