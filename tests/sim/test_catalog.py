"""`list` and `show`: what there is, read without the heavy packages where only names are wanted."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from adaptive_mbrl.adaptation import RuleConfig
from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.cli import main
from adaptive_mbrl.errors import EXIT_MISTAKE
from adaptive_mbrl.planning import PlannerConfig
from adaptive_mbrl.planning.learned_reward import LearnedReward, LearnedRewardConfig
from adaptive_mbrl.planning.learned_termination import LearnedTermination, LearnedTerminationConfig
from sim.catalog.entries import ENTRIES, names_of
from sim.catalog.words import change_in_words
from sim.paths import config_root, known_configs

ROOT = Path(__file__).resolve().parents[2]
PRETRAINED = ROOT / "adaptive_mbrl" / "pretrained"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == EXIT_MISTAKE
    return capsys.readouterr().err


def test_the_lists_have_every_name():
    found = {kind: list(entries()) for kind, entries in ENTRIES.items()}
    names = {kind: [entry.name for entry in entries] for kind, entries in found.items()}

    assert names == {kind: names_of(kind) for kind in ENTRIES}
    assert names["robots"] == list(known_configs("robots"))
    assert names["scenarios"] == list(known_configs("scenarios"))
    assert set(names["checkpoints"]) >= {folder.name for folder in PRETRAINED.iterdir() if folder.is_dir()}
    assert set(names["rules"]) == {config.TAG for config in typing.get_args(RuleConfig)}
    assert set(names["planners"]) == {config.TAG for config in typing.get_args(PlannerConfig)}
    assert all(entry.about for entries in found.values() for entry in entries)


def test_checkpoints_are_listed_where_commands_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By the examples of their help: a fine-tuned one, pulled ones, that of a training."""
    places = ["runs/tuned", "runs/pulled/walker", "runs/pulled/checkpoint", "runs/train/walker/checkpoint"]
    for place in places:
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(PRETRAINED / "cartpole" / "checkpoint.yaml", tmp_path / place)
    monkeypatch.chdir(tmp_path)

    assert sorted(name for name in names_of("checkpoints") if name.startswith("runs")) == sorted(places)


def test_list_loads_neither_torch_nor_mujoco():
    program = (
        "import sys\n"
        "from adaptive_mbrl.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "print('LOADED', *{n.split('.')[0] for n in sys.modules})\n"
        "sys.exit(code)"
    )

    result = subprocess.run([sys.executable, "-c", program, "list", "--json"], capture_output=True, text=True)

    printed, _, loaded = result.stdout.partition("LOADED")
    assert result.returncode == 0
    assert set(json.loads(printed)) == set(ENTRIES)
    assert {"torch", "mujoco", "numpy", "gymnasium"} & set(loaded.split()) == set()


def test_the_overview_names_everything(capsys: pytest.CaptureFixture[str]):
    words = shown(capsys, "list").replace(",", " ").split()

    assert {name for kind in ENTRIES for name in names_of(kind)} <= set(words)


@pytest.mark.parametrize("what", ENTRIES)
def test_lists_are_readable_in_a_pipe_and_by_scripts(what: str, capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, "list", what).splitlines()
    content = json.loads(shown(capsys, "list", what, "--json"))

    assert max(map(len, lines)) <= 100
    assert not any("\x1b" in line or line != line.rstrip() for line in lines)
    names = [entry["name"] for entry in content[what]]
    assert names == names_of(what)
    # a name is never folded, so that it can be copied
    assert all(any(line.startswith(name) for line in lines) for name in names)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("robot cartpole", ["pole_velocity", "rad/s", "dm_control:cartpole.xml", "0.04", "cosine", "pole_1"]),
        ("robot arm", ["uniform: goal_x 0.25 to 0.6", "again every 100 steps"]),
        ("hopper", ["when the robot is not healthy: height at least 0.7"]),
        ("half_cheetah/cadm_cripple", ["Part train", "actuator_gain of one of bthigh, bshin, bfoot, fthigh: 0", "Part test"]),
        ("quadrotor/anything:train", ["with probability 0.9 1 to 3 times between 5% and 95% of the episode", "50%"]),
        ("cartpole/demo", ["body_mass of pole_1: 2.5"]),
        (
            "checkpoint cartpole",
            ["context, then gradient", "cartpole/anything:train", "20,800", "oracle", "079ced9bbe50", "sound:"],
        ),
        ("icem", ["Pinneri et al. 2020", "num_elites_kept", "a number, 0.001 to 10", "planner: icem"]),
        ("rule gradient", ["arXiv 1803.11347", "per_tensor", "phi_{i+1} = phi_i"]),
        ("none", ["adaptation: none"]),
    ],
)
def test_show_tells_the_essentials(arguments: str, wanted: list[str], capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, "show", *arguments.split())

    assert [word for word in wanted if word not in text] == []
    assert max(map(len, text.splitlines())) <= 100


def every_name(kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(kind, name) for kind in kinds for name in names_of(f"{kind}s")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *every_name(("rule", "planner")),
        ("robot", "ant_cadm"),
        ("scenario", "pendulum/cadm"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in every_name(("robot", "scenario", "checkpoint"))),
    ],
)
def test_everything_can_be_shown(kind: str, name: str, capsys: pytest.CaptureFixture[str]):
    content = json.loads(shown(capsys, "show", kind, name, "--json"))

    assert content["name"] == name


