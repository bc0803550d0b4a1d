"""report.html of a training: what it shows is what the run recorded, and no training ends because of it."""

from __future__ import annotations

import base64
import dataclasses
import functools
import shutil
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.report import page as page_module
from adaptive_mbrl.training.report.figures import load_figures
from adaptive_mbrl.training.report.held_out import episode_name, held_out_errors
from adaptive_mbrl.training.report.history import read_history
from adaptive_mbrl.training.report.reporter import Report, Reporter
from adaptive_mbrl.training.report.worst import worst_episode
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.stopping import Stopped
from sim.evaluation import drawing_process, episode_film
from sim.evaluation.drawing_process import VideoError
from sim.evaluation.episode_film import MOST_SECONDS, film_of, replayed, shown_steps
from sim.robot.robot import load_robot
from sim.scenarios.loading import parse_scenario
from sim.training.overlapped import OverlappedTraining
from sim.training.train import open_training, train
from tests.core.together import ThreadProcess, together
from tests.report_pages import Page, read_page
from tests.sim.test_train import CPU, ROUNDS, TINY

WITH_REPORT = Execution(loggers=(), report=Report())


class NoFilmError(AdaptiveMBRLError):
    """Nothing can be drawn."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run with its page; do not change it."""
    run = tmp_path_factory.mktemp("reported") / "tiny"
    train(TINY, run, CPU, WITH_REPORT)
    return run


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "tiny"))


def page_of(run: Path) -> Page:
    return read_page((run / "report.html").read_text(encoding="utf-8"))


def records(run: Path) -> list[RoundRecord]:
    return [load_yaml(path, RoundRecord) for path in sorted(run.glob("rounds/*/round.yaml"))]


def policy_returns(run: Path, batch: int) -> list[float]:
    episodes = EpisodeStore.open(run / "episodes").episodes
    return [float(e.reward.sum()) for e in episodes if e.batch == batch and e.tags["source"] == "policy"]


# --- what the page shows ------------------------------------------------------------------------------------------------------


def test_the_figures_of_the_page_are_those_of_the_run(finished: Path):
    page, last = page_of(finished), records(finished)[-1]

    assert page.texts["h1"] == [f"Training: {read_history(finished).name}"]
    assert "done: 4 of 4 rounds are complete" in page.texts["p"][0]
    assert page.tiles["outer steps"] == f"{last.updates:,}"
    assert page.tiles["env steps"] == f"{last.env_steps:,}"
    assert page.tiles["return, round 2"] == f"{np.mean(policy_returns(finished, 2)):,.1f}"
    # the loss is about two steps
    assert page.tiles["held-out error 2 steps ahead"] == f"{last.scalars['validation/adapted_error_2_steps']:.3f}"


def test_the_table_has_a_row_for_each_round(finished: Path):
    header, *rows = page_of(finished).tables[0]

    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    for row, record in zip(rows, records(finished), strict=True):
        assert row[1] == f"{record.updates:,}"
        assert row[header.index("validation loss, adapted")] == f"{record.scalars['validation/adapted_loss']:.3g}"
        assert row[header.index("cosine of gradients")] == f"{record.scalars['gradient/cosine']:.3g}"
    returns = [row[header.index("return [95 %]")] for row in rows]
    assert [bool(text) for text in returns] == [False, True, True, False]
    assert returns[1].startswith(f"{np.mean(policy_returns(finished, 1)):,.1f} [")


def test_it_says_what_the_run_is(finished: Path):
    about = dict(page_of(finished).tables[1])

    assert about["robot"].startswith("cartpole: ")
    assert about["split"] == "cartpole/mass_gain:train"
    assert about["episodes"] == "collected: 3 by random, 2 by oracle, 6 by the controller"
    assert "planning on the true dynamics (864 simulated steps)" in about["privileges"]
    assert "branches from snapshots" in about["privileges"]
    assert (finished / "git_revision.txt").read_text().strip() in about["code"]
    assert f"torch {torch.__version__}" in about["machine"]


