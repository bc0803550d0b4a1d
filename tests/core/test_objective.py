"""Reward terms against their formulas; differences of angles are taken on the circle."""

from __future__ import annotations

import math

import pytest
import torch

from adaptive_mbrl.objective import Objective, Term
from tests.core.analytic import MIXED

HEIGHT, PITCH = 2.0, 0.9 * math.pi


def reward(term: Term, goal_names: tuple[str, ...] = (), goal: tuple[float, ...] = ()) -> float:
    next_obs = torch.tensor([HEIGHT, PITCH, 3.0, -1.0])
    action = torch.tensor([2.0, 0.5])
    return Objective(MIXED, (term,), goal_names)(torch.zeros(4), action, next_obs, torch.tensor(goal)).item()


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Term("linear", 2.0, ("height", "speed")), 2 * (HEIGHT + 3)),
        (Term("quadratic", 2.0, ("height", "speed"), (1.0, 1.0)), -2 * (1 + 4)),
        (Term("distance", 2.0, ("height", "speed"), (-1.0, -1.0)), -2 * 5),
        (Term("cosine", 2.0, ("pitch",)), 2 * math.cos(PITCH)),
        (Term("tolerance", 2.0, ("height",), (1.0,), scale=2.0), 2 * math.exp(-1 / 4)),
        (Term("action_quadratic", 2.0), -2 * 4.25),
    ],
    ids=lambda value: value.kind if isinstance(value, Term) else "",
)
def test_every_term_is_what_it_says(term: Term, expected: float):
    assert reward(term) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("from_goal", [False, True])
@pytest.mark.parametrize(("kind", "expected"), [("quadratic", -0.04), ("distance", -0.2), ("tolerance", math.exp(-0.04))])
def test_an_angle_just_across_pi_is_near(kind: str, expected: float, from_goal: bool):
    target = PITCH + 0.2 - 2 * math.pi
    if from_goal:
        value = reward(Term(kind, 1.0, ("pitch",), goal=("wanted",)), ("wanted",), (target,))
    else:
        value = reward(Term(kind, 1.0, ("pitch",), (target,)))

    assert value == pytest.approx(expected, rel=1e-4)