def test_a_file_a_folder_and_a_run_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(PRETRAINED / "cartpole", tmp_path / "run" / "checkpoint")
    (tmp_path / "run" / "checkpoint" / "README.md").write_text("# My card\n")
    robot = str(config_root() / "robots" / "cartpole.yaml")

    assert json.loads(shown(capsys, "show", robot, "--json"))["kind"] == "robot"
    by_run = json.loads(shown(capsys, "show", str(tmp_path / "run"), "--json"))
    assert by_run["folder"] == str(tmp_path / "run" / "checkpoint")
    assert by_run["Card"] == "# My card"
    assert by_run["env steps"] == 20800


def test_a_damaged_canary_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("checkpoint.yaml", "canary.safetensors"):
        shutil.copy(PRETRAINED / "cartpole" / name, tmp_path)
    weights = load_file(PRETRAINED / "cartpole" / "weights.safetensors")
    changed = next(name for name in weights if name.endswith("target_mean"))
    save_file(weights | {changed: weights[changed] + 1}, tmp_path / "weights.safetensors")

    assert "damaged: predictions differ" in shown(capsys, "show", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("cartpole", "'cartpole' is a robot and a checkpoint; say 'show robot cartpole' or 'show checkpoint cartpole'"),
        ("gradient", "'gradient' is a rule and a planner; say 'show rule gradient' or 'show planner gradient'"),
        ("half_cheeta", "nothing is called 'half_cheeta' (did you mean 'half_cheetah'?)"),
        ("robt cartpole", "unknown kind 'robt' (did you mean 'robot'?); allowed: robot, scenario, checkpoint, rule, planner"),
        ("rule", "show: which rule? 'adaptive-mbrl list rules' gives the names"),
        ("rule gradeint", "unknown rule 'gradeint' (did you mean 'gradient'?)"),
        ("nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("configs/train/cartpole.yaml", "is a training; allowed: a robot, a scenario or a split"),
        ("cartpole/mass_gain:tets", "this split has the parts"),
        ("tests", "not a checkpoint"),
        ("", "show: got 0 names"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    arguments: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    error = refused(capsys, "show", *arguments.split())

    assert line in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "nothing: the nominal robot"),
        (
            {"actuator_gain": {"each": ["a", "b"], "value": {"uniform": [0, 1]}}},
            "actuator_gain of each of a, b (drawn apart): 0 to 1",
        ),
        ({"damping": {"same": ["a"], "inverse": ["b"], "value": 2}}, "damping of all of a alike: 2 (1 / value for b)"),
        (
            {"body_mass": {"a": 2, "b": {"choice": [1, 2, 3]}}, "action_delay": 1},
            "body_mass of a: 2; body_mass of b: 1, 2 or 3; action_delay: 1",
        ),
        ({"external_force": {"a": [{"uniform": [-1, 1]}, 0, 0]}}, "external_force of a: [-1 to 1, 0, 0]"),
        ({"slope_deg": {"choice": [{"uniform": [-2, -1]}, 3]}}, "slope_deg: -2 to -1 or 3"),
    ],
)
def test_changes_in_words(change: dict, words: str):
    assert change_in_words(change) == words


def test_the_card_of_an_environment_says_where_it_comes_from_and_what_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    text = "# A pendulum.\nenvironment: gymnasium:Pendulum-v1\nparameters: {m: {low: 0.5, high: 2}}\n"
    Path("pendulum.yaml").write_text(text, encoding="utf-8")
    code = (
        '"""Mine."""\nimport gymnasium\nfrom sim.robot.environment import environment_robot\n'
        'robot = environment_robot(lambda **o: gymnasium.make("Pendulum-v1", **o), name="mine")\n'
    )
    Path("mine.py").write_text(code, encoding="utf-8")

    card = json.loads(shown(capsys, "show", "pendulum.yaml", "--json"))
    assert card["about"] == "A pendulum."
    assert card["environment"] == "gymnasium:Pendulum-v1"
    assert card["reward"] == "learned from what the environment pays"
    assert card["Parameters that scenarios can change"] == [{"parameter": "m", "low": 0.5, "high": 2, "usual": 1.0}]
    assert [row["channel"] for row in card["Observation"]] == ["obs_0", "obs_1", "obs_2"]
    assert "made by the variable 'robot' of mine.py" in shown(capsys, "show", "robot", "mine.py")
    assert "ok environment   mine.py" in shown(capsys, "validate", "mine.py")
    Path("mine.py").write_text("robot = 1 / 0\n", encoding="utf-8")
    assert refused(capsys, "show", "mine.py") == "error: mine.py: line 1: ZeroDivisionError: division by zero\n"


def test_a_learned_reward_is_told_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    whole = load_checkpoint("cartpole")
    spec, reward = whole.description.spec, LearnedRewardConfig(hidden=(4,))
    about = dataclasses.replace(
        whole.description, terms=(), learned_reward=reward, learned_termination=LearnedTerminationConfig()
    )
    learned, ends = LearnedReward(spec, reward), LearnedTermination(spec, LearnedTerminationConfig())
    made = Checkpoint(about, whole.adapter, learned_reward=learned, learned_termination=ends)
    save_checkpoint(tmp_path / "made", made)

    card = json.loads(shown(capsys, "show", str(tmp_path / "made"), "--json"))

    assert card["objective"] == "learned from the rewards of episodes"
    assert card["termination"] == "learned: no episode has ended"
    networks = (whole.adapter, learned, ends)
    assert card["parameters"] == sum(tensor.numel() for network in networks for tensor in network.parameters())
