"""Joint positions, points and distances that are read out of observations are those of the simulation and of geometry."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from sim.robot.contact_model import OF_OBSTACLE, OF_ROBOT, ContactModel, ContactRules
from sim.robot.contacts import Geometry
from sim.robot.poses import PoseReader
from sim.robot.robot import Robot, load_robot
from sim.simulation.batch import BatchSimulation

STEPS = 15


def simulated(robot: Robot) -> tuple[np.ndarray, np.ndarray]:
    """Observations (1, STEPS, obs_dim) and joint positions (STEPS, nq) of a robot under random actions."""
    simulation, rng = BatchSimulation(robot, 1), np.random.default_rng(0)
    simulation.reset([3])
    obs, qpos = [], []
    for _ in range(STEPS):
        simulation.step(rng.uniform(-0.3, 0.3, (1, robot.spec.action_dim)).astype(np.float32))
        obs.append(simulation.true_obs[0].astype(np.float64))
        qpos.append(simulation.physics.arrays["qpos"][0].copy())
    return np.stack(obs)[None], np.stack(qpos)


@pytest.mark.parametrize("name", ["cartpole", "quadrotor", "arm"])
def test_joint_positions_are_those_of_the_simulation(name: str):
    robot = load_robot(name)
    obs, qpos = simulated(robot)
    reader = PoseReader(robot)

    read = reader.poses(robot.initial.qpos, obs)[0]
    assert reader.is_absolute
    for i, joint in enumerate(robot.model.jnt_qposadr):
        if robot.model.jnt_type[i] == mujoco.mjtJoint.mjJNT_BALL:
            # both signs of a quaternion are the same orientation
            np.testing.assert_allclose(abs((read[:, joint : joint + 4] * qpos[:, joint : joint + 4]).sum(1)), 1.0, atol=1e-5)
        else:
            np.testing.assert_allclose(read[:, joint], qpos[:, joint], atol=1e-5)


def test_the_place_of_a_runner_is_known_up_to_where_it_began():
    robot = load_robot("half_cheetah")
    obs, qpos = simulated(robot)
    reader = PoseReader(robot)

    read = reader.poses(robot.initial.qpos, obs)[0]
    assert reader.is_complete
    assert not reader.is_absolute
    np.testing.assert_allclose(read[:, 1:], qpos[:, 1:], atol=1e-5)
    np.testing.assert_allclose(read[:, 0] - read[0, 0], qpos[:, 0] - qpos[0, 0], atol=1e-4)


def test_points_are_where_the_simulation_has_them():
    robot = load_robot("arm")
    obs, _ = simulated(robot)

    places = Geometry(robot, ["hand"]).places(obs)
    hand = [robot.spec.obs_names.index(f"hand_{axis}") for axis in "xyz"]
    np.testing.assert_allclose(places[0, :, 0], obs[0][:, hand], atol=1e-4)


def hovering(**at: float) -> np.ndarray:
    """An observation of the quadrotor, upright unless told otherwise, (1, 1, obs_dim)."""
    robot = load_robot("quadrotor")
    obs = np.zeros((1, 1, robot.spec.obs_dim))
    for name, value in at.items():
        obs[0, 0, robot.spec.obs_names.index(name)] = value
    return obs


def near(rules: ContactRules, obs: np.ndarray) -> dict[tuple[str, str], float]:
    return {a.between: float(a.distances[0, 0]) for a in Geometry(load_robot("quadrotor"), (), rules).approaches(obs)}


def test_a_distance_to_the_floor_is_that_of_geometry():
    rules = ContactRules(self_collision=False, obstacles=["floor"], clearance=0.15)

    found = near(rules, hovering(z=0.2))
    # the skids hang 0.09 m below the middle and are 7 mm thick
    assert found["floor", "skid_left"] == pytest.approx(0.2 - 0.09 - 0.007, abs=1e-6)
    assert near(rules, hovering(z=0.3)) == {}
    assert near(rules, hovering(z=0.05))["floor", "skid_right"] == pytest.approx(0.05 - 0.097, abs=1e-6)


def test_a_box_of_its_own_is_as_far_away_as_it_is():
    rules = ContactRules(self_collision=False, boxes={"pillar": ([0.5, -0.2, 0.0], [0.9, 0.2, 3.0])}, clearance=0.4)

    # the hull's longest half axis is 0.12 m
    assert near(rules, hovering(z=1.5))["hull", "pillar"] == pytest.approx(0.5 - 0.12, abs=1e-3)
    assert near(rules, hovering(z=1.5, x=-2.0)) == {}


def test_a_pair_with_a_distance_of_its_own_keeps_that_and_not_the_clearance():
    rules = ContactRules(False, ["floor"], clearance=0.15, distances={"low": ("skid_left", "floor", 0.05)})

    found = near(rules, hovering(z=0.2))
    assert ("floor", "skid_left") not in found
    assert ("floor", "skid_right") in found
    assert near(rules, hovering(z=0.13))["floor", "skid_left"] == pytest.approx(0.13 - 0.097, abs=1e-4)


def test_what_may_touch_is_left_out():
    rules = ContactRules(False, ["floor"], clearance=0.15, allowed=[("skid_left", "floor")])

    assert ("floor", "skid_left") not in near(rules, hovering(z=0.2))


def test_only_what_moves_and_what_is_named_is_looked_at():
    robot = load_robot("half_cheetah")
    contacts = ContactModel(robot, ContactRules(obstacles=["floor"]))

    moves = contacts.model.geom_bodyid > 0
    assert (contacts.kinds[moves] == OF_ROBOT).all()
    assert [contacts.names[i] for i in np.flatnonzero(contacts.kinds == OF_OBSTACLE)] == ["floor"]
    assert robot.model.ngeom == contacts.model.ngeom
    assert (robot.model.geom_contype == load_robot("half_cheetah").model.geom_contype).all()


def test_an_observation_that_is_not_finite_moves_nothing():
    geometry = Geometry(load_robot("quadrotor"), ["base"])
    obs = np.concatenate([hovering(z=1.0), hovering(z=np.nan)], axis=1)

    np.testing.assert_allclose(geometry.places(obs)[0, :, 0, 2], [1.0, 1.0])


def test_an_obstacle_that_is_near_in_the_initial_state_is_looked_at_and_a_base_on_its_plinth_is_not():
    robot = load_robot("arm")
    obs = np.zeros((1, 1, robot.spec.obs_dim))
    obs[0, 0, :7] = robot.initial.qpos
    shelf = {"shelf": ([0.2, -0.5, 0.8], [1.0, 0.5, 1.2])}
    geometry = Geometry(robot, (), ContactRules(False, ["flange", "column"], shelf, clearance=0.02))

    found = {approach.between for approach in geometry.approaches(obs)}
    assert any("shelf" in pair for pair in found)
    assert not any("flange" in pair for pair in found)
    without = Geometry(robot, (), ContactRules(False, ["flange"], clearance=0.02))
    assert without.approaches(obs) == []


def runner_without_height(folder: Path) -> Robot:
    """The half-cheetah, of whose height only the rate is observed."""
    path = folder / "runner.yaml"
    text = Path("configs/robots/half_cheetah.yaml").read_text()
    path.write_text("\n".join(line for line in text.splitlines() if "name: height" not in line))
    return load_robot(str(path))


FLOOR_ALONE = ContactRules(False, ["floor"])
FLOOR_APART = ContactRules(False, distances={"low": ("bfoot", "floor", 0.05)})


@pytest.mark.parametrize(("rules", "key"), [(FLOOR_ALONE, "obstacles"), (FLOOR_APART, "distances")])
def test_a_floor_is_refused_where_the_height_is_not_observed(rules: ContactRules, key: str, tmp_path: Path):
    Geometry(load_robot("half_cheetah"), (), rules)
    runner = runner_without_height(tmp_path)
    Geometry(runner, (), ContactRules())

    with pytest.raises(ConfigError) as error:
        Geometry(runner, (), rules)
    assert str(error.value).startswith(f"'{key}': the observations of robot '")
    assert "to 'floor'; allowed: self_collision, and obstacles that are planes along which it moves" in str(error.value)


@pytest.mark.parametrize(("step", "place"), [(None, 0.05), (0.2, 0.2)])
def test_what_is_not_observed_begins_at_the_first_observation_and_goes_on_by_the_time_between_them(
    step: float | None, place: float, monkeypatch: pytest.MonkeyPatch
):
    robot, placed = load_robot("half_cheetah"), []
    geometry = Geometry(robot, (), ContactRules())
    obs = np.zeros((1, 3, robot.spec.obs_dim))
    obs[..., robot.spec.obs_names.index("forward_speed")] = 1.0
    monkeypatch.setattr(geometry, "_place", lambda qpos: placed.append(qpos[0] - robot.initial.qpos[0]))

    geometry.approaches(obs, *(() if step is None else (step,)))
    np.testing.assert_allclose(placed, [0.0, place, 2 * place])
