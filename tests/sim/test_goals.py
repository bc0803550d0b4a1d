"""Goals that move follow the path that their name says."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from sim.robot.goals import Goal

NAMES = ("x", "y", "z")


def test_a_fixed_goal_stays() -> None:
    goals = Goal(NAMES, "fixed", (1.0, 2.0, 3.0)).sample(0, 4, 0.1)
    np.testing.assert_array_equal(goals, np.tile([1.0, 2.0, 3.0], (4, 1)))


def test_one_draw_per_episode_unless_told_otherwise() -> None:
    goals = Goal(("x",), "uniform", (0.0,), (1.0,)).sample(5, 100, 0.1)
    assert np.all(goals == goals[0])


def test_a_circle_keeps_its_radius_and_closes() -> None:
    goals = Goal(NAMES, "circle", (1.0, 2.0, 3.0), (0.5, 0.5, 0.0), period_s=(4.0, 4.0)).sample(0, 80, 0.1)
    np.testing.assert_allclose(np.hypot(goals[:, 0] - 1, goals[:, 1] - 2), 0.5, atol=1e-6)
    np.testing.assert_allclose(goals[:40], goals[40:], atol=1e-6)
    np.testing.assert_allclose(goals[:, 2], 3.0)


def test_a_figure_eight_crosses_its_centre_twice_per_period() -> None:
    goals = Goal(NAMES, "figure_eight", (0.0, 0.0, 1.0), (1.0, 0.5, 0.0), period_s=(4.0, 4.0)).sample(0, 40, 0.1)
    at_centre = np.hypot(goals[:, 0], goals[:, 1]) < 1e-6
    assert at_centre.sum() == 2
    np.testing.assert_allclose(goals.min(axis=0), [-1.0, -0.5, 1.0], atol=0.02)


@pytest.mark.parametrize("kind", ["circle", "figure_eight"])
def test_period_and_phase_are_drawn_per_episode(kind: str) -> None:
    goal = Goal(NAMES, kind, (0.0,) * 3, (1.0,) * 3, period_s=(3.0, 6.0), random_phase=True)
    np.testing.assert_array_equal(goal.sample(1, 50, 0.05), goal.sample(1, 50, 0.05))
    assert not np.allclose(goal.sample(1, 50, 0.05), goal.sample(2, 50, 0.05))
    # a longer look ahead does not change what comes first
    np.testing.assert_array_equal(goal.sample(1, 70, 0.05)[:50], goal.sample(1, 50, 0.05))


def test_a_period_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'period_s' \[8.0, 6.5\] must be"):
        Goal(NAMES, "circle", (0.0, 0.0, 0.0), (1.0, 1.0, 0.0), period_s=(8.0, 6.5))
