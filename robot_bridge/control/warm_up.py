"""Measures before the robot moves how long a plan takes on this machine, and chooses precision and lead accordingly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from adaptive_mbrl.control.calibration import LARGEST_TIME_SHARE
from adaptive_mbrl.controller import AdaptiveController, Command, StepOptions

WARM_UP_STEPS = 8
"""Control steps of one measurement; the duration is the median of the second half."""
TIME_RESERVE = 1.3
"""Factor by which a plan's time limit exceeds the duration that was measured here."""
MAX_OVERHEAD = 0.9
"""Largest overhead that `warm_up` returns.
On a GPU the duration hardly depends on the number of candidates; the bound keeps `SampleBudget` able to cut the number."""


class WarmedUp(NamedTuple):
    """A controller that is ready, and how long it takes.

    Attributes:
        controller: the controller, in the precision with which the most candidates fit into the time, before its first step.
        seconds: duration of a control step [s].
        overhead: share of that duration that does not depend on the number of candidates.
    """

    controller: AdaptiveController
    seconds: float
    overhead: float


def warm_up(
    controller: AdaptiveController, seconds: float, inspect: Callable[[Command], object] = lambda command: None
) -> WarmedUp:
    """Take the first, slow control steps before the robot moves, and switch to bfloat16 if more candidates fit with it.

    Bfloat16 may cost return, but fewer candidates cost more (benchmarks/latency_cost.py). What does not depend on the number of
    candidates may take longer in it, so that it is faster with all of them and yet too slow with few. Where float32 is too slow
    with as few candidates as there may be, the faster format is taken.

    Args:
        controller: the robot's controller before its first step.
        seconds: longest time that a plan may take [s].
        inspect: what else is done with every plan on the thread that plans, which takes time as well.
    """
    ready = _measured(controller.with_precision("float32"), inspect)
    if TIME_RESERVE * ready.seconds > seconds:
        coarse = _measured(controller.with_precision("bfloat16"), inspect)
        if _is_better(coarse, ready, seconds):
            ready = coarse
    ready.controller.reset()
    ready.controller.compile_no_more()
    return ready


def _measured(controller: AdaptiveController, inspect: Callable[[Command], object]) -> WarmedUp:
    planner = controller.settings.planner
    full, few = planner.num_samples, planner.least_samples
    took = step_seconds(controller, full, inspect)
    per_sample = (took - step_seconds(controller, few, inspect)) / (full - few) if few < full else 0.0
    return WarmedUp(controller, took, min(max(1 - full * per_sample / took, 0.0), MAX_OVERHEAD))


def _is_better(coarse: WarmedUp, fine: WarmedUp, seconds: float) -> bool:
    """Whether clearly more candidates fit into the time with the coarse format; if none do with the fine one, which is faster."""
    if _fitting(fine, seconds) > 0:
        return LARGEST_TIME_SHARE * _fitting(coarse, seconds) > _fitting(fine, seconds)
    return _least_seconds(coarse) < LARGEST_TIME_SHARE * _least_seconds(fine)


def _fitting(warmed_up: WarmedUp, seconds: float) -> float:
    """How many candidates fit into the time there is, with the reserve kept; 0 if the planner needs more than that."""
    planner = warmed_up.controller.settings.planner
    share = (seconds / TIME_RESERVE / warmed_up.seconds - warmed_up.overhead) / (1 - warmed_up.overhead)
    fitting = min(share, 1.0) * planner.num_samples
    return fitting if fitting >= planner.least_samples else 0.0


def _least_seconds(warmed_up: WarmedUp) -> float:
    """Duration of a control step with as few candidates as there may be [s]."""
    planner = warmed_up.controller.settings.planner
    return warmed_up.seconds * (
        warmed_up.overhead + (1 - warmed_up.overhead) * min(planner.least_samples, planner.num_samples) / planner.num_samples
    )


def step_seconds(controller: AdaptiveController, num_samples: int, inspect: Callable[[Command], object]) -> float:
    """Median duration of a control step with what follows it, as `warm_up` explains [s].

    There is one step in each control period, as on the robot: caches and processor clocks are cold again after a pause.
    """
    mean = controller.settings.adapter.normalizer.obs_mean.cpu().numpy()
    goal = np.zeros(controller.settings.score.reward.goal_dim)
    options = StepOptions(pending=np.zeros((1, controller.spec.action_dim)), num_samples=num_samples)
    took = []
    for _ in range(WARM_UP_STEPS):
        began = time.perf_counter()
        inspect(controller.step(mean, goal, options))
        took.append(time.perf_counter() - began)
        time.sleep(max(0.0, controller.spec.dt - took[-1]))
    # the first steps are slower because they allocate memory and choose algorithms
    return float(np.median(took[WARM_UP_STEPS // 2 :]))


def lead_for(seconds: float, dt: float, deadline: float) -> float:
    """The lead for plans of this duration [s]: the share of the control period between their start and their command.

    A lead of more than half a period is rounded up to a whole one. A newer observation is then worth no more than what the
    prediction over a part of a period loses (benchmarks/latency_cost.py), and a whole period gives a plan twice the time.
    """
    lead = TIME_RESERVE * seconds / (deadline * dt)
    return lead if lead <= 0.5 else 1.0
