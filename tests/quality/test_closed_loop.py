"""Shipped checkpoints in control: under a change, one that adapts earns more than the same one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.adaptation.reversal import ReversalConfig
from adaptive_mbrl.controller import AdaptiveController
from sim.episodes.policies import ControllerPolicy
from sim.scenarios.change import Change
from tests.quality.changes import CONTROLLED, run_changed
from tests.quality.shipped import ADAPTIVE

pytestmark = pytest.mark.slow

STEPS = 100
MARGINS = {"quadrotor": 10.0, "half_cheetah": 25.0, "cartpole": 1.0, "arm": 4.0}
"""Least gain in return, mean over the episodes; at most half of what two or three seeds of the planner's noise each gave."""
REPEATS = {"cartpole": 4}
"""Initial states for each change, where it is not one. The cart-pole needs several: whether a swing succeeds is half luck."""


def test_every_adaptive_checkpoint_is_driven():
    assert sorted(MARGINS) == ADAPTIVE


@pytest.mark.parametrize("name", MARGINS)
def test_adapting_earns_more_than_the_prior_alone(name: str):
    """Robots that are changed from the first step on, each arm from the same initial states and with the same planner's noise."""
    mean_return = {}
    for adapt in (True, False):
        policy = ControllerPolicy(AdaptiveController.load(name, adapt=adapt))
        episodes = run_changed(
            policy.controller.spec.name, CONTROLLED[name], policy, at=0, steps=STEPS, repeats=REPEATS.get(name, 1)
        )
        mean_return[adapt] = np.mean([e.reward.sum() for e in episodes])

    assert mean_return[True] > mean_return[False] + MARGINS[name]


def test_a_half_cheetah_runs_on_when_its_motors_are_reversed():
    """Sets of fully reversed motors at the edge of what training draws, beside the same controller that takes all to be right."""
    changes = (Change(actuator_gain=-1.0), Change(actuator_gain={"bthigh": -1.0, "bfoot": -1.0, "fthigh": -1.0, "fshin": -1.0}))
    earned = {}
    for reversals in (ReversalConfig(), None):
        policy = ControllerPolicy(AdaptiveController.load("half_cheetah", reversals=reversals))
        episodes = run_changed("half_cheetah", changes, policy, at=40, steps=160)
        earned[reversals is not None] = np.array([e.reward[60:].sum() for e in episodes])

    assert (earned[True] > 2 * earned[False].clip(min=0) + 100).all()
