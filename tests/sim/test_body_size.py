"""A body of another size: in every number the robot whose MJCF was written with that size."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from sim.paths import mjcf_path
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.batch import BatchSimulation
from sim.simulation.substeps import SubstepSimulation

# a leg with a foot below it, an eccentric joint, a site, and explicit masses: {s} is the size of the leg
LEG = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 .1"/>
    <body name="hip" pos="0 0 1">
      <joint name="lift" type="slide" axis="0 0 1"/>
      <geom type="sphere" size="0.05" mass="1"/>
      <body name="leg" pos="0.05 0 -0.05">
        <joint name="thigh" type="hinge" axis="0 1 0" pos="{joint} 0 0" damping="0.05"/>
        <geom name="leg" type="capsule" fromto="0 0 0 {x} 0 {z}" size="{radius}" mass="0.4"/>
        <site name="tip" pos="{x} 0 {z}"/>
        <body name="foot" pos="{x} 0 {z}">
          <joint name="ankle" type="hinge" axis="0 1 0" damping="0.05"/>
          <geom name="foot" type="box" size="0.1 0.05 0.02" pos="0.03 0 0" mass="0.2"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="thigh" ctrlrange="-2 2"/>
    <motor joint="ankle" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""
ROBOT = """
mjcf: leg.xml
dt: 0.02
obs:
  - {name: height, unit: m, source: {qpos: lift}}
  - {name: thigh, unit: rad, source: {qpos: thigh}}
  - {name: ankle, unit: rad, source: {qpos: ankle}}
  - {name: tip_z, unit: m, source: {site: tip, axis: z}}
objective:
  - {kind: linear, channels: [height]}
reset: {qpos: {thigh: 0.4}, qpos_noise: 0.1}
"""
FIELDS = (
    *("body_mass", "body_inertia", "body_pos", "body_ipos", "jnt_pos", "geom_pos", "geom_size", "geom_rbound", "geom_aabb"),
    *("site_pos", "body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0"),
)


def leg(folder: Path, size: float) -> Robot:
    folder.mkdir(exist_ok=True)
    (folder / "leg.xml").write_text(LEG.format(joint=0.02 * size, x=0.1 * size, z=-0.5 * size, radius=0.04 * size))
    (folder / "leg.yaml").write_text(ROBOT)
    return load_robot(folder / "leg.yaml")


@pytest.mark.parametrize("size", [0.6, 1.3])
def test_every_number_is_that_of_a_robot_built_with_this_size(tmp_path: Path, size: float):
    nominal, built = leg(tmp_path / "nominal", 1.0), leg(tmp_path / "built", size)
    simulation = BatchSimulation(nominal, 2)

    simulation.set_change(1, Change(body_size={"leg": size}))

    for name in FIELDS:
        np.testing.assert_allclose(
            simulation.physics.field(name)[1], getattr(built.model, name), rtol=1e-9, atol=1e-12, err_msg=name
        )
    np.testing.assert_array_equal(simulation.physics.field("geom_size")[0], nominal.model.geom_size)


@pytest.mark.parametrize("size", [0.6, 1.3])
def test_it_moves_like_a_robot_built_with_this_size_contacts_included(tmp_path: Path, size: float):
    nominal, built = leg(tmp_path / "nominal", 1.0), leg(tmp_path / "built", size)
    changed, reference = BatchSimulation(nominal, 1), BatchSimulation(built, 1)
    first = changed.reset([3], [Change(body_size={"leg": size})])
    np.testing.assert_allclose(first, reference.reset([3]), atol=1e-6)
    actions = np.random.default_rng(0).uniform(-1, 1, (100, 1, 2))
    heights = []

    for action in actions:
        after = changed.step(action)
        np.testing.assert_allclose(after, reference.step(action), atol=1e-4)
        heights.append(after[0, 0])

    # it has come to rest on the floor, lower or higher than the nominal robot
    assert abs(heights[-1] - heights[0]) > 0.1


def test_a_rod_twice_as_long_swings_more_slowly_by_the_square_root_of_two():
    """Small swings of a rod of length l have the period 2 pi sqrt(2 l / (3 g))."""
    robot = load_robot("pendulum")
    changes = [Change(), Change(body_size={"rod": 2.0})]
    simulation = BatchSimulation(robot, 2)
    simulation.reset([0, 0], changes)
    simulation.physics.arrays["qpos"][:, 0], simulation.physics.arrays["qvel"][:] = np.pi + 0.05, 0.0
    swings = np.array([simulation.step(np.zeros((2, 1)))[:, 0] - np.pi for _ in range(400)])

    crossings = [np.flatnonzero(np.diff(np.sign(column))) for column in swings.T]
    periods = [2 * robot.spec.dt * np.diff(c).mean() for c in crossings]

    np.testing.assert_allclose(periods, [2 * np.pi * np.sqrt(2 * length / 30) for length in (1.0, 2.0)], rtol=5e-3)


def test_the_pole_of_the_control_suite():
    """dm_control's cart-pole with its pole shortened in the MJCF itself."""
    robot = load_robot("cartpole")
    spec = mujoco.MjSpec.from_file(str(mjcf_path("dm_control:cartpole.xml", Path())))
    (geom,) = spec.body("pole_1").geoms
    geom.size[0], geom.fromto = 0.5 * 0.045, [0, 0, 0, 0, 0, 0.5]
    built = spec.compile()
    simulation = BatchSimulation(robot, 1)
    simulation.reset([0], [Change(body_size={"pole_1": 0.5})])

    for name in ("body_inertia", "body_ipos", "geom_pos", "body_mass"):
        np.testing.assert_allclose(simulation.physics.field(name)[0], getattr(built, name), rtol=1e-6, atol=1e-9, err_msg=name)


def test_it_comes_and_goes_with_the_change():
    robot = load_robot("cartpole")
    changed, untouched = BatchSimulation(robot, 1), BatchSimulation(robot, 1)
    start = untouched.state()
    changed.set_change(0, Change(body_size={"pole_1": 0.5}))
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 1, 1))
    different = np.array([changed.step(a)[0] for a in actions])
    expected = np.array([untouched.step(a)[0] for a in actions])
    assert np.abs(different - expected).max() > 1e-2

    changed.restore(start)

    np.testing.assert_array_equal(np.array([changed.step(a)[0] for a in actions]), expected)


def test_single_physics_steps_know_it_too():
    robot = load_robot("pendulum")
    change = Change(body_size={"rod": 0.5})
    batch = BatchSimulation(robot, 1)
    batch.reset([0], [change])
    single = SubstepSimulation(robot, Scenario("pendulum", 10, 0, (ScheduledChange(0, change),)))

    for _ in range(10):
        after = batch.step(np.ones((1, 1)))
        single.advance(np.ones(1))

    np.testing.assert_array_equal(single.observe(), after[0])


@pytest.mark.parametrize(
    ("robot", "body", "message"),
    [
        ("half_cheetah", "torso", r"body_size: body 'torso' has 2 geoms that touch others; allowed: one geom"),
        ("cartpole", "nobody", r"unknown body 'nobody'"),
    ],
)
def test_what_cannot_be_scaled_is_refused(robot: str, body: str, message: str):
    with pytest.raises(ConfigError, match=message):
        BatchSimulation(load_robot(robot), 1).set_change(0, Change(body_size={body: 1.2}))