def test_every_curve_is_there(finished: Path):
    assert page_of(finished).pictures == [
        "training and validation loss over the outer steps",
        "collected return by round",
        "error over the prediction horizon",
        "error after k transitions",
        "error 2 steps ahead by round",
        "error while collecting, by round",
        "gradient norms by round",
        "cosine of the gradients by round",
        "rank correlation of plans by round",
        "computing time by round",
    ]


def test_a_run_without_a_simulator_to_draw_with_says_so(finished: Path):
    found = worst_episode(read_history(finished))

    assert found is not None
    held_out = [e for e in EpisodeStore.open(finished / "episodes").episodes if e.tags["validation"] and e.batch == 2]
    lowest = min(float(e.reward.sum()) for e in held_out if e.tags["source"] == "policy")
    assert float(found[0].reward.sum()) == lowest
    texts = page_of(finished).texts
    assert f"Return {lowest:,.1f}: the only validation episode collected in round 2, by the controller." in texts["p"]
    assert "No video: this training knows no simulator that could draw its robot." in texts["p"]
    assert "video" not in texts


# --- what a round records -----------------------------------------------------------------------------------------------------


def test_the_errors_over_the_horizon_are_those_of_the_rounds_checkpoint(finished: Path):
    held_out = [e for e in EpisodeStore.open(finished / "episodes").episodes if e.tags["validation"]]
    trunks = {episode_name(e) for e in held_out if e.tags["source"] != "branch"}

    for number in (0, ROUNDS - 1):
        folder = finished / "rounds" / f"{number:03d}"
        figures = load_figures(folder)
        assert figures is not None
        assert figures.held_out is not None
        # the planner looks four steps ahead
        assert figures.held_out.horizon == TINY.planner.horizon
        assert figures.held_out.shots == (0, 1, 2, 4)
        assert set(figures.held_out.episodes) <= trunks
        then = [e for e in held_out if e.batch < records(finished)[number].batches]
        again = held_out_errors(load_checkpoint(folder).adapter, then, TINY.window, (4, 2), CPU)
        assert again is not None
        assert again.episodes == figures.held_out.episodes
        np.testing.assert_allclose(again.adapted, figures.held_out.adapted, rtol=1e-4)
        np.testing.assert_allclose(again.by_shots, figures.held_out.by_shots, rtol=1e-4)
        # all of the window is the last point of the K-shot curve, and nothing of it the first
        np.testing.assert_allclose(np.mean(again.adapted, axis=1), np.array(again.by_shots)[:, -1], rtol=1e-4)
        np.testing.assert_allclose(np.mean(again.prior, axis=1), np.array(again.by_shots)[:, 0], rtol=1e-4)


def test_the_curve_of_the_loss_ends_where_the_round_ends(finished: Path):
    for number, record in enumerate(records(finished)):
        figures = load_figures(finished / "rounds" / f"{number:03d}")
        assert figures is not None
        assert figures.losses[-1][0] == record.updates
        assert len(figures.losses) == TINY.updates_of(number)
        assert figures.losses[-1][1] == pytest.approx(record.scalars["train/query_loss"], rel=1e-4)
        assert figures.fit_seconds + (figures.collect_seconds or 0.0) == pytest.approx(
            record.seconds - (records(finished)[number - 1].seconds if number else 0.0)
        )


# --- when something goes wrong ------------------------------------------------------------------------------------------------


