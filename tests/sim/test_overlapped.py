"""A training with collectors in processes of their own: what it leaves, and whatever is killed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.published import KEPT
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.seen import Seen, seen_by
from sim.training import collectors
from sim.training.collecting import collect_part
from sim.training.collectors import CollectorError, Outcome
from sim.training.local_engine import LocalEngine
from sim.training.overlapped import OverlappedTraining, train_with_collectors
from sim.training.parts import Part
from sim.training.train import open_training, train
from tests.bridge.waiting import PATIENCE, wait_until
from tests.core.together import ThreadProcess, together
from tests.sim.test_train import CPU, ROUNDS, TINY, Interruption, assert_same_end, interrupt_call, readable_rounds

ROOT = Path(__file__).resolve().parents[2]
SLOW_EPISODES = dataclasses.replace(
    TINY, data=dataclasses.replace(TINY.data, steps=40, iterations=1, episodes_per_iteration=4), updates_final=1
)
"""Long enough for a collector to be killed in mid-work."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run with one collector that nothing interrupted, and what it printed; do not change it."""
    run = tmp_path_factory.mktemp("overlapped") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train_with_collectors(TINY, run, collectors=1)
    return run, printed.getvalue()


@pytest.fixture(scope="module")
def overlapped(said: tuple[Path, str]) -> Path:
    return said[0]


def collecting_here(run: Path) -> None:
    """A training without processes of their own for collectors, which would collect the same."""
    with open_training(TINY, run, CPU, kind=functools.partial(OverlappedTraining, num=0, engine="local")) as training:
        training.run()


class EngineHere:
    """Collectors that take turns in a thread of this process; what they collect is the same.

    Args:
        training: whose collectors they are.
    """

    def __init__(self, training: OverlappedTraining) -> None:
        self._training = training
        self._ended: queue.Queue[Outcome] = queue.Queue()

    def start(self, collector: int) -> None:
        pass

    def collect(self, collector: int, part: Part, checkpoint: Path) -> None:
        training = self._training
        collected = collect_part(training.config, training.robot, training.distribution, part, checkpoint, training.dump_folder)
        EpisodeStore(training.spec, training.folder / "episodes").append(*collected)
        self._ended.put(Outcome(collector))

    def outcomes(self, seconds: float) -> list[Outcome]:
        try:
            return [self._ended.get(timeout=seconds)]
        except queue.Empty:
            return []

    def close(self) -> None:
        pass


@pytest.fixture
def engine_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OverlappedTraining, "_make_engine", lambda training: EngineHere(training))


def records(run: Path) -> list[RoundRecord]:
    return [load_yaml(folder / "round.yaml", RoundRecord) for folder in sorted((run / "rounds").glob("[0-9]*"))]


