"""Adapting can hurt: a controller notices it, robot by robot, and plans under the prior meanwhile."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.meta.trainer import MetaTrainer
from tests.core.analytic import push
from tests.core.driving import START, STEPS, controller, goal_at, run


def harmful(trained: MetaTrainer, log_step_size: float) -> NetworkAdapter:
    adapter = copy.deepcopy(trained.adapter)
    for parameter in adapter.rules[0].log_step_sizes.values():
        parameter.data.fill_(log_step_size)
    return adapter


@pytest.mark.parametrize("log_step_size", [3.0, 80.0, 1000.0], ids=["wild", "enormous", "not finite"])
def test_it_falls_back_to_the_prior_when_adaptation_does_harm(trained: MetaTrainer, log_step_size: float):
    """Also when the belief is so wrong that its predictions are no numbers any more."""
    ran = run(controller(trained, adapter=harmful(trained, log_step_size)), 0.8, 0.25)

    assert ran.fell_back[5:].all()
    assert np.isfinite(ran.action).all()
    frozen = run(controller(trained, adapt=False), 0.8, 0.25)
    # the first steps were taken under the harmful belief, so compare how well the later ones follow the goal
    goals = np.stack([goal_at(t) for t in range(STEPS)])
    miss, frozen_miss = (np.abs(r.obs[30:, :1] - goals[30:]).mean() for r in (ran, frozen))
    assert miss < 1.3 * frozen_miss


def test_the_fallback_can_be_switched_off(trained: MetaTrainer):
    ran = run(controller(trained, adapter=harmful(trained, 3.0), fallback=False), 0.8, 0.25, steps=20)

    assert not ran.fell_back.any()
    assert ran.adapted_error[10:].mean() > 2 * ran.prior_error[10:].mean()


def test_it_returns_to_the_belief_when_that_becomes_useful_again(trained: MetaTrainer):
    """One robot's sensor jumps for a while, which no adaptation can follow; then all is well."""
    driven, obs = controller(trained), START
    fell_back = []
    for t in range(80):
        jump = np.float32([3.0 * (-1) ** t, 0.0]) if 10 <= t < 20 else 0.0
        command = driven.step(obs + jump, goal_at(t))
        fell_back.append(bool(command.info.fell_back[0]))
        obs = push(obs, command.action, 0.3)

    assert not any(fell_back[60:])


def test_one_robots_harm_is_not_anothers(trained: MetaTrainer):
    """Only the second of two robots sees a sensor that jumps."""
    driven, obs = controller(trained), np.stack([START, START])
    fell_back = []
    for t in range(30):
        jump = np.zeros_like(obs)
        jump[1] = [4.0 * (-1) ** t, 3.0 * (-1) ** (t // 2)]
        command = driven.step(obs + jump, np.tile(goal_at(t), (2, 1)))
        fell_back.append(command.info.fell_back)
        obs = push(obs, command.action, 0.3)

    assert not np.stack(fell_back)[10:, 0].any()
