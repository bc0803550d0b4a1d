"""Who gets which part when, and what is done about lost collectors; with an engine that the test plays."""

from __future__ import annotations

import queue
from dataclasses import asdict
from pathlib import Path

import pytest

from adaptive_mbrl.data.episodes import EpisodeStore
from sim.robot.robot import load_robot
from sim.training.collectors import ATTEMPTS, CollectorError, Collectors, Outcome
from sim.training.parts import Part, Plan

PATIENCE = 60


class Played:
    """An engine whose collectors do what the test says.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._store = EpisodeStore(load_robot("cartpole").spec, run / "episodes")
        self.started: list[int] = []
        self.given: queue.Queue[tuple[int, Part, Path]] = queue.Queue()
        self.to_tell: queue.Queue[Outcome] = queue.Queue()
        self.closed = 0

    def start(self, collector: int) -> None:
        self.started.append(collector)

    def collect(self, collector: int, part: Part, checkpoint: Path) -> None:
        self.given.put((collector, part, checkpoint))

    def outcomes(self, seconds: float) -> list[Outcome]:
        try:
            return [self.to_tell.get(timeout=seconds / 20)]
        except queue.Empty:
            return []

    def close(self) -> None:
        self.closed += 1

    def gets(self) -> tuple[int, Part, Path]:
        return self.given.get(timeout=PATIENCE)

    def stores(self, part: Part) -> None:
        """Put a batch for a part into the store."""
        self._store.append([], {"part": asdict(part)})

    def finishes(self, collector: int, part: Part) -> None:
        self.stores(part)
        self.to_tell.put(Outcome(collector))


def test_an_iteration_begins_when_the_round_before_is_saved(tmp_path: Path):
    engine, plan = Played(tmp_path), Plan(2, 4, 2)
    with Collectors(engine, 2, plan, tmp_path) as collectors:
        collectors.saved(0)
        (one, part, checkpoint), (other, rest, _) = engine.gets(), engine.gets()
        assert {part, rest} == {Part(1, 0, 2), Part(1, 2, 2)}
        assert checkpoint == tmp_path / "rounds" / "000"
        engine.finishes(one, part)
        engine.finishes(other, rest)
        collectors.wait_for(1)
        assert engine.given.empty()

        collectors.saved(1)
        for _ in range(2):
            collector, part, checkpoint = engine.gets()
            assert part.iteration == 2
            assert checkpoint == tmp_path / "rounds" / "001"
            engine.finishes(collector, part)
        collectors.wait_for(2)
    assert engine.closed >= 1
    assert sorted(engine.started) == [0, 1]


def test_the_part_of_a_lost_collector_is_collected_by_the_next_one_that_is_free(tmp_path: Path, capsys):
    engine = Played(tmp_path)
    with Collectors(engine, 1, Plan(1, 3, 3), tmp_path) as collectors:
        collectors.saved(0)
        _, part, _ = engine.gets()
        engine.to_tell.put(Outcome(0, "killed by signal 9"))
        assert engine.gets()[1] == part
        engine.finishes(0, part)
        collectors.wait_for(1)

    assert engine.started == [0, 0]
    told = "collector 0 is lost: killed by signal 9; episodes 0 to 2 of iteration 1 are collected again, and it is started anew"
    assert told in capsys.readouterr().out


def test_what_a_collector_has_stored_before_it_was_killed_is_not_collected_again(tmp_path: Path, capsys):
    """It had not yet said that it was done."""
    engine = Played(tmp_path)
    with Collectors(engine, 1, Plan(2, 3, 3), tmp_path) as collectors:
        collectors.saved(0)
        _, part, _ = engine.gets()
        engine.stores(part)
        engine.to_tell.put(Outcome(0, "killed by signal 9"))
        collectors.wait_for(1)

        collectors.saved(1)
        assert engine.gets()[1] == Part(2, 0, 3)

    told = "collector 0 is lost: killed by signal 9; episodes 0 to 2 of iteration 1 are in the store, and it is started anew"
    assert told in capsys.readouterr().out


def test_when_no_collector_works_the_training_is_told_why(tmp_path: Path):
    engine = Played(tmp_path)
    with Collectors(engine, 1, Plan(1, 3, 3), tmp_path) as collectors:
        collectors.saved(0)
        for _ in range(ATTEMPTS):
            engine.gets()
            engine.to_tell.put(Outcome(0, "no memory"))
        with pytest.raises(CollectorError, match=r"no collector works: no memory; what was collected is kept"):
            collectors.wait_for(1)
    assert engine.started == [0] * ATTEMPTS
    assert engine.closed >= 1


def test_a_collector_that_cannot_even_start_does_not_stop_the_others(tmp_path: Path):
    engine = Played(tmp_path)
    for _ in range(ATTEMPTS):
        engine.to_tell.put(Outcome(1, "no module"))
    with Collectors(engine, 2, Plan(1, 4, 2), tmp_path) as collectors:
        # no round is saved, so both have nothing to do
        while not engine.to_tell.empty():
            collectors.wait_for(0)
        collectors.saved(0)
        for _ in range(2):
            collector, part, _ = engine.gets()
            assert collector == 0
            engine.finishes(0, part)
        collectors.wait_for(1)


def test_collectors_end_as_soon_as_everything_is_collected(tmp_path: Path):
    """The last round has the cores to itself."""
    engine = Played(tmp_path)
    with Collectors(engine, 1, Plan(1, 2, 2), tmp_path) as collectors:
        collectors.saved(0)
        engine.finishes(0, engine.gets()[1])
        collectors.wait_for(1)
        collectors._thread.join(PATIENCE)
        assert engine.closed == 1
