"""recovery.png."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from matplotlib.figure import Figure

from sim.evaluation.evaluate import Evaluation, evaluate
from sim.evaluation.performance import performance
from sim.evaluation.plots import _mark_changes, align, plot_recovery, recovery_figure, trailing_mean
from sim.evaluation.setup import prepare
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange

MakeCheckpoint = Callable[..., Path]


def cheetah_evaluation(make_checkpoint: MakeCheckpoint, tmp_path: Path, episodes: int) -> Evaluation:
    path = tmp_path / "broken.yaml"
    path.write_text("robot: half_cheetah\nsteps: 20\nchanges:\n  - {at: 8, actuator_gain: {bshin: 0.0}}\n")
    return evaluate(prepare(make_checkpoint(tmp_path / "meta", robot="half_cheetah"), path, episodes=episodes))


@pytest.mark.parametrize("episodes", [1, 2])
def test_figure_shows_speed_and_error_of_every_arm_and_the_change(make_checkpoint: MakeCheckpoint, tmp_path: Path, episodes: int):
    figure = recovery_figure(cheetah_evaluation(make_checkpoint, tmp_path, episodes))

    above, below = figure.axes
    shown = [line.get_label() for line in above.lines if not line.get_label().startswith("_")]
    assert shown == ["oracle", "frozen", "adaptive"]
    assert above.get_ylabel() == "forward speed [m/s]"
    assert below.get_xlabel() == "time since the change [s]"
    assert above.lines[0].get_xdata() == pytest.approx(np.arange(-8, 12) * 0.05)
    # the oracle has no model; the first step has no error
    assert [len(line.get_xdata()) for line in below.lines[:2]] == [19, 19]
    assert [list(axes.lines[-1].get_xdata()) for axes in figure.axes] == [[0.0, 0.0]] * 2
    assert [text.get_text() for text in above.texts] == ["actuator gain bshin 0"]
    assert len(above.collections) == (3 if episodes > 1 else 0)


def test_a_robot_without_a_rewarded_velocity_shows_its_reward(
    make_checkpoint: MakeCheckpoint, cartpole_scenario: Path, tmp_path: Path
):
    evaluation = evaluate(prepare(make_checkpoint(tmp_path / "meta"), cartpole_scenario, episodes=2, oracle=False))

    plot_recovery(evaluation, tmp_path / "out" / "recovery.png")

    arm = evaluation.arms["adaptive"]
    assert np.array_equal(performance(evaluation.setup.robot, arm.episodes, arm.steps), arm.rewards)
    assert recovery_figure(evaluation).axes[0].get_ylabel() == "reward per step"
    picture = imageio.imread(tmp_path / "out" / "recovery.png")
    assert picture.shape[:2] == (845, 1170)
    # a colour as one number, because rows are slowly sorted
    assert len(np.unique(picture.astype(np.uint32) @ (1 << 8 * np.arange(picture.shape[-1], dtype=np.uint32)))) > 100


def test_align_puts_every_change_at_0():
    steps, aligned = align(np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), [1, 3])

    assert list(steps) == [-3, -2, -1, 0, 1, 2]
    assert np.array_equal(aligned, [[np.nan, np.nan, 1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0, np.nan, np.nan]], equal_nan=True)


def test_trailing_mean_looks_back_only_and_skips_what_is_not_known():
    values = np.array([[np.nan, 2.0, 4.0, 6.0, 8.0], [1.0, 1.0, 1.0, 5.0, 5.0]])

    mean = trailing_mean(values, 2)

    assert np.array_equal(mean, [[np.nan, 2.0, 3.0, 5.0, 7.0], [1.0, 1.0, 1.0, 3.0, 5.0]], equal_nan=True)


def test_a_mark_of_many_changes_says_which_of_them_is_the_last():
    gains = [(0.5, 0.2), (0.6, 0.3), (0.7, 0.4)]
    scenarios = [
        Scenario("cartpole", 40, 0, (ScheduledChange(5, Change(actuator_gain=a)), ScheduledChange(20, Change(actuator_gain=b))))
        for a, b in gains
    ]
    axes = Figure().subplots()

    _mark_changes(axes, scenarios, dt=0.1)

    assert [text.get_text() for text in axes.texts] == ["a change", "the last change"]
    assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx([-1.5, 0.0])
