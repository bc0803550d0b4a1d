"""Robots come from a YAML and an MJCF, shipped or the user's own, and mistakes in them are told in one line."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from adaptive_mbrl.errors import ConfigError
from sim.paths import known_configs
from sim.robot.robot import load_robot
from sim.robot_file import read_robot
from sim.simulation.batch import BatchSimulation

MJCF = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <body name="drone" pos="0 0 1">
      <freejoint name="root"/>
      <geom name="hull" type="box" size="0.1 0.2 0.05" mass="1"/>
      <site name="tip" pos="0.3 0 0"/>
      <body name="rod" pos="0 0 -0.1">
        <joint name="swing" type="hinge" axis="0 1 0" damping="0.1"/>
        <geom type="capsule" fromto="0 0 0 0 0 -0.5" size="0.02" mass="0.2"/>
        <geom type="sphere" pos="0 0 -0.5" size="0.05" mass="0.1"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="swing" ctrlrange="-2 2"/>
    <general name="free" joint="swing" gainprm="0"/>
  </actuator>
  <sensor><gyro name="gyro" site="tip"/></sensor>
  <keyframe><key name="up" qpos="0 0 2 1 0 0 0 0.5"/></keyframe>
</mujoco>
"""

YAML = """
mjcf: drone.xml
dt: 0.02
obs:
  - {name: x, unit: m, source: {qpos: root, index: 0}}
  - {name: yaw, unit: rad, kind: angle, source: {euler: root, axis: yaw}}
  - {name: pitch, unit: rad, kind: angle, source: {euler: root, axis: pitch}}
  - {name: roll, unit: rad, kind: angle, source: {euler: root, axis: roll}}
  - {name: swing, unit: rad, source: {qpos: swing}}
  - {name: swing_velocity, unit: rad/s, kind: velocity, source: {qvel: swing}}
  - {name: fall_speed, unit: m/s, kind: velocity, target: direct, source: {displacement_rate: root, index: 2}}
  - {name: tip_z, unit: m, source: {site: tip, axis: z}}
  - {name: tip_fall, unit: m/s, kind: velocity, source: {site_velocity: tip, axis: z}}
  - {name: gyro_y, unit: rad/s, kind: velocity, source: {sensor: gyro, index: 1}}
actions:
  - {name: swing, unit: N m, low: -1, high: 1.5}
objective:
  - {kind: quadratic, channels: [x, tip_z], goal: [goal_x, goal_z]}
goal: {names: [goal_x, goal_z], kind: uniform, low: [-1, 0], high: [1, 2], every: 10}
reset: {keyframe: up, qpos: {swing: 0.25}, qpos_noise: {root: 0.05}, qvel_noise: 0.1}
"""


@pytest.fixture
def own_robot(tmp_path: Path) -> Path:
    (tmp_path / "drone.xml").write_text(MJCF)
    (tmp_path / "my_drone.yaml").write_text(YAML)
    return tmp_path / "my_drone.yaml"


@pytest.mark.parametrize("name", known_configs("robots"))
def test_every_shipped_robot_loads_and_runs(name: str) -> None:
    robot = load_robot(name)
    # a variant has the name of the robot that it extends
    assert robot.name == robot.spec.name == read_robot(robot.path).get("name", name)
    simulation = BatchSimulation(robot, 2)
    obs = simulation.reset([0, 1])
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.uniform(robot.action_low, robot.action_high, (2, robot.spec.action_dim)).astype(np.float32)
        next_obs = simulation.step(action)
        tensors = (torch.from_numpy(x) for x in (obs, action, next_obs, simulation.goals(1)[:, 0]))
        assert torch.isfinite(robot.objective(*tensors)).all()
        obs = next_obs
    assert np.isfinite(obs).all()
    assert obs.dtype == np.float32


def test_a_users_own_robot(own_robot: Path) -> None:
    robot = load_robot(own_robot)
    assert (robot.name, robot.substeps) == ("my_drone", 4)
    assert (robot.spec.action_names, robot.action_low[0], robot.action_high[0]) == (("swing",), -1.0, 1.5)
    simulation = BatchSimulation(robot, 3)
    first = dict(zip(robot.spec.obs_names, simulation.reset([0, 1, 2]).T, strict=True))
    np.testing.assert_allclose(first["swing"], 0.25)
    assert np.all(first["fall_speed"] == 0)
    assert np.all(np.abs(first["x"]) <= 0.05)
    previous_z = simulation.physics.arrays["qpos"][:, 2].copy()
    obs = dict(zip(robot.spec.obs_names, simulation.step(np.ones((3, 1))).T, strict=True))
    z = simulation.physics.arrays["qpos"][:, 2]
    np.testing.assert_allclose(obs["fall_speed"], (z - previous_z) / 0.02, rtol=1e-5)


def test_sites_and_sensors_are_read_at_the_present_state(own_robot: Path) -> None:
    robot = load_robot(own_robot)
    simulation = BatchSimulation(robot, 1)
    simulation.reset([0])
    data = mujoco.MjData(robot.model)
    jacobian = np.zeros((3, robot.model.nv))
    for _ in range(10):
        obs = dict(zip(robot.spec.obs_names, simulation.step(np.zeros((1, 1)))[0], strict=True))
        data.qpos[:], data.qvel[:] = simulation.physics.arrays["qpos"][0], simulation.physics.arrays["qvel"][0]
        mujoco.mj_forward(robot.model, data)
        mujoco.mj_jacSite(robot.model, data, jacobian, None, robot.model.site("tip").id)
        np.testing.assert_allclose(obs["tip_z"], data.site("tip").xpos[2], atol=1e-6)
        np.testing.assert_allclose(obs["tip_fall"], (jacobian @ data.qvel)[2], atol=1e-6)
        np.testing.assert_allclose(obs["gyro_y"], data.qvel[4], atol=1e-6)


