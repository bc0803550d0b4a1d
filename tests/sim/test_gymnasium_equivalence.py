"""The literature's robots are the literature's: same physics, initial states and rewards as gymnasium's environments."""

from __future__ import annotations

import importlib.util

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from sim.robot.robot import load_robot
from sim.simulation.batch import BatchSimulation


def test_half_cheetah_equals_gymnasium_step_by_step() -> None:
    robot = load_robot("half_cheetah")
    simulation = BatchSimulation(robot, 3)
    obs = simulation.reset([5, 6, 7])
    env = gymnasium.make("HalfCheetah-v5").unwrapped
    expected, _ = env.reset(seed=6)
    np.testing.assert_allclose(obs[1, 1:], expected, rtol=0, atol=1e-7)
    rng = np.random.default_rng(0)
    for _ in range(200):
        action = rng.uniform(-1.2, 1.2, (3, 6)).astype(np.float32)
        next_obs = simulation.step(action)
        sent = simulation.clip(action)
        expected, reward, *_ = env.step(sent[1])
        np.testing.assert_array_equal(simulation.physics.arrays["qpos"][1], env.data.qpos)
        np.testing.assert_array_equal(simulation.physics.arrays["qvel"][1], env.data.qvel)
        np.testing.assert_array_equal(next_obs[1, 1:], expected.astype(np.float32))
        tensors = (torch.from_numpy(x) for x in (obs, sent, next_obs))
        assert abs(float(robot.objective(*tensors, torch.zeros(0))[1]) - reward) < 1e-5
        obs = next_obs


def test_ant_equals_gymnasium_from_the_same_state() -> None:
    simulation = BatchSimulation(load_robot("ant"), 1)
    simulation.reset([3])
    env = gymnasium.make("Ant-v5").unwrapped
    env.reset(seed=0)
    env.set_state(simulation.physics.arrays["qpos"][0].copy(), simulation.physics.arrays["qvel"][0].copy())
    rng = np.random.default_rng(0)
    for _ in range(50):
        action = rng.uniform(-1, 1, (1, 8)).astype(np.float32)
        simulation.step(action)
        env.step(action[0])
    np.testing.assert_allclose(simulation.physics.arrays["qpos"][0], env.data.qpos, rtol=0, atol=1e-9)
    np.testing.assert_allclose(simulation.physics.arrays["qvel"][0], env.data.qvel, rtol=0, atol=1e-8)


def test_cartpole_is_dm_controls_and_starts_hanging() -> None:
    robot = load_robot("cartpole")
    simulation = BatchSimulation(robot, 1)
    obs = simulation.reset([0])
    assert np.cos(obs[0, robot.spec.obs_index("pole_angle")]) < -0.98
    # found without an import, which would look for a display
    folder = importlib.util.find_spec("dm_control").submodule_search_locations[0]
    reference = mujoco.MjModel.from_xml_path(f"{folder}/suite/cartpole.xml")
    data = mujoco.MjData(reference)
    data.qpos[:], data.qvel[:] = simulation.physics.arrays["qpos"][0], simulation.physics.arrays["qvel"][0]
    rng = np.random.default_rng(0)
    for _ in range(50):
        action = rng.uniform(-1, 1, (1, 1)).astype(np.float32)
        simulation.step(action)
        data.ctrl[:] = action[0]
        mujoco.mj_step(reference, data, robot.substeps)
    np.testing.assert_allclose(simulation.physics.arrays["qpos"][0], data.qpos, rtol=0, atol=1e-9)


def test_pendulum_moves_as_gymnasiums_and_is_rewarded_one_step_later() -> None:
    robot = load_robot("pendulum")
    simulation = BatchSimulation(robot, 1)
    obs = simulation.reset([3])
    env = gymnasium.make("Pendulum-v1").unwrapped
    env.reset(seed=0)
    env.state = np.array([simulation.physics.arrays["qpos"][0, 0], simulation.physics.arrays["qvel"][0, 0]])
    rng = np.random.default_rng(0)
    state_rewards: list[float] = []
    for _ in range(50):
        action = rng.uniform(-2.5, 2.5, (1, 1)).astype(np.float32)
        next_obs = simulation.step(action)
        sent = simulation.clip(action)
        expected, reward, *_ = env.step(action[0])
        effort = 0.001 * float(sent[0, 0]) ** 2
        # gymnasium rewards the state before a step, which is the one after the step before
        if state_rewards:
            assert abs(state_rewards[-1] - effort - reward) < 1e-4
        tensors = (torch.from_numpy(x) for x in (obs, sent, next_obs))
        state_rewards.append(float(robot.objective(*tensors, torch.zeros(0))[0]) + effort)
        obs = next_obs
        np.testing.assert_allclose([np.cos(obs[0, 0]), np.sin(obs[0, 0]), obs[0, 1]], expected, atol=1e-5)
    assert np.abs(obs[0, 1]) < 8  # beyond this speed gymnasium's stops accelerating