def processes_of(run: Path) -> list[int]:
    """The collectors of a run that are alive."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"sim.training.collector_process" in words and str(run).encode() in words and state != "Z":
            found.append(int(folder.name))
    return found


def test_episodes_are_fitted_to_one_round_after_they_were_collected_for(overlapped: Path):
    assert [seen_by(overlapped, i) for i in range(ROUNDS)] == [Seen(1, (-1,)), Seen(1), Seen(2, (3,)), Seen(3, (3,))]
    found = records(overlapped)
    assert [r.batches for r in found] == [1, 1, 2, 3]
    assert [r.scalars.get("collect/staleness") for r in found] == [None, None, 3.0, 3.0]
    assert "collect/return" in found[2].scalars
    abouts = EpisodeStore.open(overlapped / "episodes").abouts
    assert [about.get("updates") for about in abouts] == [None, 3, 6]
    assert [about.get("part") for about in abouts[1:]] == [{"iteration": i, "first": 0, "num": 3} for i in (1, 2)]


def test_it_has_the_budget_of_a_training_that_alternates(overlapped: Path):
    last = records(overlapped)[-1]

    assert last.env_steps == (3 + 2 + 2 * 3) * 12
    assert last.updates == 3 + 3 + 3 + 2


def test_the_line_of_a_round_says_how_fast_was_collected_and_how_long_the_rest_takes(said: tuple[Path, str]):
    lines = [line for line in said[1].splitlines() if line.startswith("round ")]
    # nothing is new in round 1, and no controller has collected before round 2
    assert ["env steps/s" in line for line in lines] == [True, False, True, True]
    assert ["left" in line for line in lines] == [False, False, True, False]


def test_the_newest_checkpoints_are_published_and_the_link_points_to_the_last(overlapped: Path):
    published = overlapped / "published"

    assert sorted(p.name for p in published.iterdir()) == ["000006", "000009", "000011", "newest"]
    assert len(list(published.glob("0*"))) == KEPT
    assert (published / "newest").resolve().name == "000011"
    ours, theirs = (load_file(p / "weights.safetensors") for p in (published / "newest", overlapped / "checkpoint"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not (published / "newest" / "trainer.safetensors").exists()


def test_one_collector_draws_the_scenarios_of_a_training_that_alternates(overlapped: Path, tmp_path: Path):
    train(TINY, tmp_path / "run")

    ours, theirs = (EpisodeStore.open(run / "episodes").episodes for run in (overlapped, tmp_path / "run"))
    assert [e.tags["scenario"] for e in ours] == [e.tags["scenario"] for e in theirs]
    # the first iteration is collected with the same checkpoint; the next ones are not
    first = [e for e in theirs if e.batch == 1]
    for a, b in zip([e for e in ours if e.batch == 1], first, strict=True):
        assert np.array_equal(a.action, b.action)


def test_processes_that_train_together_see_the_same_batches(tmp_path: Path, engine_here: None):
    """Only the main one has collectors."""
    run, seen = tmp_path / "run", {}

    def half_of_a_training(process: ThreadProcess) -> None:
        kind = functools.partial(OverlappedTraining, num=1, engine="local")
        with open_training(TINY, run, CPU, Execution(process), kind) as training:
            training.run()
            seen[process.rank] = training.store.num_batches, training.adapter.state_dict()

    together(2, half_of_a_training)

    (ours, weights), (theirs, other_weights) = seen[0], seen[1]
    assert ours == theirs == 3
    assert all(torch.equal(tensor, other_weights[name]) for name, tensor in weights.items())
    assert records(run)[-1].env_steps == (3 + 2 + 2 * 3) * 12


MOMENTS = {
    "fitting in round 1": (MetaTrainer, "step", 3 + 2),
    "validating in round 1": (MetaTrainer, "validate", 2),
    "fitting in round 2": (MetaTrainer, "step", 2 * 3 + 2),
}


@pytest.mark.parametrize(
    "moment", [pytest.param(m, id=i, marks=() if i == "fitting in round 2" else pytest.mark.slow) for i, m in MOMENTS.items()]
)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(tmp_path: Path, overlapped: Path, moment: tuple):
    """The interruption ends its collector; what is left is collected in this process."""
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_call(patch, *moment)
        with pytest.raises(Interruption):
            train_with_collectors(TINY, run, collectors=1)
    assert processes_of(run) == []

    collecting_here(run)

    assert_same_end(run, overlapped)


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_a_run_goes_on_with_another_number_of_collectors(tmp_path: Path, engine_here: None, before: int, after: int):
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_call(patch, MetaTrainer, "step", 3 + 2)
        with pytest.raises(Interruption):
            train_with_collectors(TINY, run, collectors=before)

    train_with_collectors(TINY, run, collectors=after)

    store = EpisodeStore.open(run / "episodes")
    policy = [e for e in store.episodes if e.tags["source"] == "policy"]
    assert len(policy) == 2 * 3
    assert len({e.tags["scenario"]["seed"] for e in policy}) == 2 * 3
    assert records(run)[-1].env_steps == (3 + 2 + 2 * 3) * 12
    assert readable_rounds(run) == ROUNDS


def test_parts_hold_out_the_episodes_that_the_whole_would(tmp_path: Path, overlapped: Path, engine_here: None):
    train_with_collectors(TINY, tmp_path / "run", collectors=2)

    ours, theirs = (EpisodeStore.open(r / "episodes").episodes for r in (tmp_path / "run", overlapped))
    assert sum(e.tags["validation"] for e in ours) == sum(e.tags["validation"] for e in theirs)
    assert max(e.batch for e in ours) == 2 * 2


def test_episodes_of_a_collector_that_outlived_its_training_do_not_count_twice(tmp_path: Path, overlapped: Path):
    """It appends what the training that was started anew has collected already."""
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_call(patch, MetaTrainer, "step", 2 * 3 + 2)
        with pytest.raises(Interruption):
            collecting_here(run)
    store = EpisodeStore.open(run / "episodes")
    store.append([e for e in store.episodes if e.batch == 1], store.abouts[1])

    collecting_here(run)

    ours, theirs = (load_file(r / "checkpoint" / "weights.safetensors") for r in (run, overlapped))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    last = records(run)[-1]
    assert (last.batches, last.env_steps) == (4, (3 + 2 + 2 * 3) * 12)
    assert (last.scalars["collect/new_batches"], last.scalars["collect/staleness"]) == (1, 3)


@pytest.mark.slow
def test_two_collectors_in_processes_of_their_own_collect_the_whole_budget(tmp_path: Path):
    train_with_collectors(TINY, tmp_path / "run", collectors=2)

    assert records(tmp_path / "run")[-1].env_steps == (3 + 2 + 2 * 3) * 12
    assert processes_of(tmp_path / "run") == []


@pytest.mark.slow
def test_a_killed_collector_costs_its_episodes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    run, killed = tmp_path / "run", []
    collect = LocalEngine.collect

    def collect_and_kill(engine: LocalEngine, collector: int, *order: object) -> None:
        collect(engine, collector, *order)
        if not killed:
            process = engine._processes[collector]
            killed.append(process.pid)
            process.kill()

    monkeypatch.setattr(LocalEngine, "collect", collect_and_kill)
    train_with_collectors(SLOW_EPISODES, run, collectors=2)

    assert "is lost: killed by signal 9" in capsys.readouterr().out
    store = EpisodeStore.open(run / "episodes")
    assert sum(e.tags["source"] == "policy" for e in store.episodes) == 4
    assert processes_of(run) == []


def test_a_collector_that_cannot_work_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Somebody has changed the robot's file while the training runs."""
    run, start = tmp_path / "run", LocalEngine.start

    def spoil(engine: LocalEngine, collector: int) -> None:
        (run / "robot.yaml").write_text("name: another\n")
        start(engine, collector)

    monkeypatch.setattr(LocalEngine, "start", spoil)
    monkeypatch.setattr(collectors, "ATTEMPTS", 1)
    with pytest.raises(CollectorError, match=r"no collector works: ended with exit code 1 \(.*robot.yaml: this run was started"):
        train_with_collectors(TINY, run, collectors=1)


