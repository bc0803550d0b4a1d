"""Before the robot moves: how long a plan takes on this machine, in which precision, and how far ahead it must begin."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from adaptive_mbrl.controller import AdaptiveController, StepOptions

WARM_UP_STEPS = 8
TIME_RESERVE = 1.3
"""Time that a plan is given, in times that it takes on a quiet machine."""
MAX_OVERHEAD = 0.9
"""On a GPU, say, nearly all of the time is there whatever the number of candidates; a little hope in fewer of them is left."""
MAX_BFLOAT16_TIME = 0.9
"""Bfloat16 is used where it takes less than this share of float32's time."""


class WarmedUp(NamedTuple):
    """A controller that is ready, and how long it takes.

    Attributes:
        controller: in the precision that fits the time there is, as after a reset.
        seconds: duration of a control step [s].
        overhead: share of it that does not depend on the number of candidates.
    """

    controller: AdaptiveController
    seconds: float
    overhead: float


def warm_up(controller: AdaptiveController, seconds: float) -> WarmedUp:
    """Take the first, slow steps before the robot moves, and plan in bfloat16 if there is no time for float32.

    Bfloat16 may cost return, fewer candidates cost more (benchmarks/latency_cost.py).

    Args:
        controller: a controller before its first step.
        seconds: that there are for a plan at most [s].
    """
    full, few = controller.settings.planner.num_samples, controller.settings.planner.least_samples
    controller = controller.with_precision("float32")
    took = step_seconds(controller, full)
    if TIME_RESERVE * took > seconds:
        coarse = controller.with_precision("bfloat16")
        faster = step_seconds(coarse, full)
        if faster < MAX_BFLOAT16_TIME * took:
            controller, took = coarse, faster
    per_sample = (took - step_seconds(controller, few)) / (full - few) if few < full else 0.0
    controller.reset()
    return WarmedUp(controller, took, min(max(1 - full * per_sample / took, 0.0), MAX_OVERHEAD))


def step_seconds(controller: AdaptiveController, num_samples: int) -> float:
    """How long a control step takes, one in each control period: between them caches and clocks cool down [s]."""
    mean = controller.settings.adapter.normalizer.obs_mean.cpu().numpy()
    goal = np.zeros(controller.settings.score.reward.goal_dim)
    options = StepOptions(pending=np.zeros((1, controller.spec.action_dim)), num_samples=num_samples)
    took = []
    for _ in range(WARM_UP_STEPS):
        began = time.perf_counter()
        controller.step(mean, goal, options)
        took.append(time.perf_counter() - began)
        time.sleep(max(0.0, controller.spec.dt - took[-1]))
    # the first ones allocate and choose algorithms
    return float(np.median(took[WARM_UP_STEPS // 2 :]))


def lead_for(seconds: float, dt: float, deadline: float) -> float:
    """Share of the control period by which planning begins before its command is sent, for plans that take so long [s].

    Beyond half a period the plan begins at the tick before: what a newer observation is worth is lost again in the prediction of
    a part of a period (benchmarks/latency_cost.py), and a plan may then take twice as long.
    """
    lead = TIME_RESERVE * seconds / (deadline * dt)
    return lead if lead <= 0.5 else 1.0
