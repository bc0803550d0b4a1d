"""Trainings of a suite: which there are, that finished ones are skipped, and that one that fails does not stop the others."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.options import TrainSuiteOptions
from adaptive_mbrl.planning import ICEMConfig
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from sim.benchmark import train_suite as module
from sim.benchmark.suite import load_suite
from sim.benchmark.train_suite import TrainSuiteError, suite_runs, train_suite

PLANNER = ICEMConfig(horizon=5, num_samples=8, num_iterations=1, num_elites=3)
TINY = TrainConfig(
    scenarios="cartpole/mass_gain:train",
    model=ModelConfig(hidden=(8,), members=1, context_dim=2),
    outer=OuterConfig(query=3, meta_batch_size=4, validation_windows=8),
    planner=PLANNER,
    data=DataConfig(steps=20, random_episodes=2, oracle_episodes=0, iterations=1, episodes_per_iteration=2),
    updates_initial=2,
    updates_per_iteration=2,
    updates_final=2,
)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Two trainings of one configuration, and one that cannot work."""
    save_yaml(tmp_path / "fine.yaml", TINY)
    data = dataclasses.replace(TINY.data, episodes_from=tmp_path / "nothing")
    save_yaml(tmp_path / "broken.yaml", dataclasses.replace(TINY, data=data))
    (tmp_path / "suite.yaml").write_text(
        "protocols:\n  - name: p\n    scenarios: [cartpole/weak_motor]\n    methods:\n"
        "      - {name: fine, train: fine.yaml, seeds: [3, 4]}\n      - {name: broken, train: broken.yaml}\n"
    )
    return tmp_path / "suite.yaml"


def test_every_training_of_a_suite_is_there_once():
    runs = suite_runs(load_suite("full"), Path("r"))

    assert len(runs) == 8 * 4
    assert len({run.folder for run in runs}) == len(runs)
    assert runs[0].folder == Path("r/cartpole/seed_1")
    assert runs[0].log == Path("r/cartpole/seed_1.log")
    command = runs[0].command("cpu")
    assert command[:3] == [sys.executable, "-m", "adaptive_mbrl"]
    # the command is one that the command line knows
    options = cli.parse(command[3:])
    assert (options.config, options.seed, options.run, options.threads) == ("cartpole", 1, Path("r/cartpole/seed_1"), 1)


def test_finished_trainings_are_skipped_and_failed_ones_reported(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    runs = tmp_path / "runs"
    suite.write_text(suite.read_text().replace("[3, 4]", "[3]"))
    with pytest.raises(
        TrainSuiteError, match=r"1 of 2 trainings failed, the first was broken seed 0: error: .*nothing.*broken/seed_0.log"
    ):
        train_suite(TrainSuiteOptions(str(suite), runs, processes=2, device="cpu"))
    assert "broken seed 0: FAILED" in capsys.readouterr().err

    folder = runs / "fine" / "seed_3"
    assert load_checkpoint(folder / "checkpoint").description.provenance["updates"] == 6
    assert load_yaml(folder / "config.yaml", TrainConfig) == dataclasses.replace(TINY, seed=3)
    state = suite_runs(load_suite(suite), runs)[0].state()
    assert (state.rounds, state.expected) == (3, pytest.approx(state.seconds))
    assert "round" in (runs / "fine" / "seed_3.log").read_text()

    # again without the broken one: nothing is left to do
    suite.write_text("".join(line for line in suite.read_text().splitlines(keepends=True) if "broken" not in line))
    monkeypatch.setattr(module, "_train", lambda *_: pytest.fail("a finished training ran again"))
    train_suite(TrainSuiteOptions(str(suite), runs, processes=2, device="cpu"))
    assert "Trainings done: 1; compare them: adaptive-mbrl benchmark --suite" in capsys.readouterr().out

    # a finished run of another configuration is not taken for this one
    save_yaml(suite.parent / "fine.yaml", dataclasses.replace(TINY, updates_final=3))
    with pytest.raises(ConfigError, match=r"seed_3/config.yaml: this run was trained with another configuration"):
        train_suite(TrainSuiteOptions(str(suite), runs, device="cpu"))


def test_a_half_done_training_is_started_again_and_the_others_skipped(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    runs = suite_runs(load_suite(suite), tmp_path / "runs")
    shipped = load_checkpoint("cartpole").description
    for run in runs[:2]:
        save_yaml(run.folder / "rounds" / "000" / "checkpoint.yaml", shipped)
    shutil.copytree(runs[0].folder / "rounds" / "000", runs[0].folder / "checkpoint")
    started: list[str] = []
    monkeypatch.setattr(module, "_train", lambda run, device, note: started.append(run.label) or 1)
    for run in runs:
        run.log.parent.mkdir(parents=True, exist_ok=True)
        run.log.write_text("what went wrong\n")

    with pytest.raises(TrainSuiteError, match=r"2 of 3 trainings failed, the first was .*what went wrong"):
        train_suite(TrainSuiteOptions(str(suite), tmp_path / "runs", processes=1, device="cpu"))

    assert started == ["fine seed 4", "broken seed 0"]


def test_a_suite_of_given_checkpoints_has_nothing_to_train(capsys: pytest.CaptureFixture[str]):
    train_suite(TrainSuiteOptions("smoke"))

    assert "nothing to train" in capsys.readouterr().out
