"""`init`: what it writes for many kinds of robots runs as it is, says what it means, and a mistake is one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import yaml

from adaptive_mbrl.cli import main
from adaptive_mbrl.config import read_mapping
from adaptive_mbrl.options import InitOptions
from robot_bridge.bridge_config import load_bridge_config, require_goal, require_spec
from robot_bridge.safety.supervisor import SafetySupervisor
from sim.init.command import init
from sim.robot import load_robot
from sim.scenarios import load_scenario
from sim.scenarios.distribution import PARTS
from sim.simulation import BatchSimulation
from sim.training.config import load_train_config

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "init" / "picker.xml"
CART = """<mujoco model="cart">
  <option timestep="0.01" integrator="implicitfast"/>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <body name="cart">
      <joint name="rail" type="slide" axis="1 0 0" range="-1.5 1.5" limited="true" damping="0.3"/>
      <geom type="box" size=".12 .08 .05" mass="1"/>
      <body name="lower">
        <joint name="lower hinge" axis="0 1 0" damping="0.01"/>
        <geom type="capsule" fromto="0 0 0 0 0 .35" size=".025"/>
        <body name="upper" pos="0 0 .35">
          <joint {second} axis="0 1 0" damping="0.01"/>
          <geom type="capsule" fromto="0 0 0 0 0 .5" size=".02"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>{actuators}</actuator>
</mujoco>
"""
MOTOR = '<motor name="push" joint="rail" gear="20" ctrllimited="true" ctrlrange="-1 1"/>'
URDF = """<robot name="lift">
  <link name="base"/>
  <link name="arm">
    <inertial>
      <origin xyz="0 0 0.2"/><mass value="1"/><inertia ixx="0.02" iyy="0.02" izz="0.01" ixy="0" ixz="0" iyz="0"/>
    </inertial>
    <collision><origin xyz="0 0 0.2"/><geometry><box size="0.05 0.05 0.4"/></geometry></collision>
  </link>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="arm"/><axis xyz="0 1 0"/><limit lower="-1.5" upper="1.5" effort="12" velocity="3"/>
  </joint>
</robot>
"""
MODELS = {
    "mjcf": ["package:arm.xml", "package:quadrotor.xml", "gymnasium:half_cheetah.xml", "gymnasium:inverted_double_pendulum.xml"],
    "gym": ["Hopper-v5", "InvertedPendulum-v5"],
    "dm_control": ["cartpole/swingup"],
}
MORE = {
    "mjcf": [
        *("package:cartpole_balance.xml", "package:pendulum.xml"),
        *(f"gymnasium:{name}.xml" for name in ("ant", "hopper", "humanoid", "point", "pusher_v5", "reacher", "swimmer")),
        *(f"dm_control:{name}.xml" for name in ("acrobot", "ball_in_cup", "fish", "humanoid_CMU", "manipulator", "quadruped")),
        *("gymnasium:walker2d_v5.xml", "dm_control:walker.xml"),
    ],
    "gym": [
        *("Ant-v5", "HalfCheetah-v5", "HumanoidStandup-v5", "InvertedDoublePendulum-v5", "Pusher-v5"),
        *("Reacher-v5", "Swimmer-v5", "Walker2d-v5"),
    ],
    "dm_control": [
        "quadruped/walk",
        *("walker/walk", "swimmer/swimmer6", "ball_in_cup/catch", "acrobot/swingup", "humanoid/stand", "lqr/lqr_2_1"),
        *("manipulator/bring_ball", "stacker/stack_2", "dog/walk", "finger/spin", "point_mass/easy"),
    ],
}
CASES = [pytest.param(kind, name, id=f"{kind}-{name}") for kind, names in MODELS.items() for name in names]
CASES += [pytest.param(kind, name, id=f"{kind}-{name}", marks=pytest.mark.slow) for kind, names in MORE.items() for name in names]
STEPS = 5


def made(tmp_path: Path, **flags: Any) -> Path:
    """The folder that `init` writes."""
    init(InitOptions("robot", out=tmp_path / "robot", **flags))
    return tmp_path / "robot"


def cart(tmp_path: Path, second: str = 'name="upper hinge"', actuators: str = MOTOR) -> str:
    file = tmp_path / "cart.xml"
    file.write_text(CART.format(second=second, actuators=actuators))
    return str(file)


def roll(folder: Path) -> np.ndarray:
    """The observations of a few steps with random actions."""
    robot = load_robot(folder / "robot.yaml")
    simulation = BatchSimulation(robot, num_robots=2)
    simulation.reset(seeds=[0, 1])
    rng = np.random.default_rng(0)
    actions = rng.uniform(robot.action_low, robot.action_high, (STEPS, 2, robot.spec.action_dim))
    return np.stack([simulation.step(a) for a in actions])


def require_all_files_load(folder: Path) -> None:
    """Load what `init` wrote as the other commands do."""
    robot = load_robot(folder / "robot.yaml")
    for part in PARTS:
        assert load_scenario(f"{folder}/split.yaml:{part}").episodes(4, 0)
    load_train_config(folder / "train.yaml")
    bridge = load_bridge_config(folder / "bridge.yaml")
    require_spec(bridge, robot.spec, "bridge.yaml")
    require_goal(bridge, 0 if robot.goal is None else len(robot.goal.names), "bridge.yaml")
    SafetySupervisor(robot.spec, bridge.safety)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_file_loads_and_the_robot_moves(tmp_path: Path, kind: str, name: str):
    folder = made(tmp_path, **{kind: name})

    require_all_files_load(folder)
    observed = roll(folder)
    assert np.isfinite(observed).all()
    assert np.ptp(observed, axis=0).max() > 0
    for file in ("robot.yaml", "split.yaml", "train.yaml", "bridge.yaml"):
        assert keys_of(folder, file) <= explained_in(folder, file), file


def keys_of(folder: Path, file: str) -> set[str]:
    """The keys that a file uses, without those that are names: of the robot's parts and channels, and of topics."""
    robot = load_robot(folder / "robot.yaml")
    elements = robot.elements
    names = {*elements.actuators, *elements.bodies, *elements.joints, *elements.geoms, *robot.spec.obs_names}
    names |= set(load_bridge_config(folder / "bridge.yaml").inputs)

    def found(value: Any) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return set(value if isinstance(value, dict) else ()).union(*map(found, inner))

    return found(read_mapping(folder / file)) - names


