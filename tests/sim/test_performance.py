"""What a viewer reads about a robot at each control step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from adaptive_mbrl.data.episode import Episode
from sim.evaluation.performance import performance, performance_label, readings
from sim.evaluation.video import captions_of
from sim.robot.robot import load_robot
from sim.scenarios.change import Change


def episode(robot_name: str, speeds: list[float], rewards: list[float]) -> Episode:
    spec = load_robot(robot_name).spec
    obs = np.zeros((len(speeds) + 1, spec.obs_dim), np.float32)
    obs[1:, 0] = speeds
    return Episode(obs, np.zeros((len(speeds), spec.action_dim), np.float32), np.array(rewards, np.float32), {})


def test_speed_and_distance_of_a_robot_that_runs():
    run = episode("half_cheetah", [2.0, 4.0, -1.0], [0.0, 0.0, 0.0])

    # dt is 0.05 s
    assert readings(load_robot("half_cheetah"), run) == ["2.0 m/s, 0.1 m", "4.0 m/s, 0.3 m", "-1.0 m/s, 0.2 m"]


def test_the_return_so_far_of_other_robots():
    assert readings(load_robot("cartpole"), episode("cartpole", [1.0, 1.0], [0.5, 0.75])) == ["return 0.5", "return 1.2"]


def test_performance_is_0_after_an_end():
    robot = load_robot("half_cheetah")

    whole, short = episode("half_cheetah", [1.0, 2.0], [0, 0]), episode("half_cheetah", [3.0], [0])

    values = performance(robot, [whole, dataclasses.replace(short, ended=True), short], steps=2)

    assert values == pytest.approx(np.array([[1.0, 2.0], [3.0, 0.0], [3.0, np.nan]]), nan_ok=True)


def test_captions_count_the_seconds_since_each_change():
    heavy, heavier = Change(body_mass=1.2), Change(body_mass=1.4)

    captions = captions_of([Change(), heavy, heavy, heavier], 0.5)

    assert captions == ["", "body mass 1.2, for 0.0 s", "body mass 1.2, for 0.5 s", "body mass 1.4, for 0.0 s"]


def test_the_label_names_what_is_rewarded_if_anything_is():
    alive = load_robot("cartpole_balance")
    assert [term.kind for term in alive.objective.terms] == ["healthy"]
    assert performance_label(alive) == ("reward", "reward per step")
    assert performance_label(load_robot("cartpole"))[0].startswith("reward for ")
