"""Training from recorded episodes alone: no simulator is there, and nothing is asked for that is not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.training.rounds import RoundRecord
from sim.robot.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_PHYSICS = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"mujoco", "mjbatch", "dm_control", "gymnasium", "sim"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
from adaptive_mbrl.cli import main
sys.exit(main(sys.argv[1:]))
"""
SMALL = {
    "model": {"hidden": [8], "members": 2},
    "window": 4,
    "outer": {"query": 2, "meta_batch_size": 8},
    "updates_initial": 3,
    "updates_final": 2,
}
OBJECTIVE = [{"kind": "cosine", "channels": ["pole_angle"]}, {"kind": "action_quadratic", "weight": 0.01}]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of a robot with the cart-pole's channels, as `import-bag` writes them."""
    folder, spec, rng = tmp_path_factory.mktemp("recorded"), load_robot("cartpole").spec, np.random.default_rng(0)
    episodes = [
        Episode(
            rng.normal(size=(31, spec.obs_dim)).astype(np.float32),
            rng.uniform(-1, 1, size=(30, spec.action_dim)).astype(np.float32),
            np.zeros(30, np.float32),
            {"source": "bag"},
        )
        for _ in range(3)
    ]
    EpisodeStore.open(folder, spec).append(episodes)
    return folder


def config_file(folder: Path, episodes: Path | None, **settings: object) -> Path:
    data = {"iterations": 0} | ({} if episodes is None else {"episodes_from": str(episodes)})
    path = folder / "logs.yaml"
    path.write_text(yaml.safe_dump({"data": data, **SMALL, **settings}))
    return path


def train(path: Path, *flags: str) -> int:
    run = str(path.parent / "run")
    return cli.main(["train", "--config", str(path), "--run", run, "--device", "cpu", "--no-report", *flags])


def error_of(capsys: pytest.CaptureFixture[str], path: Path, *flags: str) -> str:
    assert train(path, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_it_runs_where_there_is_no_simulator(recorded: Path, tmp_path: Path):
    path = config_file(tmp_path, recorded, objective=OBJECTIVE, value={"sweeps": 1, "updates": 2})
    flags = ["train", "--config", str(path), "--run", str(tmp_path / "run"), "--device", "cpu", "--no-report"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PHYSICS, *flags], capture_output=True, text=True, env=environment, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"Checkpoint: {tmp_path / 'run' / 'checkpoint'}\n")
    about = load_checkpoint(tmp_path / "run" / "checkpoint").description
    assert about.spec == load_robot("cartpole").spec
    assert [term.kind for term in about.terms] == ["cosine", "action_quadratic"]
    assert about.value is not None
    # so an evaluation in simulation plans without shaping terms, which the value was not fitted to
    assert not about.shaping
    record = load_yaml(tmp_path / "run" / "rounds" / "001" / "round.yaml", RoundRecord)
    assert (record.env_steps, record.oracle_steps, record.updates) == (90, 0, 5)


def test_the_same_training_with_scenarios_gives_the_same_weights(recorded: Path, tmp_path: Path):
    """What is trained does not depend on who starts it."""
    ends = {}
    for name, more in (("alone", {}), ("sim", {"scenarios": "cartpole/mass_gain:train"})):
        (tmp_path / name).mkdir()
        path = config_file(tmp_path / name, recorded, **more)
        assert train(path) == 0
        ends[name] = (tmp_path / name / "run" / "checkpoint" / "weights.safetensors").read_bytes()
    assert ends["alone"] == ends["sim"]


def test_a_checkpoint_without_an_objective_says_what_it_is_good_for(recorded: Path, tmp_path: Path):
    path = config_file(tmp_path, recorded)
    assert train(path) == 0
    checkpoint, robot = tmp_path / "run" / "checkpoint", load_robot("cartpole")

    with pytest.raises(
        ConfigError, match=r"checkpoint: this checkpoint of .* has no objective, .*; allowed: evaluate it in simulation"
    ):
        AdaptiveController.load(checkpoint)
    controller = AdaptiveController.load(checkpoint, objective=robot.objective)
    assert np.isfinite(controller.step(np.zeros(robot.spec.obs_dim)).action).all()

    tune = ["fine-tune", str(checkpoint), "--episodes", str(recorded), "--out", str(tmp_path / "tuned")]
    assert cli.main([*tune, "--updates", "2", "--query", "2", "--device", "cpu"]) == 0
    assert load_checkpoint(tmp_path / "tuned").description.terms == ()


def test_a_checkpoint_without_an_objective_is_evaluated_under_the_robots(
    recorded: Path, tmp_path: Path, cartpole_scenario: Path, capsys: pytest.CaptureFixture[str]
):
    assert train(config_file(tmp_path, recorded)) == 0
    ask = ["evaluate", "--checkpoint", str(tmp_path / "run" / "checkpoint"), "--scenario", str(cartpole_scenario)]
    assert cli.main([*ask, "--episodes", "1", "--no-oracle", "--device", "cpu"]) == 0
    assert "adaptive" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": [{"kind": "linear", "channels": ["wing"]}]}, "reward term 'linear': unknown channel 'wing'"),
        ({"value": {}}, "key 'value': there is no reward to fit it to; allowed: give 'objective', or leave 'value' out"),
        (
            {"objective": [{"kind": "linear", "channels": ["pole_angle"], "goal": ["where"]}]},
            "key 'objective': unknown goal 'where'",
        ),
        ({"goal_names": ["where"]}, "key 'goal_names': there is no 'objective' with a term that could aim at them"),
        ({"resets": {"rounds": [1, 2]}}, "key 'resets.rounds': 2 is beyond the last round; allowed: 1 to 1"),
    ],
)
def test_what_does_not_fit_is_one_line_and_begins_no_run(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, object], message: str
):
    path = config_file(tmp_path, recorded, **settings)
    assert message in error_of(capsys, path)
    assert str(path) in error_of(capsys, path)
    assert not (tmp_path / "run").exists()


def test_neither_scenarios_nor_episodes_is_refused_with_both_ways_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = error_of(capsys, config_file(tmp_path, None))
    assert "key 'scenarios': missing; allowed: a split's part, such as cartpole/mass_gain:train, or data.episodes_from" in line


def test_an_objective_beside_scenarios_is_refused(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = config_file(tmp_path, recorded, objective=OBJECTIVE, scenarios="cartpole/mass_gain:train")
    assert "key 'objective': the robot of 'scenarios' has one in its file" in error_of(capsys, path)


def test_settings_decide_too_who_trains(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = config_file(tmp_path, recorded)
    line = error_of(capsys, path, "--set", "scenarios=nowhere/at_all:train")
    assert "unknown scenario 'nowhere/at_all'" in line


def test_a_shipped_configuration_without_its_scenarios_trains_on_episodes_alone(recorded: Path, tmp_path: Path):
    small = ["model.hidden=[8]", "model.members=2", "window=4", "outer.query=2", "outer.meta_batch_size=8"]
    rounds = ["data.iterations=0", "updates_initial=3", "updates_final=2"]
    settings = ["scenarios=null", f"data.episodes_from={recorded}", *small, *rounds]

    run = str(tmp_path / "run")
    asked = ["train", "--config", "cartpole", "--run", run, "--device", "cpu", "--no-report", "--set", *settings]

    assert cli.main(asked) == 0
    about = load_checkpoint(tmp_path / "run" / "checkpoint").description
    assert about.provenance["scenarios"] == f"episodes of {recorded}"
