"""The arm: its load is what the controller has to find out, its goals are within reach, and planning moves the hand there."""

from __future__ import annotations

import itertools

import mujoco
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

HAND = slice(14, 17)


@pytest.fixture(scope="module")
def arm() -> Robot:
    return load_robot("arm")


def holding_action(robot: Robot, qpos: np.ndarray) -> np.ndarray:
    """The action that holds the nominal arm still, (7,)."""
    data = mujoco.MjData(robot.model)
    data.qpos[:] = qpos
    mujoco.mj_forward(robot.model, data)
    return (data.qfrc_bias - data.qfrc_passive) / robot.model.actuator_gear[:, 0]


def hold(robot: Robot, change: Change, steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Where the hand is before and after the nominal arm's holding torques were applied, both (3,) [m]."""
    simulation = BatchSimulation(robot, 1)
    start = simulation.reset([0], [change])[0]
    action = holding_action(robot, start[:7])
    for _ in range(steps):
        end = simulation.step(action[None])[0]
    return start[HAND], end[HAND]


def test_channels(arm: Robot) -> None:
    assert arm.spec.obs_names[HAND] == ("hand_x", "hand_y", "hand_z")
    assert arm.spec.obs_dim == 17
    assert arm.spec.action_names == tuple(n.removesuffix("_angle") for n in arm.spec.obs_names[:7])
    assert np.all(arm.model.jnt_limited)


def test_the_nominal_arm_holds_still(arm: Robot) -> None:
    start, end = hold(arm, Change())
    np.testing.assert_allclose(end, start, atol=1e-3)


def test_a_payload_of_one_kilogram_makes_it_sag(arm: Robot) -> None:
    assert arm.model.body("hand").mass[0] == pytest.approx(0.5)
    start, end = hold(arm, Change(body_mass={"hand": 3.0}))
    assert end[2] < start[2] - 0.15


def test_the_links_own_weight_is_compensated(arm: Robot) -> None:
    links = [name for name in arm.elements.bodies if name != "hand"]
    start, end = hold(arm, Change(body_mass=dict.fromkeys(links, 1.5)))
    np.testing.assert_allclose(end, start, atol=1e-3)


@pytest.mark.parametrize("force", [(0.0, 0.0, -10.0), (0.0, 10.0, 0.0), (0.0, -10.0, 0.0), (0.0, 0.0, 15.0)])
def test_the_hand_follows_a_force(arm: Robot, force: tuple[float, float, float]) -> None:
    start, end = hold(arm, Change(external_force={"hand": force}))
    assert (end - start) @ np.array(force) / np.linalg.norm(force) > 0.15


@pytest.mark.parametrize("joint", range(7))
def test_every_motor_moves_its_joint_and_less_when_weak(arm: Robot, joint: int) -> None:
    simulation = BatchSimulation(arm, 3)
    name = arm.spec.action_names[joint]
    start = simulation.reset([0, 0, 0], [Change(), Change(actuator_gain={name: 0.5}), Change(actuator_gain={name: 0.0})])
    action = np.tile(holding_action(arm, start[0, :7]), (3, 1))
    action[:, joint] = 0.6
    end = simulation.step(action)
    nominal, weak, dead = end[:, 7 + joint]
    assert nominal > weak > dead
    assert nominal > 0.3


def test_goals_are_within_reach(arm: Robot) -> None:
    assert arm.goal is not None
    corners = np.array(list(itertools.product(*zip(arm.goal.low, arm.goal.high, strict=True))))
    for corner in corners:
        np.testing.assert_allclose(reach(arm, corner), corner, atol=0.01)


def reach(robot: Robot, target: np.ndarray) -> np.ndarray:
    """Where damped least squares within the joint limits brings the hand, (3,)."""
    model, data = robot.model, mujoco.MjData(robot.model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    site, jacobian = model.site("hand").id, np.zeros((3, model.nv))
    for _ in range(300):
        mujoco.mj_forward(model, data)
        mujoco.mj_jacSite(model, data, jacobian, None, site)
        error = target - data.site_xpos[site]
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-3 * np.eye(3), error)
        data.qpos[:] = np.clip(data.qpos + 0.5 * step, model.jnt_range[:, 0], model.jnt_range[:, 1])
    return data.site_xpos[site].copy()


def test_random_torques_stay_within_the_limits(arm: Robot) -> None:
    simulation = BatchSimulation(arm, 4)
    policy = RandomPolicy(arm.spec, seed=0, steps=200)
    obs = simulation.reset([0, 1, 2, 3])
    policy.reset(simulation)
    for _ in range(200):
        obs = simulation.step(policy.act(obs, obs, None)[0])
        assert np.all(obs[:, :7] > arm.model.jnt_range[:, 0] - 0.2)
        assert np.all(obs[:, :7] < arm.model.jnt_range[:, 1] + 0.2)
        assert np.abs(obs[:, 7:14]).max() < 15
        assert obs[:, HAND.start + 2].min() > -0.1


def hand_error(robot: Robot, true: Change, known: Change, steps: int = 40) -> float:
    """Distance [m] of the hand to its goal after 2 s, mean of the last 10 steps, when planned with the `known` dynamics."""
    config = ICEMConfig(horizon=14, num_samples=32, num_iterations=2)
    simulation, model = BatchSimulation(robot, 2, num_threads=1), BatchSimulation(robot, 2, num_threads=1)
    obs = simulation.reset([0, 1], [true, true])
    model.reset([0, 1], [known, known])
    oracle, planner = OraclePredictor(model, config.num_samples, num_threads=1), make_planner(robot.spec, config)
    state, goals, errors = planner.init(2), simulation.goals(steps, config.horizon), []
    for t in range(steps):
        model.physics.state[:] = simulation.physics.state
        oracle.sync()
        goal = torch.from_numpy(goals[:, t : t + config.horizon])
        state, plan = planner.improve(state, returns_of(oracle, goal), planner.draw_noise())
        obs = simulation.step(plan.actions[:, 0].numpy())
        errors.append(np.linalg.norm(obs[:, HAND] - goals[:, t], axis=1).mean())
    return float(np.mean(errors[-10:]))


def test_planning_with_the_true_dynamics_reaches_the_goal_and_with_the_nominal_ones_misses_it(arm: Robot) -> None:
    payload = Change(body_mass={"hand": 5.0})
    informed, ignorant = hand_error(arm, payload, payload), hand_error(arm, payload, Change())
    assert informed < 0.05
    assert ignorant > informed + 0.03
