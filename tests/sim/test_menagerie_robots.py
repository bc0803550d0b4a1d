"""The examples with robots that people own: files that fit one another and Menagerie's models, or ones that stand in for them."""

from __future__ import annotations

import re
from pathlib import Path

import mujoco
import numpy as np
import pytest

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.errors import ConfigError
from robot_bridge.bridge_config import BridgeConfig, require_spec
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import command_sender, command_values
from robot_bridge.middleware.messages import MESSAGES
from robot_bridge.robot_files import load_controller
from robot_bridge.safety.supervisor import SafetySupervisor
from robot_bridge.simulated.robot import SimulatedRobot
from sim.robot.robot import load_robot
from sim.robot.sources import joint_index
from sim.scenarios.loading import load_scenario
from sim.simulation.substeps import SubstepSimulation
from sim.training.config import load_train_config
from tests.bridge.loop_parts import Clock
from tests.bridge.recorded import Loopback
from tests.menagerie import here, write_stand_ins

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = {"go2": "go2", "ur5e": "ur5e", "so101": "lerobot"}
MODELS = {
    "go2": ("unitree_go2", "scene_mjx.xml"),
    "ur5e": ("universal_robots_ur5e", "scene.xml"),
    "so101": ("robotstudio_so101", "scene.xml"),
}
"""Where Menagerie has each robot."""
pytest.importorskip("mujoco_menagerie", reason="needs the extra 'menagerie'")


@pytest.fixture(params=["stand-in", "menagerie"])
def model(request: pytest.FixtureRequest, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with a model that stands in for the robot, and with Menagerie's own where it is."""
    if request.param == "stand-in":
        monkeypatch.setenv("MENAGERIE_ROOT", str(write_stand_ins(tmp_path / "menagerie")))
    elif not here(*MODELS[name]):
        pytest.skip(f"MENAGERIE_ROOT names no copy of MuJoCo Menagerie with {MODELS[name][0]}")
    return str(request.param)


def folder_of(name: str) -> Path:
    return EXAMPLES / FOLDERS[name]


def bridge_of(name: str) -> BridgeConfig:
    """The bridge file; that of the checkpoint is another test's."""
    return load_yaml(folder_of(name) / "bridge.yaml", BridgeConfig)


names = pytest.mark.parametrize("name", sorted(FOLDERS))


@names
def test_robot_split_training_and_bridge_file_fit_one_another(name: str, model: str):
    folder = folder_of(name)
    robot = load_robot(str(folder / "robot.yaml"))
    config = bridge_of(name)

    require_spec(config, robot.spec, name)
    assert config.goal is not None
    assert len(config.goal.fields) == len(robot.objective.goal_names)
    SafetySupervisor(robot.spec, config.safety)
    assert config.output.is_position
    assert load_train_config(folder / "train.yaml").scenarios.endswith("split.yaml:train")
    for part in ("train", "validation", "test"):
        assert len(load_scenario(f"{folder / 'split.yaml'}:{part}").episodes(3, 0)) == 3


@names
def test_the_robot_stays_sound_under_random_commands(name: str, model: str):
    scenario = load_scenario(f"{folder_of(name) / 'split.yaml'}:test").episodes(1, 5)[0]
    robot = load_robot(scenario.robot)
    simulation = SubstepSimulation(robot, scenario)
    rng = np.random.default_rng(0)

    for _ in range(60):
        action = rng.uniform(robot.action_low, robot.action_high)
        for _ in range(robot.substeps):
            simulation.advance(action)

    assert np.isfinite(simulation.observe()).all()
    assert np.isfinite(simulation.rewards()).all()


@names
def test_the_joints_of_the_bridge_file_are_those_that_the_actuators_move(name: str, model: str):
    robot, config = load_robot(str(folder_of(name) / "robot.yaml")), bridge_of(name)
    order = config.output.order or robot.spec.action_names

    for action, joint in zip(order, config.output.joints, strict=True):
        driven = int(robot.model.actuator(action).trnid[0])
        assert robot.model.joint(driven).name == joint


@names
def test_commands_reach_the_simulated_robot_behind_real_messages(name: str, model: str, tmp_path: Path, make_checkpoint):
    """Observation, controller, command and actuators, through the messages of the bridge file."""
    scenario = load_scenario(f"{folder_of(name) / 'split.yaml'}:test").episodes(1, 5)[0]
    robot, config = load_robot(scenario.robot), bridge_of(name)
    checkpoint = make_checkpoint(tmp_path / "checkpoint", robot=str(folder_of(name) / "robot.yaml"))
    path = tmp_path / "bridge.yaml"
    text = (folder_of(name) / "bridge.yaml").read_text()
    path.write_text(re.sub(r"^checkpoint: .*$", f"checkpoint: {checkpoint}", text, flags=re.M))
    clock = Clock()
    transport = Loopback(clock)
    simulation = SubstepSimulation(robot, scenario)
    simulated = SimulatedRobot(simulation, config, transport, _Steady(clock))
    controller, inputs = load_controller(config_of(path), path, "cpu"), Inputs(robot.spec, config, transport)
    sent: list[list[float]] = []
    transport.subscribe(
        config.output.topic, config_message(config), lambda message, received: sent.append(command_values(message))
    )
    send = command_sender(robot.spec, config.output, transport)

    simulated.sensors.sample(simulation.observe(), np.zeros(robot.spec.action_dim), simulation.noise_std, clock.now, clock.now)
    simulated.sensors.deliver(clock.now)
    observed = inputs.snapshot().values
    send(controller.step(observed, np.array(config.goal.initial)).action)

    assert observed == pytest.approx(simulation.observe(), abs=1e-5)
    order = [robot.spec.action_names.index(action) for action in config.output.order or robot.spec.action_names]
    assert simulated.commands.count == 1
    assert simulated.commands.mean(clock.now, clock.now + 0.01)[order] == pytest.approx(sent[0])


class _Steady:
    """The clock of a simulated robot whose time a test moves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now

    def wait_until(self, moment: float) -> bool:
        self._clock.now = max(moment, self._clock.now)
        return True

    def since_epoch(self, moment: float) -> float:
        return moment


def config_of(path: Path) -> BridgeConfig:
    return load_yaml(path, BridgeConfig)


def config_message(config: BridgeConfig) -> type:
    return MESSAGES[config.output.type]


def test_a_free_joint_without_a_name_has_that_of_its_body():
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body name="base"><freejoint/><geom size="0.1"/>'
        '<body name="leg"><joint/><geom size="0.1"/></body></body></worldbody></mujoco>'
    )

    assert joint_index(model, "base") == 0
    with pytest.raises(ConfigError, match="unknown joint 'leg'; known joints: base"):
        joint_index(model, "leg")