def explained_in(folder: Path, file: str) -> set[str]:
    """The words of a file's comments."""
    comments = re.findall(r"#(.*)", (folder / file).read_text(encoding="utf-8"))
    return set(re.findall(r"\w+", " ".join(comments)))


def test_a_pendulum_on_a_cart_is_held_upright_and_in_the_middle(tmp_path: Path):
    robot = load_robot(made(tmp_path, mjcf=cart(tmp_path)) / "robot.yaml")

    upright = np.zeros((2, robot.spec.obs_dim), dtype=np.float32)
    fallen = upright.copy()
    fallen[:, robot.spec.obs_index("lower_hinge_angle")] = np.pi
    rewards = [
        robot.rewards(obs[None], np.zeros((1, 1, 1), dtype=np.float32), np.zeros((1, 1, 0), dtype=np.float32))
        for obs in (upright, fallen)
    ]
    assert rewards[0] - rewards[1] == pytest.approx(1.0, abs=1e-3)
    assert robot.spec.dt == pytest.approx(0.02), "a fall is faster than 0.05 s allows"


def test_an_arm_with_a_gripper_reaches_and_carries(tmp_path: Path):
    folder = made(tmp_path, mjcf=str(EXAMPLE))

    robot = load_robot(folder / "robot.yaml")
    assert robot.goal is not None
    assert robot.objective.terms[0].channels == ("gripper_x", "gripper_y", "gripper_z")
    payloads = [e.changes[-1].change.body_mass for e in load_scenario(f"{folder}/split.yaml:test").episodes(3, 0)]
    assert any(isinstance(payload, dict) and payload["gripper"] >= 3.0 for payload in payloads)


def test_names_that_need_quotes_stay_those_of_the_model(tmp_path: Path):
    folder = made(tmp_path, mjcf=cart(tmp_path))

    robot = read_mapping(folder / "robot.yaml")
    assert robot["mjcf"] == "../cart.xml"
    assert {"name": "lower_hinge_angle", "unit": "rad", "kind": "angle", "source": {"qpos": "lower hinge"}} in robot["obs"]
    assert all(re.fullmatch(r"[A-Za-z]\w*", channel["name"]) for channel in robot["obs"])


def test_a_joint_without_a_name_gets_one_in_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = cart(tmp_path, second="")
    before = Path(file).read_text()

    folder = made(tmp_path, mjcf=file)

    assert read_mapping(folder / "robot.yaml")["mjcf"] == "robot.xml"
    assert [j.name for j in mujoco.MjSpec.from_file(str(folder / "robot.xml")).joints] == ["rail", "lower hinge", "joint_3"]
    assert Path(file).read_text() == before
    assert "names for 1 joint (joint_3)" in capsys.readouterr().out
    roll(folder)


