"""Before the robot moves: how long a plan takes on this machine, in which precision, and how far ahead it must begin."""

from __future__ import annotations

import time

import numpy as np

from adaptive_mbrl.controller import AdaptiveController

WARM_UP_STEPS = 8
TIME_RESERVE = 1.3
"""Time that a plan is given, in times that it takes on a quiet machine."""
MAX_OVERHEAD = 0.9
"""On a GPU, say, nearly all of the time is there whatever the number of candidates; a little hope in fewer of them is left."""
MAX_BFLOAT16_TIME = 0.9
"""Bfloat16 is used where it takes less than this share of float32's time."""


def warm_up(controller: AdaptiveController, seconds: float) -> tuple[float, float]:
    """Take the first, slow steps before the robot moves, and plan in bfloat16 if there is no time for float32.

    Bfloat16 may cost return, fewer candidates cost more (benchmarks/latency_cost.py).

    Args:
        controller: is left as after a reset.
        seconds: that there are for a plan at most [s].

    Returns:
        How long a control step takes [s], and the share of it that does not depend on the number of candidates.
    """
    full, few = controller.planner.config.num_samples, controller.planner.least_samples
    controller.bfloat16 = False
    took = step_seconds(controller, full)
    if TIME_RESERVE * took > seconds:
        controller.bfloat16 = True
        faster = step_seconds(controller, full)
        controller.bfloat16 = faster < MAX_BFLOAT16_TIME * took
        took = faster if controller.bfloat16 else took
    per_sample = (took - step_seconds(controller, few)) / (full - few) if few < full else 0.0
    controller.reset()
    return took, min(max(1 - full * per_sample / took, 0.0), MAX_OVERHEAD)


def step_seconds(controller: AdaptiveController, num_samples: int) -> float:
    """How long a control step takes, one in each control period: between them caches and clocks cool down [s]."""
    mean = controller.adapter.model.normalizer.obs_mean.cpu().numpy()
    goal, on_the_way = np.zeros(controller.objective.goal_dim), np.zeros((1, controller.spec.action_dim))
    took = []
    for _ in range(WARM_UP_STEPS):
        began = time.perf_counter()
        controller.step(mean, goal, pending=on_the_way, num_samples=num_samples)
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
