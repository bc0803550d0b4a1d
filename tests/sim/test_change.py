"""Changes of dynamics reach the physics, robot by robot, absolute against the nominal robot."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change, model_fields, scale_vector
from sim.simulation.batch import BatchSimulation

CHANGES = [
    (Change(body_mass=1.2), "body_mass"),
    (Change(body_mass={"bfoot": 3.0}), "body_inertia"),
    (Change(actuator_gain={"bshin": 0.0}), "actuator_gainprm"),
    (Change(friction=0.5), "geom_friction"),
    (Change(damping={"bthigh": 1.5}), "dof_damping"),
    (Change(armature=2.0), "dof_armature"),
    (Change(slope_deg=8.0), "gravity"),
    (Change(gravity=0.5), "gravity"),
]


@pytest.fixture(scope="module")
def cheetah() -> Robot:
    return load_robot("half_cheetah")


def nominal(robot: Robot, name: str) -> np.ndarray:
    return np.array(robot.model.opt.gravity if name == "gravity" else getattr(robot.model, name))


@pytest.mark.parametrize(("change", "name"), CHANGES)
def test_a_change_reaches_the_fields_of_its_own_robot_only(cheetah: Robot, change: Change, name: str) -> None:
    simulation = BatchSimulation(cheetah, 3)
    simulation.set_change(1, change)
    fields = simulation.physics.field(name)
    expected = model_fields(change, cheetah.model, cheetah.elements)[name]
    assert not np.array_equal(expected, nominal(cheetah, name))
    np.testing.assert_array_equal(fields[1], expected)
    for other in (0, 2):
        np.testing.assert_array_equal(fields[other], nominal(cheetah, name))


@pytest.mark.parametrize(("change", "name"), CHANGES)
def test_a_change_alters_the_motion_and_leaves_with_the_next_one(cheetah: Robot, change: Change, name: str) -> None:
    changed, untouched = BatchSimulation(cheetah, 2), BatchSimulation(cheetah, 2)
    for simulation in (changed, untouched):
        simulation.reset([0, 1])
    start = untouched.state()
    changed.set_change(0, change)
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 2, 6))
    for action in actions:
        a, b = changed.step(action), untouched.step(action)
    assert np.abs(a[0] - b[0]).max() > 1e-3
    np.testing.assert_array_equal(a[1], b[1])
    changed.restore(start)
    for action in actions:
        a = changed.step(action)
    np.testing.assert_array_equal(a, b)


def test_numbers_read_back(cheetah: Robot) -> None:
    model = cheetah.model
    simulation = BatchSimulation(cheetah, 2)
    simulation.set_change(
        0, Change(body_mass={"bfoot": 2.0}, actuator_gain={"bshin": 0.5}, friction=0.5, damping=1.5, armature=3.0)
    )
    field = simulation.physics.field
    foot, shin = model.body("bfoot").id, model.actuator("bshin").id
    assert field("body_mass")[0, foot] == 2 * model.body_mass[foot]
    np.testing.assert_array_equal(field("body_inertia")[0, foot], 2 * model.body_inertia[foot])
    assert field("actuator_gainprm")[0, shin, 0] == 0.5 * model.actuator_gainprm[shin, 0]
    np.testing.assert_array_equal(field("geom_friction")[0], 0.5 * model.geom_friction)
    np.testing.assert_array_equal(field("dof_damping")[0], 1.5 * model.dof_damping)
    np.testing.assert_array_equal(field("dof_armature")[0], 3.0 * model.dof_armature)


def test_changes_replace_each_other(cheetah: Robot) -> None:
    simulation = BatchSimulation(cheetah, 1)
    for change in (Change(body_mass=1.5, damping=2.0), Change(body_mass=1.5), Change(body_mass=1.5, friction=0.5)):
        simulation.set_change(0, change)
    np.testing.assert_array_equal(simulation.physics.field("body_mass")[0], 1.5 * cheetah.model.body_mass)
    np.testing.assert_array_equal(simulation.physics.field("dof_damping")[0], cheetah.model.dof_damping)


def test_constants_that_follow_from_mass_are_those_of_such_a_robot(cheetah: Robot) -> None:
    reference = mujoco.MjModel.from_xml_path(_cheetah_file())
    reference.body_mass[:] *= 1.5
    reference.body_inertia[:] *= 1.5
    mujoco.mj_setConst(reference, mujoco.MjData(reference))
    simulation = BatchSimulation(cheetah, 2)
    simulation.set_change(1, Change(body_mass=1.5))
    names = ("dof_invweight0", "body_invweight0", "body_subtreemass", "dof_M0", "actuator_acc0")
    for name in names:
        np.testing.assert_array_equal(simulation.physics.field(name)[1], getattr(reference, name), err_msg=name)
        np.testing.assert_array_equal(simulation.physics.field(name)[0], getattr(cheetah.model, name), err_msg=name)
    simulation.set_change(1, Change())
    for name in names:
        np.testing.assert_array_equal(simulation.physics.field(name)[1], getattr(cheetah.model, name), err_msg=name)


def test_a_heavier_robot_moves_like_mujocos_own(cheetah: Robot) -> None:
    reference = mujoco.MjModel.from_xml_path(_cheetah_file())
    reference.body_mass[:] *= 1.5
    reference.body_inertia[:] *= 1.5
    data = mujoco.MjData(reference)
    mujoco.mj_setConst(reference, data)
    simulation = BatchSimulation(cheetah, 2)
    simulation.reset([0, 1], [Change(), Change(body_mass=1.5)])
    data.qpos[:], data.qvel[:] = simulation.physics.arrays["qpos"][1], simulation.physics.arrays["qvel"][1]
    mujoco.mj_forward(reference, data)
    for action in np.random.default_rng(0).uniform(-1, 1, (50, 2, 6)).astype(np.float32):
        simulation.step(action)
        data.ctrl[:] = action[1]
        mujoco.mj_step(reference, data, cheetah.substeps)
    np.testing.assert_array_equal(simulation.physics.arrays["qpos"][1], data.qpos)


def test_a_dead_motor_ignores_its_action(cheetah: Robot) -> None:
    simulation = BatchSimulation(cheetah, 2)
    simulation.reset([0, 0], [Change(actuator_gain={"bshin": 0.0})] * 2)
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 2, 6))
    actions[:, 1] = actions[:, 0]
    actions[:, 1, 1] = -actions[:, 0, 1]
    for action in actions:
        obs = simulation.step(action)
    np.testing.assert_array_equal(obs[0], obs[1])


def test_gain_scales_the_force_of_a_rotor_with_a_bias() -> None:
    robot = load_robot("quadrotor")
    values = model_fields(Change(actuator_gain={"rotor_2": 0.5}), robot.model, robot.elements)
    rotor = robot.model.actuator("rotor_2").id
    assert robot.model.actuator_biasprm[rotor, 0] != 0
    for name in ("actuator_gainprm", "actuator_biasprm"):
        assert values[name][rotor, 0] == 0.5 * getattr(robot.model, name)[rotor, 0]


def test_a_slope_pulls_back_and_keeps_the_size_of_gravity(cheetah: Robot) -> None:
    gravity = model_fields(Change(slope_deg=8.0), cheetah.model, cheetah.elements)["gravity"]
    np.testing.assert_allclose(gravity, [-9.81 * math.sin(math.radians(8)), 0, -9.81 * math.cos(math.radians(8))])


def test_an_external_force_pushes_until_a_change_leaves_it_out() -> None:
    robot = load_robot("quadrotor")
    simulation = BatchSimulation(robot, 2)
    simulation.reset([0, 0])
    hover = np.zeros((2, 4))
    simulation.set_change(0, Change(external_force={"base": (2.0, 0.0, 0.0)}))
    column = robot.spec.obs_index("x_velocity")
    drift = []
    for step in range(20):
        if step == 10:
            simulation.set_change(0, Change(body_mass=1.1))
            np.testing.assert_array_equal(simulation.physics._force, 0.0)
        obs = simulation.step(hover)
        drift.append(obs[0, column] - obs[1, column])
    # 2 N on 1.4 kg for 0.5 s, less the air drag
    assert 0.5 < drift[9] < 2.0 / 1.4 * 0.5
    assert drift[19] < drift[9]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change(actuator_gain={"bshinn": 0.0}), "unknown actuator 'bshinn'.*known actuators: bthigh, bshin"),
        (Change(body_mass={"leg": 2.0}), "unknown body 'leg'.*known bodies: torso, bthigh"),
        (Change(damping={"knee": 2.0}), "unknown joint 'knee'.*known joints: rootx"),
        (Change(friction={"ground": 2.0}), "unknown geom 'ground'.*known geoms: floor"),
        (Change(external_force={"tail": (0.0, 0.0, 1.0)}), "unknown body 'tail'"),
        (Change(obs_noise={"speed": 0.1}), "unknown channel 'speed'.*known channels: forward_speed"),
    ],
)
def test_unknown_names_list_the_known_ones(cheetah: Robot, change: Change, message: str) -> None:
    simulation = BatchSimulation(cheetah, 1)
    with pytest.raises(ConfigError, match=message):
        simulation.set_change(0, change)
    assert simulation.changes == (Change(),)


@pytest.mark.parametrize(
    "values", [{"body_mass": 0.0}, {"friction": -1.0}, {"action_delay": 99}, {"gravity": math.nan}, {"damping": {"a": -1.0}}]
)
def test_numbers_out_of_range_are_refused(values: dict) -> None:
    with pytest.raises(ConfigError, match="out of range; allowed"):
        Change(**values)


def test_a_mapping_leaves_the_unnamed_nominal() -> None:
    named = {"a": np.array([0]), "b": np.array([2, 3])}
    np.testing.assert_array_equal(scale_vector({"b": 0.5}, 4, named), [1, 1, 0.5, 0.5])
    np.testing.assert_array_equal(scale_vector(2.0, 3, named), [2, 2, 2])


def test_unnamed_parts_are_named_after_their_joint() -> None:
    elements = load_robot("ant").elements
    assert "hip_4" in elements.actuators
    assert "ankle_1" in elements.bodies


def _cheetah_file() -> str:
    import gymnasium

    return f"{gymnasium.__path__[0]}/envs/mujoco/assets/half_cheetah.xml"
