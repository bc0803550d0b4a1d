"""The oracle's rollouts are what really happens when the same actions are sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.errors import ObservationError
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor

CHANGES = {
    "half_cheetah": [
        Change(actuator_gain={"bshin": 0.0}, action_delay=3),
        Change(body_mass=1.5, slope_deg=5.0),
        Change(external_force={"torso": (15.0, 0.0, 0.0)}, action_delay=1),
    ],
    "cartpole": [Change(body_mass={"pole_1": 2.0}), Change(actuator_gain=0.5), Change(action_delay=2)],
    "ant": [Change(actuator_gain={"hip_4": 0.0}), Change(gravity=0.8), Change()],
    "arm": [Change(body_mass={"hand": 3.0}), Change(external_force={"hand": (0.0, 0.0, -10.0)}), Change()],
    "quadrotor": [Change(actuator_gain={"rotor_1": 0.7}), Change(body_mass=1.3), Change(action_delay=1)],
}


def future(oracle: OraclePredictor, actions: torch.Tensor) -> torch.Tensor:
    """The predicted observations, (1, B, N, H, obs_dim)."""
    return oracle.roll_out(torch.from_numpy(oracle.simulation.obs), actions).next_obs


@pytest.mark.parametrize("name", CHANGES)
def test_rollouts_equal_stepping_the_robots(name: str) -> None:
    robot = load_robot(name)
    simulation = BatchSimulation(robot, 3)
    oracle = OraclePredictor(simulation, 4)
    simulation.reset([0, 1, 2])
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand(3, 4, 12, robot.spec.action_dim, generator=generator) * 2 - 1
    for t in range(5):
        simulation.step(actions[:, 0, t].numpy())
    for index, change in enumerate(CHANGES[name]):
        simulation.set_change(index, change)
    oracle.sync()
    predicted = future(oracle, actions)
    assert predicted.shape == (1, 3, 4, 12, robot.spec.obs_dim)
    assert torch.equal(future(oracle, actions), predicted)
    snapshot = simulation.state()
    for candidate in range(4):
        simulation.restore(snapshot)
        for t in range(12):
            obs = simulation.step(actions[:, candidate, t].numpy())
            np.testing.assert_array_equal(obs, predicted[0, :, candidate, t].numpy())
    assert oracle.steps_simulated == 2 * 3 * 4 * 12


def test_it_sees_through_observation_noise() -> None:
    simulation = BatchSimulation(load_robot("cartpole"), 1)
    simulation.reset([0], [Change(obs_noise=0.5)])
    oracle = OraclePredictor(simulation, 1)
    snapshot = simulation.state()
    action = torch.zeros(1, 1, 1, 1)
    noisy = simulation.step(action[:, 0, 0].numpy())
    simulation.restore(snapshot)
    simulation.set_change(0, Change())
    clean = simulation.step(action[:, 0, 0].numpy())
    assert np.abs(noisy - clean).max() > 0.05
    np.testing.assert_array_equal(future(oracle, action)[0, :, 0, 0].numpy(), clean)


def test_it_clips_as_the_robot_does() -> None:
    simulation = BatchSimulation(load_robot("cartpole"), 1)
    oracle = OraclePredictor(simulation, 1)
    assert torch.equal(future(oracle, torch.full((1, 1, 3, 1), 9.0)), future(oracle, torch.ones(1, 1, 3, 1)))


def test_it_returns_to_nominal_when_the_robot_does() -> None:
    simulation = BatchSimulation(load_robot("cartpole"), 1)
    simulation.reset([0])
    oracle = OraclePredictor(simulation, 2)
    actions = torch.linspace(-1, 1, 10).reshape(1, 2, 5, 1)
    before = future(oracle, actions)
    simulation.set_change(0, Change(body_mass=3.0, external_force={"cart": (5.0, 0.0, 0.0)}))
    oracle.sync()
    assert not torch.equal(future(oracle, actions), before)
    simulation.set_change(0, Change())
    oracle.sync()
    assert torch.equal(future(oracle, actions), before)


def test_a_candidate_that_blows_up_holds_its_last_observation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    simulation = BatchSimulation(load_robot("cartpole"), 2)
    obs = simulation.reset([0, 1])
    simulation.physics.arrays["qvel"][1] = 1e12
    predicted = future(OraclePredictor(simulation, 3), torch.zeros(2, 3, 4, 1))
    np.testing.assert_array_equal(predicted[0, 1].numpy(), np.broadcast_to(obs[1], (3, 4, 4)))
    assert not torch.equal(predicted[0, 0, 0, 0], predicted[0, 0, 0, 3])


def test_a_wrong_shape_is_refused() -> None:
    oracle = OraclePredictor(BatchSimulation(load_robot("cartpole"), 2), 3)
    with pytest.raises(ObservationError, match=r"expected shape \(2, 3, H, 1\), got \(1, 3, 5, 1\)"):
        future(oracle, torch.zeros(1, 3, 5, 1))