def test_two_actuators_of_one_joint_get_names_of_their_own(tmp_path: Path):
    folder = made(tmp_path, mjcf=cart(tmp_path, actuators='<motor joint="rail" ctrlrange="-1 1"/>' * 2))

    assert load_robot(folder / "robot.yaml").spec.action_names == ("motor_1", "motor_2")
    roll(folder)


def test_a_motor_without_limits_gets_some_that_move_the_robot_and_a_comment(tmp_path: Path):
    folder = made(tmp_path, mjcf=cart(tmp_path, actuators='<motor name="push" joint="rail" gear="10"/>'))

    weight = 9.81 * load_robot(folder / "robot.yaml").model.body_subtreemass[1]
    (action,) = read_mapping(folder / "robot.yaml")["actions"]
    assert action["high"] == -action["low"] == pytest.approx(2 * weight / 10, rel=0.05)
    assert "the model gives no ctrlrange" in (folder / "robot.yaml").read_text()


@pytest.mark.parametrize(("kind", "unit", "limits"), [("motor", "N m", (-12, 12)), ("position", "rad", (-1.5, 1.5))])
def test_a_urdf_becomes_a_robot_with_the_actuators_asked_for(tmp_path: Path, kind: str, unit: str, limits: tuple[float, float]):
    (tmp_path / "lift.urdf").write_text(URDF)

    folder = made(tmp_path, urdf=str(tmp_path / "lift.urdf"), actuators=kind)

    require_all_files_load(folder)
    (action,) = load_robot(folder / "robot.yaml").spec.action
    assert (action.unit, action.low, action.high) == (unit, *limits)
    assert np.ptp(roll(folder), axis=0).max() > 0


def test_held_positions_are_never_reversed_and_rest_where_they_are(tmp_path: Path):
    (tmp_path / "lift.urdf").write_text(URDF)

    folder = made(tmp_path, urdf=str(tmp_path / "lift.urdf"), actuators="position")

    changes = [
        scheduled.change
        for part in PARTS
        for e in load_scenario(f"{folder}/split.yaml:{part}").episodes(24, 0)
        for scheduled in e.changes
    ]
    gains = [c.actuator_gain for c in changes]
    assert all(gain > 0 for g in gains for gain in (g.values() if isinstance(g, dict) else [g]))
    bridge = load_bridge_config(folder / "bridge.yaml")
    assert (bridge.safety.safe_action, bridge.output.joints) == ("hold", ("shoulder",))


def test_meshes_and_includes_are_found_from_a_copy(tmp_path: Path):
    inner = tmp_path / "model"
    (inner / "meshes").mkdir(parents=True)
    corners = [(x, y, z) for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (0.0, 0.3)]
    (inner / "meshes" / "arm.obj").write_text(
        "".join(f"v {x} {y} {z}\n" for x, y, z in corners)
        + "".join(
            f"f {a} {b} {c}\n"
            for a, b, c in [(1, 2, 3), (2, 4, 3), (5, 7, 6), (6, 7, 8), (1, 3, 5), (3, 7, 5), (2, 6, 4), (4, 6, 8)]
        )
    )
    (inner / "motors.xml").write_text('<mujoco><actuator><motor joint="hinge" ctrlrange="-1 1"/></actuator></mujoco>')
    (inner / "arm.xml").write_text(
        '<mujoco><compiler meshdir="meshes"/><include file="motors.xml"/><asset><mesh name="arm" file="arm.obj"/></asset>'
        '<worldbody><body><joint axis="0 1 0" name="hinge"/><joint axis="1 0 0"/><geom type="mesh" mesh="arm"/></body>'
        "</worldbody></mujoco>"
    )

    init(InitOptions("robot", mjcf=str(inner / "arm.xml"), out=tmp_path / "somewhere" / "else" / "robot"))

    folder = tmp_path / "somewhere" / "else" / "robot"
    assert read_mapping(folder / "robot.yaml")["mjcf"] == "robot.xml"
    roll(folder)


def test_a_gymnasium_environment_gives_its_period_starts_reward_and_ends(tmp_path: Path):
    hopper = load_robot(made(tmp_path, gym="Hopper-v5") / "robot.yaml")

    ours, theirs = hopper, load_robot("hopper")
    assert ours.spec.dt == theirs.spec.dt
    assert {r.name: (r.low, r.high) for r in ours.spec.healthy} == {"height": (0.7, None), "pitch": (-0.2, 0.2)}
    assert {t.kind: t.weight for t in ours.objective.terms} == {t.kind: t.weight for t in theirs.objective.terms}
    assert np.array_equal(ours.initial.sample(3)[0], theirs.initial.sample(3)[0])


