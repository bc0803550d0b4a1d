"""The bar of a fit and the line of a round say how fast a training is and how long it will still take."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path

import pytest
import torch
import tqdm.std

from adaptive_mbrl.console import WIDTH
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from adaptive_mbrl.training.plain_progress import BarsAsLines
from adaptive_mbrl.training.recorder import Recorder
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.status import FitBar, Status, gpu_use, speed
from tests.core.analytic import point_episodes

CPU = torch.device("cpu")
CONFIG = TrainConfig("a:train", data=DataConfig(iterations=3), updates_initial=100, updates_per_iteration=200, updates_final=400)


class Clock:
    """A clock that the test moves [s]."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tqdm.std, "time", clock)
    return clock


def reported(bar: FitBar, done: int, scalars: dict[str, float]) -> None:
    """So many outer steps of the fit are done, and this is what they showed."""
    bar.report(scalars)
    bar.update(done - bar.n)


def after_round_1(clock: Clock) -> Status:
    """40 steps were collected in 8 s; 200 updates took 20 s."""
    status = Status(CONFIG, CPU)
    episodes = point_episodes(2, seed=0)
    for index, seconds in enumerate((100.0, 8.0)):
        status.collected([dataclasses.replace(e, batch=index) for e in episodes[: 2 - index]], {"seconds": seconds}, index)
        with status.fitting(index, CONFIG.updates_of(index), shown=True) as bar:
            clock.now += 10.0 + 10.0 * index
            reported(bar, CONFIG.updates_of(index), {"train/query_loss": 0.5})
    return status


def test_the_rounds_of_a_run_know_their_updates_and_collections():
    assert [CONFIG.updates_of(i) for i in range(CONFIG.num_rounds)] == [100, 200, 200, 200, 400]
    assert [CONFIG.collects(i) for i in range(CONFIG.num_rounds)] == [True, True, True, True, False]
    given = TrainConfig(data=DataConfig(iterations=0, episodes_from=Path("logs")), updates_final=0)
    assert [(given.collects(i), given.updates_of(i)) for i in range(given.num_rounds)] == [(False, 2000)]


def test_the_line_of_a_round_has_speeds_and_the_time_left(clock: Clock):
    # 2 rounds of 200 updates and one of 400 at 10 updates/s, and 2 collections of 8 s
    assert after_round_1(clock).of_round() == "5 env steps/s, 10 updates/s, about 01:36 left"


@pytest.mark.parametrize(("seconds", "left"), [(8.0, "01:20"), (30.0, "01:40")])
def test_of_a_fit_and_a_collection_at_the_same_time_the_slower_one_counts(clock: Clock, seconds: float, left: str):
    """2 rounds of 20 s or of a collection, and one of 40 s without any."""
    status = after_round_1(clock)
    status.collected_batches(40, seconds, seconds, while_fitting=True)

    assert status.of_round() == f"{speed(40 / seconds)} env steps/s, 10 updates/s, about {left} left"


def test_before_a_controller_has_collected_nobody_knows_how_long_the_run_takes(clock: Clock):
    status = Status(CONFIG, CPU)
    status.collected(point_episodes(1, seed=0), {"seconds": 100.0}, 0)
    with status.fitting(0, 100, shown=True) as bar:
        clock.now += 10.0
        reported(bar, 50, {"train/query_loss": 0.5})
        assert str(bar).endswith("| 5 updates/s, loss 0.5, 00:10 left")

    assert status.of_round() == "0.4 env steps/s, 5 updates/s"


def test_the_bar_has_loss_and_both_times_and_fits_into_100_columns(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    status = after_round_1(clock)
    monkeypatch.setattr(status, "gpu", lambda: ["GPU 35% 100/140 GB"])

    with status.fitting(2, 200, shown=True) as bar:
        clock.now += 2000.0
        reported(bar, 100, {"gradient/cosine": 1.0})
        reported(bar, 100, {"train/query_loss": 0.012345})
        line = str(bar)

    # 100 updates in this round, 600 in later ones at 20 s each, and 1 collection of 8 s
    assert line == "round 2/4 fit  50%|███   | 0.05 updates/s, loss 0.0123, 33:20 left (run 3:53:28), GPU 35% 100/140 GB"
    assert len(line) <= WIDTH


def test_in_a_log_file_the_bar_is_a_line(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", BarsAsLines(out, clock))
    with Status(CONFIG, CPU).fitting(4, 400, shown=True) as bar:
        for done in range(50, 401, 50):
            clock.now += 10.0
            reported(bar, done, {"train/query_loss": 0.5})

    assert out.getvalue().splitlines() == [
        "round 4/4 fit  38%|##2   | 5 updates/s, loss 0.5, 00:50 left",
        "round 4/4 fit  75%|####5 | 5 updates/s, loss 0.5, 00:20 left",
    ]


def test_who_is_not_the_main_process_shows_nothing(capsys: pytest.CaptureFixture[str]):
    status = Status(CONFIG, CPU)
    with status.fitting(0, 100, shown=False) as bar:
        reported(bar, 100, {"train/query_loss": 0.5})

    assert status.of_round() == ""
    assert capsys.readouterr().err == ""


def test_a_gpu_tells_its_memory_and_its_use_if_the_driver_can_be_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (60 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 35)
    assert gpu_use(torch.device("cuda")) == ["GPU 35% 20/80 GB"]

    def missing(device: torch.device) -> int:
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(torch.cuda, "utilization", missing)
    assert gpu_use(torch.device("cuda")) == ["GPU 20/80 GB"]
    assert gpu_use(CPU) == []


def test_speeds_have_two_digits_or_more():
    assert [speed(x) for x in (0.01234, 1.26, 9.99, 83.2, 12345.6)] == ["0.012", "1.3", "10", "83", "12,346"]


def test_the_lines_of_a_round_fit_into_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    scalars = {"collect/return": 1.0, "gradient/cosine": 0.5} | {f"validation/adapted_error_{i}_steps": i / 7 for i in range(9)}
    Recorder(tmp_path, CONFIG, []).print_round("2/4", RoundRecord(3, 8000, 10, 20, 500, 61.2, scalars), "83 updates/s")

    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "round 2/4: 8000 env, 10 branch, 20 oracle steps; 61 s; 83 updates/s"
    assert rest[0] == "  collect/return 1.000, validation/adapted_error_0_steps 0.000,"
    assert max(map(len, rest)) <= WIDTH
    assert "validation/adapted_error_8_steps 1.143" in rest[-1]
    assert "cosine" not in "".join(rest)
