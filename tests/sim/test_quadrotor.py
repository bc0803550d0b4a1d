"""The quadrotor: forces and torques of its rotors, its changes of dynamics, its room, and planning that keeps to the path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptive_mbrl.planning import ICEMConfig, make_planner
from sim.episodes.policies import RandomPolicy
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor
from tests.sim.planning import returns_of

MASS, GRAVITY = 1.4, 9.81
AUTHORITY = 1.3  # thrust = hover * (1 + AUTHORITY * action)
NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "x_velocity", "y_velocity", "z_velocity", "roll_rate", "pitch_rate", "yaw_rate")


@pytest.fixture(scope="module")
def quadrotor() -> Robot:
    return load_robot("quadrotor")


def fly(robot: Robot, change: Change, action: tuple[float, float, float, float], steps: int = 1) -> dict[str, float]:
    """The observation after holding `action` from level rest in the middle of the room."""
    simulation = BatchSimulation(robot, 1)
    simulation.reset([0], [change])
    simulation.physics.reset(np.array([[0, 0, 1.5, 1, 0, 0, 0]]), np.zeros((1, 6)))
    for _ in range(steps):
        obs = simulation.step(np.array([action]))
    return dict(zip(robot.spec.obs_names, obs[0].tolist(), strict=True))


def test_channels(quadrotor: Robot) -> None:
    assert quadrotor.spec.obs_names == NAMES
    assert quadrotor.spec.action_names == ("rotor_1", "rotor_2", "rotor_3", "rotor_4")
    assert quadrotor.model.body("base").mass[0] == pytest.approx(MASS)


def test_zero_action_hovers(quadrotor: Robot) -> None:
    obs = fly(quadrotor, Change(), (0, 0, 0, 0), steps=100)
    for name in NAMES:
        assert obs[name] == pytest.approx(1.5 if name == "z" else 0.0, abs=2e-3)


@pytest.mark.parametrize(
    ("rotor", "signs"),
    # front right, front left, back left, back right: x points forward, y left; a nose that rises pitches down the y axis
    [(0, (-1, -1, 1)), (1, (1, -1, -1)), (2, (1, 1, 1)), (3, (-1, 1, -1))],
)
def test_each_rotor_lifts_its_corner_and_turns_the_body_against_its_spin(
    quadrotor: Robot, rotor: int, signs: tuple[int, int, int]
) -> None:
    action = [0.0] * 4
    action[rotor] = 0.3
    obs = fly(quadrotor, Change(), tuple(action))
    rates = [obs["roll_rate"], obs["pitch_rate"], obs["yaw_rate"]]
    assert np.sign(rates).tolist() == list(signs)
    assert np.abs(rates).min() > 1e-3
    assert obs["z_velocity"] > 0


def test_a_tilt_moves_it_sideways(quadrotor: Robot) -> None:
    nose_down = fly(quadrotor, Change(), (-0.1, -0.1, 0.1, 0.1), steps=8)
    assert nose_down["pitch"] > 0.05
    assert nose_down["x_velocity"] > 0.05
    left_up = fly(quadrotor, Change(), (-0.1, 0.1, 0.1, -0.1), steps=8)
    assert left_up["roll"] > 0.05
    assert left_up["y_velocity"] < -0.05


def test_a_payload_sinks_as_its_weight_says(quadrotor: Robot) -> None:
    obs = fly(quadrotor, Change(body_mass={"base": 1.5}), (0, 0, 0, 0))
    assert obs["z_velocity"] == pytest.approx(-GRAVITY * (1 - 1 / 1.5) * 0.05, rel=0.02)
    lift = 0.5 / AUTHORITY
    lifted = fly(quadrotor, Change(body_mass={"base": 1.5}), (lift, lift, lift, lift), steps=20)
    assert lifted["z"] == pytest.approx(1.5, abs=1e-3)


def test_a_weak_rotor_loses_hover_thrust_and_authority_alike(quadrotor: Robot) -> None:
    weak = Change(actuator_gain={"rotor_2": 0.7})
    idle = fly(quadrotor, weak, (0, 0, 0, 0))
    assert idle["z_velocity"] == pytest.approx(-GRAVITY * 0.3 / 4 * 0.05, rel=0.03)
    assert idle["roll_rate"] < 0 < idle["pitch_rate"]
    compensated = fly(quadrotor, weak, (0, (1 / 0.7 - 1) / AUTHORITY, 0, 0), steps=40)
    assert compensated["z"] == pytest.approx(1.5, abs=2e-3)
    assert compensated["roll"] == pytest.approx(0, abs=2e-3)


def test_a_rotor_never_pulls_down(quadrotor: Robot) -> None:
    lowest = fly(quadrotor, Change(), (-1, -1, -1, -1))
    assert lowest["z_velocity"] == pytest.approx(-GRAVITY * 0.05, rel=0.02)
    assert lowest["z_velocity"] == fly(quadrotor, Change(), (-0.9, -0.9, -0.9, -0.9))["z_velocity"]


def test_wind_pushes_as_its_force_says(quadrotor: Robot) -> None:
    obs = fly(quadrotor, Change(external_force={"base": (2.0, -1.0, 0.0)}), (0, 0, 0, 0))
    assert obs["x_velocity"] == pytest.approx(2 / MASS * 0.05, rel=0.02)
    assert obs["y_velocity"] == pytest.approx(-1 / MASS * 0.05, rel=0.02)
    assert obs["roll"] == pytest.approx(0, abs=1e-6)


def test_the_path_stays_in_the_room_at_a_flyable_speed(quadrotor: Robot) -> None:
    goals = quadrotor.goals(seed=0, steps=200)
    assert np.all(np.abs(goals[:, :2]) < 1.5)
    assert np.all((goals[:, 2] > 1.0) & (goals[:, 2] < 2.0))
    speed = np.linalg.norm(np.diff(goals, axis=0), axis=1) / quadrotor.spec.dt
    assert 0.5 < speed.max() < 2.0
    assert not np.array_equal(goals, quadrotor.goals(seed=1, steps=200))


def test_a_crash_ends_in_the_nets_with_a_bounded_reward(quadrotor: Robot) -> None:
    simulation = BatchSimulation(quadrotor, 8)
    policy = RandomPolicy(quadrotor.spec, seed=0, steps=200)
    obs = simulation.reset(list(range(8)))
    policy.reset(simulation)
    goals, rewards = simulation.goals(200), []
    for t in range(200):
        action = policy.act(obs, obs, None)[0]
        next_obs = simulation.step(action)
        assert np.abs(next_obs[:, :2]).max() < 4.0
        assert np.all((next_obs[:, 2] > -0.5) & (next_obs[:, 2] < 5.0))
        tensors = (torch.from_numpy(np.ascontiguousarray(x)) for x in (obs, action, next_obs, goals[:, t]))
        rewards.append(quadrotor.objective(*tensors).numpy())
        obs = next_obs
    assert np.min(rewards) > -3.0
    assert np.mean(rewards) < 0.3


def path_error(robot: Robot, true: Change, known: Change, steps: int = 80) -> float:
    """Distance [m] to the moving goal, mean of the last 30 steps, when planned with the `known` dynamics."""
    config = ICEMConfig(horizon=14, num_samples=48, num_iterations=2)
    simulation, model = BatchSimulation(robot, 2, num_threads=1), BatchSimulation(robot, 2, num_threads=1)
    obs = simulation.reset([0, 1], [true, true])
    model.reset([0, 1], [known, known])
    oracle, planner = OraclePredictor(model, config.num_samples, num_threads=1), make_planner(robot.spec, config)
    state, goals, errors = planner.init(2), simulation.goals(steps, config.horizon), []
    for t in range(steps):
        model.physics.state[:] = simulation.physics.state
        # wind is part of MuJoCo's state: the model keeps to what it knows
        model.physics.set_change(np.arange(2), known)
        oracle.sync()
        goal = torch.from_numpy(goals[:, t : t + config.horizon])
        state, plan = planner.improve(state, returns_of(oracle, goal), planner.draw_noise())
        obs = simulation.step(plan.actions[:, 0].numpy())
        errors.append(np.linalg.norm(obs[:, :3] - goals[:, t], axis=1).mean())
    return float(np.mean(errors[-30:]))


@pytest.mark.slow  # test_arm.py has a quick one
@pytest.mark.parametrize(
    "change",
    [
        Change(body_mass={"base": 1.4}),
        Change(actuator_gain={"rotor_4": 0.5}),
        Change(external_force={"base": (0.0, 2.5, 0.0)}),
    ],
)
def test_planning_with_the_true_dynamics_keeps_to_the_path_and_with_the_nominal_ones_drifts_off(
    quadrotor: Robot, change: Change
) -> None:
    informed, ignorant = path_error(quadrotor, change, change), path_error(quadrotor, change, Change())
    assert informed < 0.2
    assert ignorant > informed + 0.05
