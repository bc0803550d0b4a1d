"""The literature's robots are the literature's: same physics, initial states and rewards as gymnasium's environments."""

from __future__ import annotations

import importlib.util

import gymnasium
import mujoco
import numpy as np
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