@pytest.mark.parametrize(("axis", "vector"), [("roll", (1, 0, 0)), ("pitch", (0, 1, 0)), ("yaw", (0, 0, 1))])
def test_euler_angles(own_robot: Path, axis: str, vector: tuple[int, int, int]) -> None:
    simulation = BatchSimulation(load_robot(own_robot), 1)
    qpos = simulation.physics.arrays["qpos"].copy()
    qpos[0, 3:7] = [np.cos(0.35), *(np.sin(0.35) * np.array(vector))]
    simulation.physics.reset(qpos, np.zeros_like(simulation.physics.arrays["qvel"]))
    obs = dict(zip(simulation.robot.spec.obs_names, simulation.physics.observe(None)[0], strict=True))
    for name in ("roll", "pitch", "yaw"):
        np.testing.assert_allclose(obs[name], 0.7 if name == axis else 0.0, atol=1e-6)


def test_goals_are_seeded_hold_and_change(own_robot: Path) -> None:
    robot = load_robot(own_robot)
    goals = robot.goals(seed=3, steps=25, preview=5)
    assert goals.shape == (30, 2)
    np.testing.assert_array_equal(goals, robot.goals(3, 30))
    np.testing.assert_array_equal(goals[:10], np.broadcast_to(goals[0], (10, 2)))
    assert not np.array_equal(goals[9], goals[10])
    assert not np.array_equal(goals, robot.goals(4, 30))
    assert np.all((goals >= [-1, 0]) & (goals <= [1, 2]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dt: 0.02", "dt: 0.021", "dt.*0.021 s must be a whole number of physics steps of 0.005 s"),
        ("dt: 0.02\n", "dt: 0.02\nspeed: 3\n", "unknown key 'speed'.*allowed keys: mjcf, obs"),
        ("mjcf: drone.xml", "mjcf: nothing.xml", "nothing.xml.*no such file"),
        ("mjcf: drone.xml", "mjcf: my_drone.yaml", "mjcf 'my_drone.yaml'"),
        ("{qpos: swing}", "{qpos: swinge}", "unknown joint 'swinge' .did you mean 'swing'.*known joints: root, swing"),
        ("{qpos: root, index: 0}", "{qpos: root}", "'qpos: root' has 7 numbers: 'index' must be 0 to 6, got None"),
        ("{qpos: root, index: 0}", "{qpos: root, index: 7}", "'index' must be 0 to 6, got 7"),
        ("{euler: root, axis: yaw}", "{euler: swing, axis: yaw}", "needs a free or ball joint"),
        ("{euler: root, axis: yaw}", "{euler: root, axis: x}", "needs an axis: roll, pitch, yaw; got x"),
        ("{site: tip, axis: z}", "{site: top, axis: z}", "unknown site 'top'; known sites: tip"),
        ("{sensor: gyro, index: 1}", "{sensor: giro, index: 1}", "unknown sensor 'giro'; known sensors: gyro"),
        ("{qvel: swing}", "{qvel: swing, qpos: swing}", "exactly one of.*got qpos, qvel"),
        ("{qvel: swing}", "{qvel: swing, axis: x}", "'qvel' takes no axis"),
        ("name: swing, unit: N m", "name: motor, unit: N m", "unknown actuator 'motor'; known actuators: swing, free"),
        ("high: 1.5", "high: 2.5", "-1 to 2.5 is out of range; allowed: -2 to 2"),
        (
            "name: swing, unit: N m, low: -1, high: 1.5",
            "name: free",
            "'free' has no ctrlrange in the MJCF: give 'low' and 'high'",
        ),
        (
            "objective:\n  - {kind: quadratic, channels: [x, tip_z], goal: [goal_x, goal_z]}",
            "objective: []",
            "objective: expected at least one term",
        ),
        ("channels: [x, tip_z]", "channels: [x, tip_y]", "unknown channel 'tip_y'"),
        ("goal: [goal_x, goal_z]", "goal: [goal_x, goal_y]", "unknown goal 'goal_y' .*; known goals: goal_x, goal_z"),
        ("low: [-1, 0]", "low: [-1]", "'low' needs one number for each of goal_x, goal_z; got 1"),
        ("low: [-1, 0]", "low: [2, 0]", "'low' must not be above 'high'"),
        ("keyframe: up", "keyframe: down", "unknown keyframe 'down'; known keyframes: up"),
        ("qpos: {swing: 0.25}", "qpos: {root: 0.25}", "reset.qpos.root: expected 7 numbers, got 1"),
        ("qpos_noise: {root: 0.05}", "qpos_noise: {foot: 0.05}", "unknown joint 'foot'"),
        ("qvel_noise: 0.1", "qvel_noise: -0.1", "qvel_noise: -0.1 is out of range; allowed: at least 0"),
    ],
)
def test_mistakes_name_the_file_and_what_is_allowed(own_robot: Path, old: str, new: str, message: str) -> None:
    text = own_robot.read_text()
    assert old in text
    own_robot.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as error:
        load_robot(own_robot)
    assert str(error.value).startswith(str(own_robot))
    assert "\n" not in str(error.value)


def test_unknown_robots_list_the_known() -> None:
    with pytest.raises(
        ConfigError,
        match=r"unknown robot 'half_cheeta' \(did you mean 'half_cheetah'\?\); known robots: ant, ant_cadm, ant_tmcl, arm",
    ):
        load_robot("half_cheeta")
    with pytest.raises(ConfigError, match=r"nowhere/robot\.yaml: no such file"):
        load_robot("nowhere/robot.yaml")