SCRIPT = """
import sys
from pathlib import Path
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.training.config import TrainConfig
from sim.training.overlapped import train_with_collectors

train_with_collectors(load_yaml(sys.argv[1], TrainConfig), Path(sys.argv[2]), collectors=int(sys.argv[3]))
"""


@pytest.mark.parametrize(
    ("number", "collectors"),
    [(signal.SIGKILL, 1), *(pytest.param(n, 2, marks=pytest.mark.slow) for n in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))],
)
def test_no_collector_outlives_its_training(tmp_path: Path, number: signal.Signals, collectors: int):
    run, config = tmp_path / "run", tmp_path / "config.yaml"
    endless = dataclasses.replace(TINY, updates_initial=10**6)
    save_yaml(config, endless)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, str(config), str(run), str(collectors)]
    learner = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(processes_of(run)) == collectors and any((run / "episodes").glob("0*")))
        learner.send_signal(number)
        learner.wait(PATIENCE)
        wait_until(lambda: processes_of(run) == [])
    finally:
        learner.kill()
        learner.wait()


@pytest.mark.slow
def test_a_training_whose_learner_is_killed_again_and_again_ends_like_one_that_was_not(tmp_path: Path, overlapped: Path):
    run, config = tmp_path / "run", tmp_path / "config.yaml"
    save_yaml(config, TINY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    marks: list[Callable[[], bool]] = [
        lambda: (run / "rounds" / "000").is_dir(),
        lambda: (run / "episodes" / "000001.safetensors").exists(),
        lambda: (run / "rounds" / "001").is_dir(),
        lambda: (run / "episodes" / "000002.safetensors").exists(),
    ]
    for is_reached in marks:
        learner = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(config), str(run), "1"], env=environment, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: is_reached() or learner.poll() is not None)  # noqa: B023
        learner.kill()
        learner.wait()
        wait_until(lambda: processes_of(run) == [])

    train_with_collectors(load_yaml(config, TrainConfig), run, collectors=1)

    assert_same_end(run, overlapped)


def test_what_has_no_use_for_collectors_says_so(tmp_path: Path):
    nothing = dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, iterations=0))

    with pytest.raises(ConfigError, match=r"key 'data.iterations': nothing is left for collectors"):
        train_with_collectors(nothing, tmp_path / "run", collectors=1)
    assert not (tmp_path / "run").exists()
