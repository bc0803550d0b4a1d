"""rollout.mp4."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest

from sim.evaluation import drawing, drawing_process, renderers, video
from sim.evaluation.drawing_process import VideoError, pick_renderer
from sim.evaluation.video import Panel, changed_geoms, render_video
from sim.robot.robot import Robot, load_robot
from sim.robot.scenery import goal_marker, make_planes_endless
from sim.scenarios.change import Change


@pytest.fixture
def cheetah() -> Robot:
    return load_robot("half_cheetah")


def geom_bodies(robot: Robot, geoms: list[int]) -> set[str]:
    return {robot.model.body(int(robot.model.geom_bodyid[g])).name for g in geoms}


@pytest.mark.parametrize(
    ("change", "bodies"),
    [
        (Change(actuator_gain={"fshin": 0.0}), {"fshin"}),
        (Change(actuator_gain={"fshin": 0.0, "bfoot": 0.5}), {"fshin", "bfoot"}),
        (Change(body_mass={"torso": 2.0}), {"torso"}),
        (Change(damping={"bthigh": 3.0}), {"bthigh"}),
        (Change(external_force={"ffoot": (1.0, 0.0, 0.0)}), {"ffoot"}),
        (Change(friction={"floor": 0.5}), {"world"}),
        (Change(body_mass=2.0, slope_deg=5.0), set()),
        (Change(), set()),
    ],
)
def test_what_a_change_names_is_coloured(cheetah: Robot, change: Change, bodies: set[str]):
    assert geom_bodies(cheetah, changed_geoms(cheetah, change)) == bodies


def test_a_weak_rotor_colours_one_geom_of_the_quadrotor():
    robot = load_robot("quadrotor")
    names = list(robot.elements.actuators)

    coloured = [changed_geoms(robot, Change(actuator_gain={name: 0.5})) for name in names]

    assert [len(geoms) for geoms in coloured] == [1] * 4
    assert len({geoms[0] for geoms in coloured}) == 4


def red_pixels(frame: np.ndarray) -> int:
    red, green, blue = (frame[..., i].astype(int) for i in range(3))
    return int(((red > 90) & (red > 2 * green) & (red > 2 * blue)).sum())


@pytest.mark.usefixtures("renderer")
def test_the_broken_part_turns_red_when_it_breaks(cheetah: Robot, tmp_path: Path):
    qpos = np.tile(cheetah.initial.sample(0)[0], (6, 1))
    changes = [Change()] * 3 + [Change(actuator_gain={"bthigh": 0.0})] * 3
    drawn: list[int] = []

    render_video(
        cheetah, [Panel("left", qpos), Panel("right", qpos)], changes, tmp_path / "out" / "a.mp4", lambda: drawn.append(1)
    )

    with imageio.get_reader(tmp_path / "out" / "a.mp4") as reader:
        frames = [np.asarray(f) for f in reader]
        assert reader.get_meta_data()["fps"] == 20.0
    assert len(frames) == len(drawn) == 6
    assert all(f.shape == (drawing.HEIGHT, 2 * drawing.WIDTH, 3) for f in frames)
    # below the middle third there is only the caption
    red = [
        [red_pixels(f[: drawing.HEIGHT * 3 // 4, half]) for half in (slice(0, drawing.WIDTH), slice(drawing.WIDTH, None))]
        for f in frames
    ]
    assert max(max(pair) for pair in red[:3]) < 20
    assert min(min(pair) for pair in red[3:]) > 100
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.mp4"]


@pytest.mark.usefixtures("renderer")
def test_the_marker_shows_the_goal_and_moves_with_it(tmp_path: Path):
    robot = load_robot("quadrotor")
    still = np.tile(robot.initial.sample(0)[0], (3, 1))
    # the last one is out of sight
    goals = np.array([[-0.2, 0.0, 1.7], [0.2, 0.0, 1.7], [0.0, 0.0, -9.0]], dtype=np.float32)

    centres = []
    for given in (goals, None):
        render_video(robot, [Panel("a", still)], [Change()] * 3, tmp_path / "a.mp4", goals=given)
        with imageio.get_reader(tmp_path / "a.mp4") as reader:
            # above the clock's line there are only its digits, which hardly change
            frames = [np.asarray(f).astype(int)[50:] for f in reader]
        changed = [np.abs(f - frames[2]).max(-1) > 60 for f in frames]
        centres.append([float(np.nonzero(c)[1].mean()) if c.sum() > 20 else None for c in changed])

    left, right, hidden = centres[0]
    assert left is not None
    assert right is not None
    assert hidden is None
    assert left + 20 < right
    assert centres[1] == [None, None, None]


def test_goals_that_are_no_positions_and_robots_without_a_marker_show_none(cheetah: Robot):
    quadrotor = copy.deepcopy(load_robot("quadrotor").model)
    site = quadrotor.site("goal").id

    assert goal_marker(copy.deepcopy(cheetah.model), 3) is None
    assert goal_marker(quadrotor, 2) is None
    assert quadrotor.site_group[site] == 3
    assert goal_marker(quadrotor, 3) == site
    assert quadrotor.site_group[site] == 0


def test_without_a_renderer_the_error_says_what_to_install(cheetah: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawing_process, "available_renderers", list)

    with pytest.raises(VideoError, match="libegl1 or libosmesa6"):
        render_video(cheetah, [Panel("a", np.zeros((1, 9)))], [Change()], tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("renderer")
def test_a_renderer_that_fails_is_an_error_and_leaves_an_older_video_alone(cheetah: Robot, tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"older")

    # the wrong number of joint positions fails in the process that draws
    with pytest.raises(VideoError, match=r"the renderer '.+' failed: .+"):
        render_video(cheetah, [Panel("a", np.zeros((1, 3)))], [Change()], tmp_path / "a.mp4")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"older"]


@pytest.mark.parametrize(
    ("working", "wanted", "picked"),
    [([], "", None), (["egl", "osmesa"], "", "egl"), (["egl", "osmesa"], "osmesa", "osmesa"), (["osmesa"], "glfw", "osmesa")],
)
def test_the_users_own_renderer_comes_first_if_it_works(
    monkeypatch: pytest.MonkeyPatch, working: list[str], wanted: str, picked: str | None
):
    monkeypatch.setattr(drawing_process, "available_renderers", lambda: working)
    monkeypatch.setenv("MUJOCO_GL", wanted)

    assert pick_renderer() == picked


def test_a_renderer_is_tried_once(monkeypatch: pytest.MonkeyPatch):
    tried = []

    def run(command: list[str], env: dict[str, str], **settings: object) -> subprocess.CompletedProcess[str]:
        tried.append(env["MUJOCO_GL"])
        return subprocess.CompletedProcess(command, 1 if env["MUJOCO_GL"] == "broken" else 0)

    monkeypatch.setattr(renderers, "RENDERERS", ("broken", "sound"))
    monkeypatch.setattr(renderers.subprocess, "run", run)

    assert [renderers.available_renderers() for _ in range(2)] == [["sound"], ["sound"]]
    assert tried == ["broken", "sound"]


def test_the_floor_has_no_end_and_keeps_its_pattern() -> None:
    model = load_robot("half_cheetah").model
    drawn = copy.deepcopy(model)
    make_planes_endless(drawn)
    floor = model.geom("floor").id
    material = model.geom_matid[floor]
    tiles_per_metre = model.mat_texrepeat[material] / (2 * model.geom_size[floor, :2])
    assert np.all(drawn.geom_size[floor, :2] == 0)
    np.testing.assert_allclose(drawn.mat_texrepeat[material], tiles_per_metre)


def test_a_robot_whose_episode_is_shorter_stands_still_at_its_end():
    qpos = np.arange(6.0).reshape(3, 2)

    assert video._held(qpos, 5).tolist() == [[0, 1], [2, 3], [4, 5], [4, 5], [4, 5]]
    assert video._held(qpos, 2).tolist() == [[0, 1], [2, 3]]
