"""Environments as robots: what their spaces are called, what their files may say, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import Channel
from sim.robot import load_robot, load_task
from sim.robot.config import ActionConfig
from sim.robot.environment import EnvironmentRobot, environment_robot
from sim.robot.spaces import channel_names, flat

PENDULUM = """
environment: gymnasium:Pendulum-v1
obs: [{name: cosine}, {name: sine}, {name: speed, unit: rad/s, kind: velocity}]
parameters: {mass: {low: 0.5, high: 2.0, attribute: m}}
"""
PYTHON = """
import gymnasium
from helper_beside import NAMES
from sim.robot.environment import environment_robot

robot = environment_robot(lambda **options: gymnasium.make("Pendulum-v1", **options), NAMES)
"""


class Spaces(gymnasium.Env):
    """An environment that is nothing but its spaces."""

    def __init__(self, observation: spaces.Space, action: spaces.Space, dt: float | None = 0.1):
        self.observation_space, self.action_space = observation, action
        self.metadata = {"render_fps": 20}
        if dt is not None:
            self.dt = dt


def box(*shape: int, **options) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, shape, **options)


def written(folder: Path, text: str, name: str = "pendulum.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_file_gives_channels_limits_and_control_period(tmp_path: Path):
    robot = load_task(written(tmp_path, PENDULUM))

    assert isinstance(robot, EnvironmentRobot)
    assert robot.spec.obs[2] == Channel("speed", "rad/s", "velocity")
    assert (robot.spec.dt, robot.spec.action[0].low, robot.spec.action[0].high) == (0.05, -2.0, 2.0)
    assert robot.objective is None
    assert robot.nominal == {"mass": 1.0}
    assert robot.learns_termination


def test_a_python_file_gives_its_robot_and_can_import_its_neighbours(tmp_path: Path):
    written(tmp_path, "NAMES = ['a', 'b', 'c']\n", "helper_beside.py")

    robot = load_task(written(tmp_path, PYTHON, "mine.py"))

    assert robot.spec.obs_names == ("a", "b", "c")
    assert robot.path == tmp_path / "mine.py"


def test_what_needs_a_mujoco_model_refuses_an_environment_and_runs_no_python(tmp_path: Path):
    python = written(tmp_path, "raise SystemExit('this ran')\n", "mine.py")
    for path in (python, written(tmp_path, PENDULUM)):
        with pytest.raises(ConfigError, match=r"is an environment.*allowed: a robot with 'mjcf'"):
            load_robot(path)


def test_the_entries_of_a_dict_are_flattened_with_their_names():
    space = spaces.Dict({"arm": spaces.Dict({"angle": box(2)}), "grid": box(1, 2), "height": box()})
    obs = {"arm": {"angle": np.array([1.0, 2.0])}, "grid": np.array([[3.0, 4.0]]), "height": np.array(5.0)}

    assert channel_names(space) == ("arm.angle[0]", "arm.angle[1]", "grid[0,0]", "grid[0,1]", "height")
    np.testing.assert_array_equal(flat(space, obs), np.array([1, 2, 3, 4, 5], dtype=np.float32))


def test_a_task_of_the_suite_has_the_names_of_its_entries(tmp_path: Path):
    robot = load_task(written(tmp_path, "environment: dm_control:walker/walk", "walker.yaml"))

    assert robot.spec.obs_names[:3] == ("height", "orientations[0]", "orientations[1]")
    assert robot.spec.dt == pytest.approx(0.025)
    assert "right_knee" in robot.elements.actuators


@pytest.mark.parametrize(
    ("observation", "action", "said"),
    [
        (
            spaces.Box(0, 255, (8, 8, 3), np.uint8),
            box(1),
            "key 'environment': its observation is an image of shape \\(8, 8, 3\\)",
        ),
        (spaces.Dict({"camera": spaces.Box(0, 255, (8, 8), np.uint8)}), box(1), "its observation 'camera' is an image"),
        (spaces.Discrete(3), box(1), "its observation is Discrete.*allowed: a Box"),
        (box(2), spaces.Discrete(3), "key 'environment': its actions are Discrete.*allowed: a Box of floats"),
        (box(2), spaces.Box(-np.inf, np.inf, (1,)), "'action_0' has no limits.*give 'low' and 'high'"),
    ],
)
def test_what_cannot_be_predicted_or_chosen_is_refused(observation: spaces.Space, action: spaces.Space, said: str):
    with pytest.raises(ConfigError, match=said) as error:
        environment_robot(lambda: Spaces(observation, action))
    assert "\n" not in str(error.value)


def test_without_a_control_period_the_message_says_what_it_may_be():
    with pytest.raises(ConfigError, match=r"key 'dt': missing.*so it may be 0\.05"):
        environment_robot(lambda: Spaces(box(2), box(1), dt=None))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("obs: [{name: a}]", "key 'obs': the environment observes 3 numbers \\(obs_0, obs_1, obs_2\\), got 1 channels"),
        ("actions: [{name: a}, {name: b}]", "key 'actions': the environment takes 1 numbers, got 2"),
        ("actions: [{name: a, high: 3}]", "'a': -2 to 3 is out of range; allowed: -2 to 2"),
        ("environment: gymnasium:Pendulun-v1", "cannot be made: .*Pendulun"),
        ("environment: Pendulum-v1", "'Pendulum-v1': unknown kind of environment; allowed: gymnasium:ID"),
        ("environment: dm_control:walker/wolk", "did you mean 'walker/walk'"),
        ("parameters: {mass: {low: 1, high: 2}}", "key 'parameters.mass': the environment has no attribute 'mass'"),
        ("parameters: {m: {low: 2, high: 1}}", "key 'parameters.m': low 2 is above high 1"),
        ("parameters: {m: {low: 2, high: 3}}", "key 'parameters.m': 2 to 3 leaves out 1, its value in the unchanged"),
        ("mjcf: a.xml", "unknown key 'mjcf'"),
        ("shaping: [{kind: action_quadratic}]", "key 'shaping': there is no 'objective'"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_it(tmp_path: Path, change: str, said: str):
    key = change.partition(":")[0]
    kept = "\n".join(line for line in PENDULUM.splitlines() if line and not line.startswith(key))
    path = written(tmp_path, f"{kept}\n{change}\n")

    with pytest.raises(ConfigError, match=said) as error:
        load_task(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_reward_terms_and_ranges_are_as_in_other_robots(tmp_path: Path):
    text = PENDULUM + "objective: [{kind: linear, channels: [cosine]}]\nhealthy: [{name: speed, low: -6, high: 6}]\n"

    robot = load_task(written(tmp_path, text))

    assert robot.objective is not None
    assert robot.spec.can_end
    assert not robot.learns_termination


def test_limits_of_a_float32_space_can_be_written_in_a_file():
    action = ActionConfig("push", low=-0.7, high=0.7)

    robot = environment_robot(lambda: Spaces(box(2), spaces.Box(-0.7, 0.7, (1,), np.float32)), actions=[action])

    assert (robot.spec.action[0].low, robot.spec.action[0].high) == (-0.7, 0.7)


@pytest.mark.parametrize("dt", [np.float32(0.25), np.array(0.25)])
def test_a_control_period_may_be_a_number_of_numpys(dt: float):
    assert environment_robot(lambda: Spaces(box(2), box(1), dt)).spec.dt == 0.25


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "import gymnasium\n\nrobot = gymnasium.maek('a')\n",
            "line 3: AttributeError: module 'gymnasium' has no attribute 'maek'",
        ),
        ("robot = 1\nrobot = (\n", "line 2: SyntaxError: '(' was never closed"),
        ("def make():\n    return 1 / 0\n\n\nrobot = make()\n", "line 2: ZeroDivisionError: division by zero"),
        ("import not_there\n", "line 1: ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_an_error_in_a_python_file_is_one_line_that_names_its_line(tmp_path: Path, text: str, said: str):
    path = written(tmp_path, text, "mine.py")

    with pytest.raises(ConfigError) as error:
        load_task(path)
    assert str(error.value) == f"{path}: {said}"
