"""report.html of a training from recordings alone, which has no simulator; and films that are rationed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.training.comparison import load_comparison
from adaptive_mbrl.training.report.about import duration
from adaptive_mbrl.training.report.figures import POINTS_PER_ROUND, load_figures, loss_curve
from adaptive_mbrl.training.report.held_out import MOST_EPISODES, episode_name, held_out_errors
from adaptive_mbrl.training.report.rationed import RationedFilm, TooSoonError
from adaptive_mbrl.training.report.worst import changes_of
from tests.core.analytic import point_episodes
from tests.core.point_recordings import SMALL, write_recordings
from tests.core.point_training import WINDOW, point_trainer
from tests.report_pages import read_page

EPISODE = Episode(np.zeros((2, 1), np.float32), np.zeros((1, 1), np.float32), np.zeros(1, np.float32))


def test_it_says_whether_adapting_pays_and_why_there_is_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_recordings(Path("logs"))

    asked = ["train", "--data", "logs", "--run", "run", "--device", "cpu", "--logger", "none", "--set", *SMALL, "updates_final=0"]
    assert cli.main(asked) == 0

    page = read_page(Path("run/report.html").read_text(encoding="utf-8"))
    compared = load_comparison(Path("run/comparison.json"))
    assert compared is not None
    shots, rounds, about = page.tables
    assert shots[0] == ["transitions seen", "0", "1", "2", "4", "multi-task model"]
    assert shots[1][1:-1] == [f"{value:.3f}" for value in compared.adaptive.mean(0)]
    assert shots[1][-1] == f"{compared.multitask.mean():.3f}"
    assert "error of the adaptive and the multi-task model" in page.pictures
    assert any("with adapting" in text and "of the multi-task model" in text for text in page.texts["p"])
    assert "No video: this training knows no simulator that could draw its robot." in page.texts["p"]
    assert len(rounds) == 2
    assert dict(about)["episodes"] == "given: logs (8, of which 2 are held out)"
    assert dict(about)["privileges"] == "none"
    assert "collected return by round" not in page.pictures
    # all that it refers to is there
    assert {"checkpoint/README.md", "multitask/report.html", "config.yaml"} <= set(page.addresses)
    assert all((Path("run") / link).is_file() for link in page.addresses if not link.startswith("#"))
    other = read_page(Path("run/multitask/report.html").read_text(encoding="utf-8"))
    assert dict(other.tables[-1])["adaptation"] == "none (multi-task model)"


def test_a_damaged_comparison_is_one_line(tmp_path: Path):
    (tmp_path / "comparison.json").write_text(json.dumps({"horizon": 3}))

    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'comparison.json'}: damaged")):
        load_comparison(tmp_path / "comparison.json")


def test_damaged_figures_are_one_line(tmp_path: Path):
    (tmp_path / "figures.json").write_text("{")

    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'figures.json'}: damaged")):
        load_figures(tmp_path)


# --- what a round records -----------------------------------------------------------------------------------------------------


def test_runs_that_share_held_out_episodes_choose_the_same_of_many():
    adapter, device = point_trainer().adapter, torch.device("cpu")
    many = point_episodes(MOST_EPISODES + 20, seed=3)

    all_of_them = held_out_errors(adapter, many, WINDOW, (5,), device)
    but_some = held_out_errors(adapter, many[10:], WINDOW, (5,), device)

    assert all_of_them is not None
    assert but_some is not None
    assert len(all_of_them.episodes) == len(but_some.episodes) == MOST_EPISODES
    left = {episode_name(e) for e in many[10:]}
    # those that both could choose are chosen by both, and their errors are the same
    assert set(all_of_them.episodes) & left <= set(but_some.episodes)
    rows = dict(zip(but_some.episodes, but_some.adapted, strict=True))
    for name, row in zip(all_of_them.episodes, all_of_them.adapted, strict=True):
        if name in left:
            np.testing.assert_allclose(rows[name], row, rtol=1e-5)


def test_the_first_horizon_that_an_episode_is_long_enough_for_counts():
    adapter, device, episodes = point_trainer().adapter, torch.device("cpu"), point_episodes(2, seed=0)
    length = len(episodes[0])

    found = held_out_errors(adapter, episodes, WINDOW, (length + 1, 3), device)

    assert found is not None
    assert found.horizon == 3
    assert held_out_errors(adapter, episodes, WINDOW, (length + 1,), device) is None
    assert held_out_errors(adapter, [], WINDOW, (3,), device) is None


def test_the_curve_of_the_loss_has_few_points_and_leaves_out_skipped_steps():
    losses = [float(i) for i in range(4 * POINTS_PER_ROUND)]
    losses[4:8] = [float("nan")] * 4

    points = loss_curve(losses, updates=1000 + len(losses))

    assert len(points) == POINTS_PER_ROUND - 1
    assert points[0] == (1004.0, 1.5)
    assert points[-1] == (1000.0 + len(losses), len(losses) - 2.5)
    assert loss_curve([], 10) == ()


# --- the film -----------------------------------------------------------------------------------------------------------------


def test_films_take_a_small_share_of_the_time():
    now, drawn = [0.0], []

    def film(episode: Episode, path: Path) -> None:
        drawn.append(now[0])
        now[0] += 6.0

    rationed = RationedFilm(film, clock=lambda: now[0])
    rationed(EPISODE, Path("x"))
    now[0] += 100.0
    with pytest.raises(TooSoonError, match=r"drawing the last one took 6 s, and videos may take 5% of a training's time"):
        rationed(EPISODE, Path("x"))
    now[0] += 30.0
    rationed(EPISODE, Path("x"))

    assert drawn == [0.0, 136.0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (3569, "59 min"),
        (3590, "1 h 0 min"),
        (7190, "2 h 0 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_no_minute_has_sixty_seconds_and_no_hour_sixty_minutes(seconds: float, words: str):
    assert duration(seconds) == words


def test_the_changes_of_an_episode_are_said_in_words():
    changes = [
        {"at": 0, "body_mass": 1.23456, "actuator_gain": {"hip": -0.5, "knee": 0.0}},
        {"at": 40, "external_force": {"torso": [1.0, 0.0, 0.0]}},
    ]
    episode = Episode(EPISODE.obs, EPISODE.action, EPISODE.reward, {"scenario": {"changes": changes}})

    assert [*changes_of(episode, dt=0.05)] == [
        "from 0.0 s on: body mass 1.23; actuator gain hip -0.5, knee 0",
        "from 2.0 s on: external force torso (1, 0, 0)",
    ]
    assert [*changes_of(EPISODE, dt=0.05)] == []
