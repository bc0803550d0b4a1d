"""docs/environments.md: its robots load, are trained, evaluated and collected with, and its table has every key."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.cli import main
from adaptive_mbrl.data.episodes import EpisodeStore
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.robot import load_task
from sim.robot.environment import EnvironmentRobot
from sim.robot.environment_config import EnvironmentConfig
from sim.scenarios import Change, Scenario, ScheduledChange, load_scenario
from sim.training.config import load_train_config

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples" / "environments"
FILES = dict(re.findall(r"```(?:yaml|python)\n# (\w+\.\w+)\n(.*?)```", PAGE, flags=re.S))
(CONTROL,) = re.findall(r"```python\n(import numpy.*?)```", PAGE, flags=re.S)
QUICK = (
    "model.hidden=[16]",
    "planner.icem={horizon: 4, num_samples: 8, num_iterations: 1, num_elites: 2, num_elites_kept: 1}",
    "outer.query=3",
    "outer.meta_batch_size=8",
    "outer.validation_windows=8",
    "data={steps: 20, random_episodes: 3, iterations: 1, episodes_per_iteration: 2}",
    "learned_reward.updates=20",
    "learned_termination.updates=5",
    "updates_initial=3",
    "updates_per_iteration=2",
    "updates_final=2",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        # as it stands there, but for shorter episodes
        (tmp_path / name).write_text(text.replace("steps: 200", "steps: 40").replace("at: 100", "at: 10"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> str:
    """Run a command that succeeds, and return what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(words)
    assert code == 0, (words, printed.getvalue())
    return printed.getvalue()


@pytest.mark.slow
def test_the_first_example_is_trained_resumed_evaluated_and_drives_a_controller(folder: Path):
    run("train", "--config", "train.yaml", "--run", "runs/pendulum", "--set", *QUICK)
    saved = load_checkpoint("runs/pendulum/checkpoint")
    assert saved.learned_reward is not None
    assert (folder / "runs" / "pendulum" / "robot.yaml").read_text() == FILES["pendulum.yaml"]
    stored = EpisodeStore.open(folder / "runs" / "pendulum" / "episodes", saved.description.spec)
    # gymnasium pays for the angle before the step, minus what the torque costs
    episode = stored.episodes[0]
    angle = np.arctan2(episode.obs[:-1, 1], episode.obs[:-1, 0])
    assert episode.reward.max() <= 0
    assert np.corrcoef(episode.reward, -(angle**2) - 0.1 * episode.obs[:-1, 2] ** 2)[0, 1] > 0.99

    table = run("evaluate", "--checkpoint", "runs/pendulum/checkpoint", "--scenario", "split.yaml:test", "--episodes", "1")
    assert "adaptive" in table
    assert "oracle" not in table.partition("arm")[2].partition("Intervals")[0].splitlines()[-2]
    printed = run_block(CONTROL)
    assert re.match(r"\[-?\d", printed)


def run_block(text: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, "docs/environments.md", "exec"), {})
    return printed.getvalue()


def test_the_python_robot_changes_as_its_function_says_and_can_be_collected_with(folder: Path):
    scenario = load_scenario("split_of_python.yaml:train").episode(0)  # type: ignore[union-attr]
    assert 0.8 <= scenario.change_in_force(0).parameters["length"] <= 1.2

    words = ("--scenario", "split_of_python.yaml:train", "--policy", "random", "--episodes", "2", "--out", "store")
    printed = run("collect", *words)

    assert "2 episodes, 80 steps" in printed
    robot = load_task("pendulum.py")
    assert isinstance(robot, EnvironmentRobot)
    env = robot.make()
    assert robot.set_dynamics is not None
    robot.set_dynamics(env, {"length": 0.7})
    assert (env.unwrapped.l, env.unwrapped.m) == (0.7, 1.4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train --config train.yaml --set data.oracle_episodes=2", "key 'data.oracle_episodes': the robot 'pendulum' is an"),
        ("train --config train.yaml --set data.branches_per_state=2", "key 'data.branches_per_state': the robot 'pendulum'"),
        (
            "collect --robot pendulum.yaml --policy oracle",
            "--policy oracle: it simulates its candidates from the robot's own state",
        ),
        ("collect --scenario bad.yaml --policy random", "key 'changes[0].body_mass': the robot 'pendulum' has no MuJoCo model"),
    ],
)
def test_what_an_environment_cannot_do_is_one_line(folder: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]):
    (folder / "bad.yaml").write_text("robot: pendulum.yaml\nsteps: 9\nchanges: [{at: 1, body_mass: 2.0}]\n")

    assert main(words.split()) == 2

    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_the_table_has_every_key_and_its_defaults():
    table = PAGE.split("## Keys of the file")[1].split("| key | meaning | default |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = {line.split("|")[1].strip(" `"): line.split("|")[-2].strip() for line in table.splitlines()}

    fields = dataclasses.fields(EnvironmentConfig)
    assert list(rows) == [f.name for f in fields]
    assert [name for name, default in rows.items() if default == "required"] == ["environment"]


def test_the_examples_load():
    load_task(EXAMPLES / "pendulum.yaml")
    for part in ("train", "test"):
        load_scenario(f"{EXAMPLES / 'pendulum_split.yaml'}:{part}")
    adaptive, plain = (load_train_config(EXAMPLES / f"pendulum_{name}.yaml") for name in ("train", "multitask"))
    same = ("model", "window", "planner", "outer", "updates_final")
    assert [getattr(adaptive, key) for key in same] == [getattr(plain, key) for key in same]
    before_the_last_round = adaptive.updates_initial + adaptive.data.iterations * adaptive.updates_per_iteration
    assert plain.updates_initial == before_the_last_round


@pytest.mark.slow
def test_an_arm_of_metaworld_is_a_robot(tmp_path: Path):
    pytest.importorskip("metaworld")
    robot = load_task(EXAMPLES / "metaworld_reach.yaml")
    assert (robot.spec.obs_dim, robot.spec.action_dim, robot.spec.dt) == (39, 4, 0.0125)
    course = Scenario("arm", 6, 3, (ScheduledChange(2, Change(action_gain=0.5, body_mass={"hand": 2.0})),))

    recorded = run_scenarios(robot, [course, course], RandomPolicy(robot.spec, 0, 6), source="random")

    first, second = recorded.episodes
    assert (first.reward > 0).all()
    assert (first.reward != second.reward).any()
    np.testing.assert_array_equal(first.obs[0], second.obs[0])


def test_the_page_is_linked():
    for document in ("README.md", "docs/architecture.md"):
        assert "environments.md" in (ROOT / document).read_text(encoding="utf-8")