def test_cartpole_balance_is_gymnasiums_until_it_ends() -> None:
    robot = load_robot("cartpole_balance")
    simulation = BatchSimulation(robot, 1)
    env = gymnasium.make("CartPole-v1").unwrapped
    env.kinematics_integrator = "semi-implicit"
    rng = np.random.default_rng(0)
    for seed in range(4):
        obs = simulation.reset([seed])
        env.reset(seed=seed)
        x, angle, v, rate = obs[0].astype(np.float64)
        env.state = np.array([x, v, angle, rate])
        simulation.physics.arrays["qpos"][0], simulation.physics.arrays["qvel"][0] = (x, angle), (v, rate)
        for _ in range(200):
            push = int(rng.integers(2))
            action = np.array([[2.0 * push - 1.0]], dtype=np.float32)
            next_obs = simulation.step(action)
            expected, _, terminated, *_ = env.step(push)
            np.testing.assert_allclose(next_obs[0, [0, 2, 1, 3]], expected, atol=1e-5)
            tensors = (torch.from_numpy(x) for x in (obs, action, next_obs))
            # gymnasium's step of the fall earns 1, too
            assert float(robot.objective(*tensors, torch.zeros(0))[0]) == float(not terminated)
            assert simulation.ended.tolist() == [terminated]
            obs = next_obs
            if terminated:
                break
        assert terminated


@pytest.mark.parametrize(("name", "environment"), [("hopper", "Hopper-v5"), ("walker2d", "Walker2d-v5")])
def test_a_robot_that_falls_equals_gymnasiums_until_it_has_fallen(name: str, environment: str) -> None:
    robot = load_robot(name)
    nq = robot.model.nq
    simulation = BatchSimulation(robot, 3)
    env = gymnasium.make(environment).unwrapped
    rng = np.random.default_rng(0)
    for seed in range(3):
        obs = simulation.reset([7, seed, 8])
        expected, _ = env.reset(seed=seed)
        np.testing.assert_allclose(obs[1, 1:], expected, rtol=0, atol=1e-7)
        for _ in range(200):
            action = rng.uniform(-1.2, 1.2, (3, robot.spec.action_dim)).astype(np.float32)
            next_obs = simulation.step(action)
            sent = simulation.clip(action)
            expected, reward, terminated, *_ = env.step(sent[1])
            found = np.concatenate([next_obs[1, 1:nq], np.clip(next_obs[1, nq:], -10, 10)])
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
            tensors = (torch.from_numpy(x) for x in (obs, sent, next_obs))
            assert abs(float(robot.objective(*tensors, torch.zeros(0))[1]) - reward) < 1e-5
            assert bool(simulation.ended[1]) == terminated
            obs = next_obs
            if terminated:
                break
        assert terminated


def test_slim_humanoid_is_gymnasiums_humanoid_with_the_reward_of_cadm() -> None:
    robot = load_robot("slim_humanoid")
    simulation = BatchSimulation(robot, 1)
    obs = simulation.reset([3])
    env = gymnasium.make("Humanoid-v5", frame_skip=5).unwrapped
    env.reset(seed=0)
    env.set_state(simulation.physics.arrays["qpos"][0].copy(), simulation.physics.arrays["qvel"][0].copy())
    rng = np.random.default_rng(0)
    rewards, heights = [], []
    for _ in range(60):
        action = rng.uniform(-0.4, 0.4, (1, 17)).astype(np.float32)
        next_obs = simulation.step(action)
        expected, *_ = env.step(action[0])
        np.testing.assert_allclose(next_obs[0], expected[:45], rtol=0, atol=1e-4)
        tensors = (torch.from_numpy(x) for x in (obs, action, next_obs))
        rewards.append(float(robot.objective(*tensors, torch.zeros(0))[0]))
        heights.append(float(next_obs[0, 0]))
        upright = 1.0 <= heights[-1] <= 2.0
        speed = float(env.data.qvel[0])
        assert rewards[-1] == pytest.approx(0.25 / 0.015 * speed - 0.1 * float((action**2).sum()) + 5 * upright, abs=1e-3)
        obs = next_obs
    # it falls, and goes on
    assert min(heights) < 1.0
    assert not simulation.ended.any()


def test_ant_of_cadm_earns_speed_minus_commands_and_a_bonus() -> None:
    robot, posture = load_robot("ant_cadm"), load_robot("ant")
    simulation = BatchSimulation(robot, 1)
    simulation.reset([0])
    env = gymnasium.make(
        "Ant-v5", ctrl_cost_weight=0.005, healthy_reward=0.05, contact_cost_weight=0.0, main_body="torso"
    ).unwrapped
    env.reset(seed=0)
    env.set_state(simulation.physics.arrays["qpos"][0].copy(), simulation.physics.arrays["qvel"][0].copy())
    action = np.full((1, 8), 0.5, dtype=np.float32)
    tensors = [torch.from_numpy(x) for x in (simulation.obs, action, simulation.step(action))]
    _, reward, *_ = env.step(action[0])
    assert float(robot.objective(*tensors, torch.zeros(0))[0]) == pytest.approx(reward, abs=1e-4)
    assert robot.spec == posture.spec
    assert float(robot.planning_objective(*tensors, torch.zeros(0))[0]) == pytest.approx(
        float(posture.objective(*tensors, torch.zeros(0))[0]) + 0.05, abs=1e-4
    )
