"""Single physics steps: the batch's results when actions keep to the control period, and what lies between when they do not."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.errors import ObservationError
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import apply_changes, start
from sim.simulation.instability import SimulationError
from sim.simulation.substeps import SubstepSimulation

STEPS = 12


@pytest.fixture(scope="module")
def cheetah() -> Robot:
    return load_robot("half_cheetah")


def batch_run(robot: Robot, scenario: Scenario, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observations, (T + 1, obs_dim), and rewards, (T,)."""
    simulation = BatchSimulation(robot, 1)
    start(simulation, [scenario])
    obs = [simulation.true_obs[0]]
    for action in actions:
        apply_changes(simulation, [scenario])
        simulation.step(action[None])
        obs.append(simulation.true_obs[0])
    goals = simulation.goals(scenario.steps)
    return np.stack(obs), robot.rewards(np.stack(obs)[None], simulation.clip(actions)[None], goals)[0]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("half_cheetah", (ScheduledChange(0, Change(body_mass=1.3)), ScheduledChange(5, Change(actuator_gain={"bfoot": 0.0})))),
        ("half_cheetah", (ScheduledChange(0, Change(action_delay=2)), ScheduledChange(7, Change(action_delay=1, slope_deg=5.0)))),
        ("arm", (ScheduledChange(4, Change(external_force={"hand": (0.0, 0.0, -10.0)}, obs_noise=0.5)),)),
    ],
    ids=["a dead motor", "a delay", "a pull, seen with noise"],
)
def test_actions_held_for_a_period_give_what_the_batch_gives(name: str, changes: tuple[ScheduledChange, ...]):
    robot = load_robot(name)
    scenario = Scenario(name, STEPS, 3, changes)
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (STEPS, robot.spec.action_dim))
    expected, rewards = batch_run(robot, scenario, actions)

    simulation = SubstepSimulation(robot, scenario)
    obs = [simulation.observe()]
    for action in actions:
        for _ in range(robot.substeps):
            simulation.advance(action)
        obs.append(simulation.observe())

    np.testing.assert_array_equal(np.stack(obs), expected)
    np.testing.assert_array_equal(simulation.rewards(), rewards)
    assert simulation.substep == simulation.total_substeps


def test_between_control_steps_a_mean_speed_is_one_over_the_last_period(cheetah: Robot):
    simulation = SubstepSimulation(cheetah, Scenario("half_cheetah", STEPS, 3))
    actions = np.random.default_rng(0).uniform(-1, 1, (23, 6))
    positions = [simulation.physics.arrays["qpos"][0, 0]]
    for action in actions:
        simulation.advance(action)
        positions.append(simulation.physics.arrays["qpos"][0, 0])

    speed = simulation.observe()[cheetah.spec.obs_index("forward_speed")]

    assert speed == pytest.approx((positions[-1] - positions[-6]) / cheetah.spec.dt, rel=1e-6)
    assert abs(speed - (positions[-1] - positions[-2]) / simulation.sim_dt) > 0.01


def test_a_command_in_the_middle_of_a_period_acts_from_there(cheetah: Robot):
    scenario = Scenario("half_cheetah", STEPS, 3)
    held, switched = SubstepSimulation(cheetah, scenario), SubstepSimulation(cheetah, scenario)
    for i in range(5):
        held.advance(np.zeros(6))
        switched.advance(np.full(6, 0.5 if i >= 3 else 0.0))
        assert np.array_equal(held.observe(), switched.observe()) == (i < 3)

    # the reward counts the mean action, 0.2 on six motors
    speed = switched.observe()[cheetah.spec.obs_index("forward_speed")]
    assert switched.rewards() == pytest.approx([speed - 0.1 * 6 * 0.2**2], abs=1e-6)


def test_a_change_comes_at_its_control_step(cheetah: Robot):
    changed, same = (
        SubstepSimulation(cheetah, Scenario("half_cheetah", STEPS, 3, changes))
        for changes in ((ScheduledChange(1, Change(gravity=0.0, obs_noise=0.1)),), ())
    )
    equal, noise = [], []
    for _ in range(8):
        for simulation in (changed, same):
            simulation.advance(np.zeros(6))
        equal.append(np.array_equal(changed.observe(), same.observe()))
        noise.append(bool(changed.noise_std.all()))

    assert equal == [True] * 5 + [False] * 3
    assert noise == [False] * 5 + [True] * 3


def test_what_the_scenario_begins_with_is_there_before_the_first_step(cheetah: Robot):
    simulation = SubstepSimulation(cheetah, Scenario("half_cheetah", STEPS, 3, (ScheduledChange(0, Change(obs_noise=0.1)),)))

    assert (simulation.noise_std == 0.1).all()


def test_periods_that_are_not_over_have_no_reward(cheetah: Robot):
    simulation = SubstepSimulation(cheetah, Scenario("half_cheetah", STEPS, 3))
    counts = [len(simulation.rewards())]
    for _ in range(6):
        simulation.advance(np.zeros(6))
        counts.append(len(simulation.rewards()))

    assert counts == [0] * 5 + [1] * 2
    assert simulation.step_index == 1


@pytest.mark.parametrize("action", [np.zeros(5), np.full(6, np.nan)])
def test_an_action_that_is_none_is_refused(cheetah: Robot, action: np.ndarray):
    with pytest.raises(ObservationError, match="action: expected 6 finite numbers"):
        SubstepSimulation(cheetah, Scenario("half_cheetah", STEPS)).advance(action)


def test_unstable_physics_is_told(cheetah: Robot):
    simulation = SubstepSimulation(cheetah, Scenario("half_cheetah", STEPS))
    simulation.physics.arrays["qvel"][:] = 1e12

    with pytest.raises(SimulationError, match="'half_cheetah': the physics became unstable at control step 0 under no change"):
        simulation.advance(np.zeros(6))


def test_after_a_fall_there_is_no_reward():
    robot, steps = load_robot("cartpole_balance"), 200
    simulation = SubstepSimulation(robot, Scenario("cartpole_balance", steps, 3))
    obs = []
    for _ in range(steps):
        # it is pushed over, and the pole swings through to the other side
        force = 1.0 if len(obs) < 20 else float(np.clip(-2.0 * obs[-1][0] - 2.0 * obs[-1][2], -1, 1))
        for _ in range(robot.substeps):
            simulation.advance(np.array([force]))
        obs.append(simulation.observe())

    rewards = simulation.rewards()

    outside = robot.has_ended(np.stack(obs))
    end = int(np.argmax(outside))
    assert outside[end]
    assert not outside[end:].all()
    np.testing.assert_array_equal(rewards, [1.0] * end + [0.0] * (steps - end))
