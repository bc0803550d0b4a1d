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
from adaptive_mbrl.progress import Progress
from adaptive_mbrl.training import side_by_side as module
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from adaptive_mbrl.training.job import Job
from adaptive_mbrl.training.side_by_side import run_jobs
from sim.benchmark.suite import load_suite
from sim.benchmark.train_suite import DEFAULT_RUNS, TrainSuiteError, suite_jobs, train_suite
from sim.training.config import load_train_config

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
    suite = load_suite("full")
    runs = suite_jobs(suite, Path("r"), "cpu")

    trained = {(m.train, seed) for protocol in suite.protocols for m in protocol.methods if m.train for seed in m.seeds}
    assert {(run.kind, run.config.seed) for run in runs} == trained
    assert len({run.folder for run in runs}) == len(runs) == len(trained) > 50
    assert runs[0].folder == Path("r/half_cheetah/seed_1")
    assert runs[0].log == Path("r/half_cheetah/seed_1.log")
    command = runs[0].command
    assert command[:3] == (sys.executable, "-m", "adaptive_mbrl")
    # the command is one that the command line knows
    options = cli.parse(command[3:])
    assert (options.config, options.run, options.threads) == ("half_cheetah", Path("r/half_cheetah/seed_1"), 1)
    assert options.set == ("seed=1",)


def test_a_multi_task_run_takes_the_data_of_the_same_seed_and_comes_after_it():
    runs = suite_jobs(load_suite("full"), Path("r"))

    folders = [run.folder for run in runs]
    run = next(run for run in runs if run.folder == Path("r/quadrotor_multitask/seed_3"))
    assert run.source == Path("r/quadrotor/seed_3")
    assert cli.parse(run.command[3:]).set == ("seed=3", "data.episodes_from=r/quadrotor/seed_3")
    for run in runs:
        assert run.source is None or run.folder.parent.name == f"{run.source.parent.name}_multitask"
        assert run.source is None or folders.index(run.source) < folders.index(run.folder)


@pytest.fixture
def dependent(tmp_path: Path) -> Path:
    """A training, one that takes its episodes, and one of a seed whose episodes the suite does not make."""
    save_yaml(tmp_path / "fine.yaml", TINY)
    data = dataclasses.replace(TINY.data, episodes_from=DEFAULT_RUNS / "fine", iterations=0)
    save_yaml(tmp_path / "after.yaml", dataclasses.replace(TINY, data=data))
    (tmp_path / "suite.yaml").write_text(
        "protocols:\n  - name: p\n    scenarios: [cartpole/weak_motor]\n    methods:\n"
        "      - {name: after, train: after.yaml, seeds: [3, 4]}\n      - {name: fine, train: fine.yaml, seeds: [3]}\n"
    )
    return tmp_path / "suite.yaml"


def finished(run: Job) -> None:
    save_yaml(run.folder / "checkpoint" / "checkpoint.yaml", load_checkpoint("cartpole").description)
    save_yaml(run.folder / "rounds" / "000" / "checkpoint.yaml", load_checkpoint("cartpole").description)


@pytest.mark.parametrize("processes", [1, 3])
def test_a_run_starts_when_its_source_is_done(dependent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int):
    runs = suite_jobs(load_suite(dependent), tmp_path / "runs")
    ended: list[str] = []

    def train(run: Job, threads: object, note: object) -> int:
        assert run.source is None or "fine seed 3" in ended
        finished(run)
        ended.append(run.label)
        return 0

    monkeypatch.setattr(module, "_train", train)

    # no run of the suite makes the episodes of seed 4, so those that its configuration names are taken
    assert {run.label: run.source for run in runs} == {
        "fine seed 3": None,
        "after seed 3": tmp_path / "runs" / "fine" / "seed_3",
        "after seed 4": None,
    }
    assert run_jobs(runs, processes, Progress(lambda line: None)) == {}
    assert set(ended) == {"fine seed 3", "after seed 3", "after seed 4"}


def test_a_run_whose_source_failed_is_not_started(dependent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    runs = [run for run in suite_jobs(load_suite(dependent), tmp_path / "runs") if run.config.seed == 3]
    started: list[str] = []

    def failing(run: Job, threads: object, note: object) -> int:
        started.append(run.label)
        run.log.parent.mkdir(parents=True)
        run.log.write_text("what went wrong\n")
        return 1

    monkeypatch.setattr(module, "_train", failing)

    failed = run_jobs(runs, 2, Progress(lambda line: None))

    assert started == ["fine seed 3"]
    assert failed["fine seed 3"].startswith("what went wrong (see ")
    assert failed["after seed 3"] == "not started, because it takes the episodes of fine seed 3, which is not done"


def test_a_run_that_was_trained_on_another_seeds_episodes_is_refused(dependent: Path, tmp_path: Path):
    run = next(run for run in suite_jobs(load_suite(dependent), tmp_path / "runs") if run.source is not None)
    save_yaml(run.folder / "config.yaml", load_train_config(run.kind, ["seed=3"]))

    with pytest.raises(ConfigError, match=r"with --set seed=3 data.episodes_from=.*fine/seed_3; delete it"):
        train_suite(TrainSuiteOptions(str(dependent), tmp_path / "runs", device="cpu"))


def test_the_time_left_does_not_count_what_a_finished_training_took():
    progress = Progress(lambda line: None)
    progress.begin(["a", "a"], 1)
    progress.under_way({"a": 100.0}, {"first": 90.0}, "first: round 9 of 10 is done")
    assert progress.seconds_left() == pytest.approx(110.0)

    progress.done("a", "first", 100.0)

    assert progress.seconds_left() == pytest.approx(100.0)


@pytest.mark.slow
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
    state = suite_jobs(load_suite(suite), runs)[0].state()
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
    runs = suite_jobs(load_suite(suite), tmp_path / "runs")
    shipped = load_checkpoint("cartpole").description
    for run in runs[:2]:
        save_yaml(run.folder / "rounds" / "000" / "checkpoint.yaml", shipped)
    shutil.copytree(runs[0].folder / "rounds" / "000", runs[0].folder / "checkpoint")
    started: list[str] = []
    monkeypatch.setattr(module, "_train", lambda run, threads, note: started.append(run.label) or 1)
    for run in runs:
        run.log.parent.mkdir(parents=True, exist_ok=True)
        run.log.write_text("what went wrong\n")

    with pytest.raises(TrainSuiteError, match=r"2 of 3 trainings failed, the first was .*what went wrong"):
        train_suite(TrainSuiteOptions(str(suite), tmp_path / "runs", processes=1, device="cpu"))

    assert started == ["fine seed 4", "broken seed 0"]


def test_a_suite_of_given_checkpoints_has_nothing_to_train(capsys: pytest.CaptureFixture[str]):
    train_suite(TrainSuiteOptions("smoke"))

    assert "nothing to train" in capsys.readouterr().out