def test_a_drawing_that_fails_is_a_warning_and_the_training_is_the_same(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def broken(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(page_module, "pictures", broken)

    train(TINY, tmp_path / "run", CPU, WITH_REPORT)

    assert not (tmp_path / "run" / "report.html").exists()
    assert "warning: report: the page: no ink; the training goes on" in capsys.readouterr().out
    ours, theirs = (load_file(run / "checkpoint" / "weights.safetensors") for run in (tmp_path / "run", finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_film_that_cannot_be_drawn_leaves_a_page_that_says_why(copied: Path):
    def film(episode: Episode, path: Path) -> None:
        raise NoFilmError("the camera is broken")

    with open_training(TINY, copied, CPU, Execution(loggers=(), report=Report(film))) as training:
        training.reporter.write(training.store, None, is_done=True)

    assert "No video: the camera is broken." in page_of(copied).texts["p"]


def test_without_a_renderer_the_page_says_what_to_install(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawing_process, "available_renderers", list)

    assert cli.main(["report", str(copied)]) == 0

    assert any("No video: no renderer works here; install libegl1 or libosmesa6" in text for text in page_of(copied).texts["p"])


def test_an_interrupted_run_has_the_page_of_its_rounds_and_goes_on_with_it(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = tmp_path / "tiny"
    with open_training(TINY, run, CPU, WITH_REPORT) as training:
        training.run_round(0)
        training.run_round(1)
    assert not (run / "report.html").exists()
    with open_training(TINY, run, CPU, WITH_REPORT) as training:
        monkeypatch.setattr(training, "run_round", lambda index: training.stop.obey())
        with pytest.raises(Stopped):
            training.run()
    assert "training: 2 of 4 rounds are complete" in page_of(run).texts["p"][0]

    train(TINY, run, CPU, WITH_REPORT)

    ours, theirs = page_of(run), page_of(finished)
    assert ours.pictures == theirs.pictures
    assert [row[3:] for row in ours.tables[1]] == [row[3:] for row in theirs.tables[1]]
    for mine, other in zip(ours.tables[0], theirs.tables[0], strict=True):
        # but for the times
        assert (mine[:3], mine[4:-1]) == (other[:3], other[4:-1])


def test_without_being_asked_for_there_is_no_page(tmp_path: Path):
    with open_training(TINY, tmp_path / "run", CPU, Execution(loggers=())) as training:
        training.run_round(0)
        training._report(1)

    assert not (tmp_path / "run" / "report.html").exists()
    assert load_figures(tmp_path / "run" / "rounds" / "000") is not None


# --- other kinds of trainings -------------------------------------------------------------------------------------------------


def test_only_the_first_of_several_processes_writes_it(tmp_path: Path):
    short = dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, iterations=0), updates_final=0)
    written = []

    def half(process: ThreadProcess) -> None:
        with open_training(short, tmp_path / "run", CPU, Execution(process, loggers=(), report=Report())) as training:
            training.run()
            written.append((process.rank, training.reporter._held_out is not None))

    together(2, half)

    assert sorted(written) == [(0, True), (1, False)]
    about = dict(page_of(tmp_path / "run").tables[1])
    assert "2 processes together" in about["machine"]


def test_a_run_with_collectors_has_its_returns_in_the_rounds_that_first_saw_them(tmp_path: Path):
    # without processes of their own, which would collect the same
    kind = functools.partial(OverlappedTraining, num=0, engine="local")
    with open_training(TINY, tmp_path / "run", CPU, Execution(loggers=()), kind) as training:
        training.run()
        Reporter(tmp_path / "run", TINY, Report(), CPU, 1).write(training.store, None, is_done=True)

    page = page_of(tmp_path / "run")
    header, *rows = page.tables[0]
    returns = [row[header.index("return [95 %]")] for row in rows]
    # what was collected while round 1 was fitted is first seen by round 2
    assert [bool(text) for text in returns] == [False, False, True, True]
    assert page.tiles["return, round 3"] == f"{np.mean(policy_returns(tmp_path / 'run', 2)):,.1f}"


def test_the_command_writes_the_page_of_a_run_of_an_earlier_version(
    finished: Path, copied: Path, capsys: pytest.CaptureFixture[str]
):
    (copied / "report.html").unlink()
    for path in copied.glob("rounds/*/figures.json"):
        path.unlink()

    assert cli.main(["report", str(copied), "--no-video"]) == 0

    assert capsys.readouterr().out == f"Written: {copied / 'report.html'}\n"
    page = page_of(copied)
    assert page.pictures == page_of(finished).pictures
    assert dict(page.tables[1])["machine"] == "not recorded"
    recorded, computed = read_history(finished), read_history(copied, predicts=True)
    assert recorded.held_out is not None
    assert computed.held_out is not None
    np.testing.assert_allclose(computed.held_out.adapted, recorded.held_out.adapted, rtol=1e-4)


def test_a_run_whose_episodes_are_gone_still_has_a_page(copied: Path):
    shutil.rmtree(copied / "episodes")

    assert cli.main(["report", str(copied), "--out", str(copied / "other.html")]) == 0

    page = read_page((copied / "other.html").read_text(encoding="utf-8"))
    assert "No video: the episodes of this run are not there any more." in page.texts["p"]
    assert "collected return by round" not in page.pictures


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere"], "nowhere: is no run; allowed: a folder that 'adaptive-mbrl train' wrote, with its config.yaml"),
        (["a", "b", "--out", "x.html"], "--out: a single file for 2 runs; allowed: one run, or no --out"),
        (["a", "--out", "x.pdf"], "--out: x.pdf is no .html file; allowed: a name that ends in .html"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["report", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {problem}\n"


def test_a_run_without_a_complete_round_is_one_line(copied: Path, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(copied / "rounds")

    assert cli.main(["report", str(copied)]) == 2
    assert "no round is complete yet" in capsys.readouterr().err


# --- the film -----------------------------------------------------------------------------------------------------------------


def newest_episode(run: Path) -> Episode:
    return next(e for e in reversed(EpisodeStore.open(run / "episodes").episodes) if e.tags["source"] == "policy")


def test_the_recorded_actions_give_the_recorded_observations_again(finished: Path):
    episode, robot = newest_episode(finished), load_robot("cartpole")

    qpos = replayed(robot, episode, parse_scenario(episode.tags["scenario"], Path("episode")))

    assert qpos.shape == (TINY.data.steps, robot.model.nq)
    # the slider's position is the first observation
    np.testing.assert_allclose(qpos[:, 0], episode.obs[:-1, 0], atol=1e-6)


def test_an_episode_that_cannot_be_simulated_again_is_not_shown(finished: Path):
    episode, robot = newest_episode(finished), load_robot("cartpole")
    other = dataclasses.replace(episode, obs=episode.obs[::-1].copy())

    with pytest.raises(VideoError, match="no longer lead to the recorded observations"):
        replayed(robot, other, parse_scenario(episode.tags["scenario"], Path("episode")))
    with pytest.raises(VideoError, match="the episode was not simulated"):
        episode_film.film_episode(robot, dataclasses.replace(episode, tags={"source": "bag"}), Path("x.mp4"))


def test_of_a_long_episode_the_stretch_with_the_least_reward_is_shown():
    reward = np.ones(1000, dtype=np.float32)
    reward[400:500] = -1
    episode = Episode(np.zeros((1001, 1), np.float32), np.zeros((1000, 1), np.float32), reward)

    steps = shown_steps(episode, dt=0.05)

    assert len(steps) * steps.step == MOST_SECONDS / 0.05
    assert steps.start <= 400
    assert steps.stop >= 500
    assert steps.step == 2
    assert shown_steps(dataclasses.replace(episode, reward=reward[:80], action=episode.action[:80]), 0.1) == range(80)


@pytest.mark.usefixtures("renderer")
def test_the_page_has_a_video_of_the_worst_validation_episode(copied: Path, tmp_path: Path):
    film = film_of("cartpole/mass_gain:train")

    with open_training(TINY, copied, CPU, Execution(loggers=(), report=Report(film))) as training:
        training.reporter.write(training.store, None, is_done=True)

    (source,) = (a for a in page_of(copied).addresses if a.startswith("data:video/mp4;base64,"))
    (tmp_path / "x.mp4").write_bytes(base64.b64decode(source.partition(",")[2]))
    with imageio.get_reader(tmp_path / "x.mp4") as reader:
        assert reader.count_frames() == len(range(0, TINY.data.steps, 2))
    assert not list(copied.glob(".unfinished*"))