def test_a_task_of_dm_control_gives_its_period_and_speed(tmp_path: Path):
    robot = load_robot(made(tmp_path, dm_control="walker/walk") / "robot.yaml")

    (speed,) = [t for t in robot.objective.terms if t.channels == ("forward_speed",)]
    assert (robot.spec.dt, speed.target) == (0.025, (1.0,))


def test_a_task_of_the_users_own_replaces_that_of_an_environment(tmp_path: Path):
    robot = load_robot(made(tmp_path, gym="Hopper-v5", task="posture") / "robot.yaml")

    assert "forward_speed" not in robot.spec.obs_names


def test_a_robot_of_menagerie_is_found_through_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mujoco_menagerie")
    (tmp_path / "menagerie" / "unitree_go2").mkdir(parents=True)
    (tmp_path / "menagerie" / "unitree_go2" / "scene.xml").write_text(CART.format(second='name="upper hinge"', actuators=MOTOR))
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path / "menagerie"))

    folder = made(tmp_path, menagerie="unitree_go2")

    assert read_mapping(folder / "robot.yaml")["mjcf"] == "menagerie:unitree_go2/scene.xml"
    roll(folder)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that a mistake gives."""
    assert main(["init", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["r"], "got none"),
        (["r", "--mjcf", "a.xml", "--gym", "Hopper-v5"], "got --mjcf and --gym"),
        (["my robot", "--mjcf", "a.xml"], "such as my_robot"),
        (["r", "--mjcf", "a.xml"], "a.xml: no such file"),
        (["r", "--mjcf", "gymnasium:hoper.xml"], "no such file"),
        (["r", "--gym", "Hoper-v5"], "did you mean 'Hopper-v5'?"),
        (["r", "--gym", "CartPole-v1"], "has no MuJoCo model"),
        (["r", "--dm-control", "walker/wlak"], "did you mean 'walker/walk'?"),
        (["r", "--dm-control", "nobody/walk"], "domains: acrobot"),
        (["r", "--mjcf", "dm_control:swimmer.xml"], "--actuators motor"),
        (["r", "--mjcf", "gymnasium:hopper.xml", "--actuators", "motor"], "has actuators already"),
        (["r", "--mjcf", "gymnasium:reacher.xml", "--task", "run"], "no base that moves freely"),
        (["r", "--mjcf", "gymnasium:reacher.xml", "--task", "reach"], "no site that moves"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    monkeypatch.chdir(tmp_path)

    assert message in refused(capsys, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<mujoco><worldbody><body><joint/></body></worldbody></mujoco>", "cannot compile"),
        ("this is no XML", "cannot compile"),
        ("<mujoco><worldbody><body><geom size='1'/></body></worldbody></mujoco>", "no joints"),
    ],
)
def test_a_model_that_is_no_robot_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
):
    (tmp_path / "bad.xml").write_text(text)

    assert message in refused(capsys, str(tmp_path / "r"), "--mjcf", str(tmp_path / "bad.xml"))
    assert not (tmp_path / "r").exists()


def test_a_folder_that_exists_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear diary")

    assert "exists already" in refused(capsys, str(tmp_path / "mine"), "--mjcf", "gymnasium:reacher.xml")
    assert [f.name for f in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    small = ["data.steps=30", "data.random_episodes=4", "data.oracle_episodes=1", "data.episodes_per_iteration=2"]
    fewer = ["updates_initial=20", "updates_per_iteration=10", "updates_final=10", "data.oracle_planner.icem.num_samples=8"]
    assert main(["init", "robot", "--mjcf", cart(tmp_path)]) == 0
    readme = (tmp_path / "robot" / "README.md").read_text()
    commands = [
        line.split("#")[0].split()[1:] for line in readme.replace("\\\n", " ").splitlines() if line.startswith("adaptive-mbrl")
    ]
    collect, train, evaluate, *_ = commands

    assert main([*collect, "--steps", "20"]) == 0
    assert main([*train, "--run", "runs/train/robot", "--logger", "none", "--set", *small, *fewer]) == 0
    words = [w for w in evaluate if w not in ("--video", "robot.mp4", "--episodes", "6")]
    assert main([*words, "--episodes", "2", "--no-oracle"]) == 0
    assert yaml.safe_load((tmp_path / "robot.json").read_text())["config"]["episodes"] == 2
