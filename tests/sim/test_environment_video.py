"""Videos of environments: the episode is run again with its seed, its changes and its actions, and drawn by the environment."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.errors import ConfigError
from sim.evaluation import drawing_process, environment_drawing
from sim.evaluation.drawing_process import VideoError
from sim.evaluation.environment_video import render_environment_video
from sim.evaluation.episode_film import film_of
from sim.robot import load_task
from sim.robot.environment import EnvironmentRobot
from sim.scenarios import Change

ROBOT = """
import gymnasium
import numpy as np
from sim.robot.environment import environment_robot


class Counter(gymnasium.Env):
    dt = 0.5
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.total = np.array([self.np_random.uniform(80, 90)])
        return self.total, {}

    def step(self, action):
        self.total = self.total + 20 * action
        return self.total, 0.0, bool(self.total[0] > 130), False, {}

    def render(self):
        if self.render_mode is None:
            return None
        return np.full((176, 240, 3), np.uint8(self.total[0]))


robot = environment_robot(Counter, ["total"], name="counter")
"""
STEPS = 4
CHANGES = [Change(), Change(), Change(action_gain=-1.0), Change(action_gain=-1.0)]


@pytest.fixture
def robot(tmp_path: Path) -> EnvironmentRobot:
    (tmp_path / "counter.py").write_text(ROBOT, encoding="utf-8")
    loaded = load_task(tmp_path / "counter.py")
    assert isinstance(loaded, EnvironmentRobot)
    return loaded


def episode(*actions: float, seed: int = 7) -> Episode:
    """The episode that these actions give under the changes."""
    action = np.array(actions, np.float32)[:, None]
    gain = np.array([1.0, 1.0, -1.0, -1.0])[: len(action)]
    total = np.random.default_rng(seed).uniform(80, 90) + 20 * np.cumsum([0.0, *gain * action[:, 0]])
    return Episode(total[:, None].astype(np.float32), action, np.ones(len(action), np.float32))


def drawn_here(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Draw in this process, and note the jobs."""
    jobs = []

    def run_drawing(command: list[str], renderer: str | None, progress) -> None:
        jobs.append(json.loads(Path(command[-2]).read_text()))
        environment_drawing.main(command[-2:])

    monkeypatch.setattr(drawing_process, "run_drawing", run_drawing)
    return jobs


def test_the_panels_show_what_each_arm_did_under_the_changes(robot: EnvironmentRobot, tmp_path: Path, monkeypatch):
    jobs = drawn_here(monkeypatch)

    # the second robot has ended after its third step, and stands still
    arms = {"one": episode(1, 0, 1, 1), "two": episode(1, 1, -1)}
    render_environment_video(robot, arms, 7, CHANGES, tmp_path / "out" / "video.mp4")

    (job,) = jobs
    assert job["captions"] == ["", "", "action gain -1, for 0.0 s", "action gain -1, for 0.5 s"]
    assert job["panels"][1]["readings"] == ["return 1.0", "return 2.0", "return 3.0", "return 3.0"]
    film = imageio.mimread(tmp_path / "out" / "video.mp4")
    assert [frame.shape for frame in film] == [(352, 960, 3)] * STEPS
    begin = np.random.default_rng(7).uniform(80, 90)
    # between the texts, a picture is as bright as the total
    seen = np.array([[frame[176, x].mean() for x in (240, 720)] for frame in film])
    expected = begin + np.array([[0, 0], [20, 20], [20, 40], [0, 60]])
    np.testing.assert_allclose(seen, expected, atol=3)


def test_an_episode_that_the_environment_does_not_repeat_is_not_shown(robot: EnvironmentRobot, tmp_path: Path, monkeypatch):
    drawn_here(monkeypatch)
    other = episode(1, 0, 1, 1, seed=8)

    with pytest.raises(ConfigError, match="does not repeat the recorded episode from its seed"):
        render_environment_video(robot, {"one": other}, 7, CHANGES, tmp_path / "video.mp4")
    assert not (tmp_path / "video.mp4").exists()


def test_the_process_that_draws_says_it_in_one_line(robot: EnvironmentRobot, tmp_path: Path):
    with pytest.raises(VideoError, match=r"^the environment does not repeat"):
        render_environment_video(robot, {"one": episode(1, 0, 1, 1, seed=8)}, 7, CHANGES, tmp_path / "video.mp4")


def test_a_training_films_an_episode_of_an_environment(robot: EnvironmentRobot, tmp_path: Path, monkeypatch):
    (tmp_path / "split.yaml").write_text("robot: counter.py\nsteps: 4\ntrain: {initial: [{}]}\n", encoding="utf-8")
    jobs = drawn_here(monkeypatch)
    scenario = {"robot": str(robot.path), "steps": 4, "seed": 7, "changes": [{"at": 2, "action_gain": -1.0}]}
    recorded = dataclasses.replace(episode(1, 0, 1, 1), tags={"source": "policy", "scenario": scenario})

    film_of(f"{tmp_path / 'split.yaml'}:train")(recorded, tmp_path / "video.mp4")

    assert [panel["title"] for panel in jobs[0]["panels"]] == ["controller"]
    assert len(imageio.mimread(tmp_path / "video.mp4")) == STEPS


def test_an_environment_without_pictures_is_one_line(robot: EnvironmentRobot):
    panel = {"title": "a", "actions": [[0.0]], "obs": episode(0, seed=0).obs.tolist(), "readings": [""]}
    job = {"seed": 0, "changes": [{}], "captions": [""], "steps": [0, 1, 1], "panels": [panel]}
    blind = environment_drawing.frames(_without_pictures(robot), job)

    with pytest.raises(ConfigError, match="makes no pictures; allowed: one whose 'make' takes render_mode"):
        next(blind)


def _without_pictures(robot: EnvironmentRobot) -> EnvironmentRobot:
    return dataclasses.replace(robot, make=lambda render_mode=None: robot.make())
