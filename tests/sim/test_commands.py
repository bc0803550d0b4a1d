"""The sub-commands, from their options or from the shell."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.stored_objective import load_objective
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.planning import ICEMConfig
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from sim import commands
from sim.demo import run_demo
from sim.evaluation import drawing_process
from sim.robot.robot import load_robot
from tests.bridge.waiting import wait_until
from tests.sim.test_train import interrupt_call

MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def train_config(tmp_path: Path) -> Path:
    """As small as a training gets; more rounds than anyone waits for."""
    planner = ICEMConfig(horizon=5, num_samples=8, num_iterations=1, num_elites=3)
    config = TrainConfig(
        scenarios=str(tmp_path / "split.yaml") + ":train",
        model=ModelConfig(hidden=(8,), members=1, context_dim=2),
        outer=OuterConfig(query=3, meta_batch_size=4, validation_windows=8),
        planner=planner,
        data=DataConfig(steps=20, random_episodes=2, iterations=500, episodes_per_iteration=2),
        updates_initial=1,
        updates_per_iteration=1,
        updates_final=1,
    )
    (tmp_path / "split.yaml").write_text("robot: cartpole\nsteps: 20\ntrain: {}\n")
    save_yaml(tmp_path / "tiny.yaml", config)
    return tmp_path / "tiny.yaml"


def test_ctrl_c_in_training_leaves_a_run_that_resumes(
    train_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    words = ["train", "--config", str(train_config), "--run", str(run), "--no-report"]
    process = subprocess.Popen(
        [sys.executable, "-m", "adaptive_mbrl", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        wait_until(lambda: process.poll() is not None or (run / "rounds" / "001").exists())
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    before = sorted(p.name for p in (run / "rounds").iterdir() if p.name.isdigit())
    first_round = (run / "rounds" / "000" / "weights.safetensors").read_bytes()

    assert process.returncode == 130
    line = errors.strip().splitlines()[-1]
    assert line.startswith("interrupted; what is done is kept, go on with: adaptive-mbrl train --config ")
    assert line.endswith(f"--run {run} --no-report")

    # each round has one update
    interrupt_call(monkeypatch, MetaTrainer, "step", 3)
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip().splitlines()[-1].partition(";")[0] == "interrupted"
    assert len(sorted(p.name for p in (run / "rounds").iterdir() if p.name.isdigit())) >= len(before) + 2
    assert (run / "rounds" / "000" / "weights.safetensors").read_bytes() == first_round
    assert not (run / "checkpoint").exists()


def test_a_full_disk_is_one_line_that_says_how_to_go_on(
    train_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    run = tmp_path / "run"

    assert cli.main(["train", "--config", str(train_config), "--run", str(run), "--device", "cpu"]) == 2

    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {run}: No space left on device; what is done is kept, "
        f"go on with: adaptive-mbrl train --config {train_config} --run {run} --device cpu"
    )


def test_training_prints_where_the_checkpoint_is(train_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = load_yaml(train_config, TrainConfig)
    save_yaml(train_config, config.__class__(**{**vars(config), "data": DataConfig(steps=20, random_episodes=2, iterations=0)}))

    run = str(tmp_path / "run")
    assert cli.main(["train", "--config", str(train_config), "--run", run, "--device", "cpu", "--no-report"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Checkpoint: {tmp_path / 'run' / 'checkpoint'}"
    assert (tmp_path / "run" / "checkpoint" / "checkpoint.yaml").is_file()


def test_a_run_is_named_after_its_config(train_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Path] = []
    monkeypatch.setattr(commands, "train_with_collectors", lambda config, run, *others: asked.append(run))

    commands.train(TrainOptions(str(train_config)))

    assert asked == [Path("runs/train/tiny")]


def test_resume_needs_a_run(train_config: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"--resume: no run to go on with in .*nowhere"):
        commands.train(TrainOptions(str(train_config), run=tmp_path / "nowhere", resume=True))
    assert not (tmp_path / "nowhere").exists()


def test_evaluate_prints_a_table_and_writes_json(
    make_checkpoint: MakeCheckpoint, cartpole_scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--checkpoint", str(make_checkpoint(tmp_path / "meta")), "--scenario", str(cartpole_scenario)]
    out = tmp_path / "new" / "report.json"

    assert cli.main(["evaluate", *arguments, "--episodes", "2", "--json", str(out), "--device", "cpu"]) == 0

    printed = capsys.readouterr()
    assert "adaptive" in printed.out
    assert f"Written: {out}" in printed.out
    assert list(json.loads(out.read_text())["arms"]) == ["random", "adaptive", "frozen", "oracle"]


def test_json_that_cannot_be_written_is_found_out_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("not a folder")
    for target in (tmp_path, tmp_path / "file" / "report.json"):
        assert cli.main(["evaluate", "--checkpoint", "nowhere", "--scenario", "nowhere", "--json", str(target)]) == 2
        assert capsys.readouterr().err == (
            f"error: --json: {target} cannot be written; allowed: a file in a folder that you may write to\n"
        )
    assert (tmp_path / "file").read_text() == "not a folder"


def test_evaluating_another_robots_checkpoint_is_one_line_and_writes_nothing(
    make_checkpoint: MakeCheckpoint, cartpole_scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    checkpoint = make_checkpoint(tmp_path / "cheetah", robot="half_cheetah")
    arguments = ["--checkpoint", str(checkpoint), "--scenario", str(cartpole_scenario), "--json", str(tmp_path / "r.json")]

    assert cli.main(["evaluate", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "half_cheetah" in printed.err
    assert "cartpole" in printed.err
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("policy", ["random", "oracle", "checkpoint"])
def test_collect_appends_episodes(
    policy: str, make_checkpoint: MakeCheckpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    name = str(make_checkpoint(tmp_path / "meta")) if policy == "checkpoint" else policy
    arguments = ["collect", "--robot", "cartpole", "--policy", name, "--steps", "4", "--out", str(tmp_path / "data")]

    assert cli.main([*arguments, "--episodes", "2"]) == 0
    assert cli.main([*arguments, "--episodes", "1", "--seed", "7"]) == 0

    store = EpisodeStore.open(tmp_path / "data")
    assert [len(e) for e in store.episodes] == [4, 4, 4]
    assert [e.tags["scenario"]["seed"] for e in store.episodes] == [0, 1, 7]
    assert {e.tags["source"] for e in store.episodes} == {"policy" if policy == "checkpoint" else policy}
    assert all(np.isfinite(e.reward).all() for e in store.episodes)
    # a training on these episodes alone knows what they were rewarded for
    objective, robot = load_objective(tmp_path / "data", store.spec), load_robot("cartpole")
    assert objective is not None
    assert (objective.terms, objective.goal_names) == (robot.objective.terms, robot.objective.goal_names)
    assert capsys.readouterr().out.splitlines()[-1] == f"{tmp_path / 'data'}: 3 episodes, 12 steps"


def test_the_oracle_plans_as_the_given_training_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = tmp_path / "train.yaml"
    planner = "{horizon: 3, num_samples: 8, num_iterations: 1, num_elites: 4}"
    config.write_text(f"scenarios: cartpole/mass_gain:train\ndata: {{oracle_planner: {{icem: {planner}}}}}\n")
    arguments = ["collect", "--robot", "cartpole", "--policy", "oracle", "--steps", "2", "--out", str(tmp_path / "data")]

    assert cli.main([*arguments, "--episodes", "1", "--config", str(config)]) == 0
    assert f"The oracle simulated {2 * 3 * 8} steps" in capsys.readouterr().out


def test_a_config_for_other_policies_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["collect", "--robot", "cartpole", "--config", "cartpole", "--out", str(tmp_path / "data")]

    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("allowed: together with --policy oracle")


def test_collect_follows_a_scenario(cartpole_scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["collect", "--scenario", str(cartpole_scenario), "--episodes", "1", "--out", str(tmp_path / "data")]

    assert cli.main(arguments) == 0
    (episode,) = EpisodeStore.open(tmp_path / "data").episodes
    assert len(episode) == 30
    assert episode.tags["scenario"]["seed"] == 5
    assert episode.tags["scenario"]["changes"] == [{"at": 12, "actuator_gain": 0.3}]

    capsys.readouterr()
    assert cli.main([*arguments, "--steps", "12"]) == 2
    assert capsys.readouterr().err == (
        "error: --steps: 12 is too short for this scenario: changes: at 12 is out of range; allowed: 0 to 11\n"
    )


def unstable_split(folder: Path, alternatives: str) -> str:
    split = folder / "unstable.yaml"
    split.write_text(f"robot: cartpole\nsteps: 6\ntest:\n  initial: [{alternatives}]\n")
    return f"{split}:test"


ABSURD = "{external_force: {pole_1: [1e5, 0, 1e5]}, body_mass: 0.01, actuator_gain: 10}"


def test_collect_leaves_out_what_became_unstable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    scenario = unstable_split(tmp_path, "{}, " + ABSURD)

    assert cli.main(["collect", "--scenario", scenario, "--episodes", "4", "--out", str(tmp_path / "data")]) == 0

    store = EpisodeStore.open(tmp_path / "data")
    assert [len(e) for e in store.episodes] == [6, 6]
    assert not any(e.tags["scenario"]["changes"] for e in store.episodes)
    printed = capsys.readouterr()
    assert printed.err.count("left out of the collection: episode") == 2
    assert "2 episodes, 12 steps, mean return" in printed.out


def test_collect_without_a_stable_episode_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    scenario = unstable_split(tmp_path, ABSURD)

    assert cli.main(["collect", "--scenario", scenario, "--episodes", "2", "--out", str(tmp_path / "data")]) == 2

    assert capsys.readouterr().err.splitlines()[-1].endswith("nothing collected: the physics of all robots became unstable")
    assert EpisodeStore.open(tmp_path / "data").num_batches == 0


def test_collect_does_not_mix_robots(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["collect", "--episodes", "1", "--steps", "3", "--out", str(tmp_path)]
    assert cli.main([*arguments, "--robot", "cartpole"]) == 0
    capsys.readouterr()

    assert cli.main([*arguments, "--robot", "half_cheetah"]) == 2
    assert "another robot: name is cartpole; the robot here has half_cheetah" in capsys.readouterr().err
    assert len(EpisodeStore.open(tmp_path).episodes) == 1


def test_many_episodes_are_collected_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commands, "ROBOTS_SIDE_BY_SIDE", 2)

    assert cli.main(["collect", "--robot", "cartpole", "--episodes", "5", "--steps", "3", "--out", str(tmp_path)]) == 0

    store = EpisodeStore.open(tmp_path)
    assert store.num_batches == 3
    assert [e.tags["scenario"]["seed"] for e in store.episodes] == [0, 1, 2, 3, 4]
    assert len({e.action.tobytes() for e in store.episodes}) == 5


def test_the_demo_goes_on_without_a_renderer(
    make_checkpoint: MakeCheckpoint,
    cartpole_scenario: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(drawing_process, "available_renderers", list)
    out = tmp_path / "demo"

    run_demo(
        out,
        str(make_checkpoint(tmp_path / "meta")),
        video=True,
        seed=0,
        device=torch.device("cpu"),
        scenario=str(cartpole_scenario),
        multitask=str(make_checkpoint(tmp_path / "multitask", rule="none")),
    )

    printed = capsys.readouterr().out
    assert f"No video: {drawing_process.NO_RENDERER}" in printed
    assert "step 12: actuator gain 0.3" in printed
    assert sorted(p.name for p in out.iterdir()) == ["recovery.png", "report.json"]
    assert printed.splitlines()[-1] == f"Written: {out / 'report.json'}, {out / 'recovery.png'}"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_cannot_be_asked_for():
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="--device: cuda is not available here; allowed: auto, cpu"):
        resolve_device("cuda")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_refused(tmp_path: Path):
    tmp_path.chmod(0o500)

    with pytest.raises(ConfigError, match="cannot be written"):
        commands.require_writable("--json", tmp_path / "a" / "report.json")
