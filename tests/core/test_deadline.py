"""A plan is wanted at a moment: what cannot be finished until then is not begun."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest
import torch

from adaptive_mbrl.control.compiled import why_not_compiled
from adaptive_mbrl.control.deadline import Deadline
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.errors import ConfigError
from tests.core.analytic import POINT, POINT_WINDOW, TINY_PLANNER, TO_ORIGIN
from tests.core.driving import control_settings
from tests.core.rules import point_adapter

OBS = np.array([0.3, 0.0], np.float32)


def controller(**planner: object) -> AdaptiveController:
    settings = control_settings(point_adapter("gradient"), TO_ORIGIN, dataclasses.replace(TINY_PLANNER, **planner))
    return AdaptiveController(POINT, settings, POINT_WINDOW)


def test_a_round_that_would_end_too_late_is_not_begun():
    times = iter([0.0, 1.0, 2.5, 3.5])
    is_late = Deadline(4.0, lambda: next(times))

    # one second each but the second round, which took 1.5 s and would end at 4.0; after the third one 4.5 is too late
    assert [is_late() for _ in range(3)] == [False, False, True]


def test_what_comes_before_the_first_round_does_not_count_as_one():
    times = iter([0.0, 10.0, 11.0])
    is_late = Deadline(12.5, lambda: next(times))
    is_late.begin()

    assert not is_late()


def test_what_is_late_is_planned_with_the_first_candidates():
    """The deadline is over before the step begins, so that one iteration is made; all candidates of it fit into one round."""
    cut, short = controller(num_iterations=3), controller(num_iterations=1)

    assert np.array_equal(
        cut.step(OBS, options=StepOptions(deadline=time.perf_counter())).plan,
        short.step(OBS).plan,
    )


def test_a_deadline_that_is_far_away_changes_nothing():
    far = StepOptions(deadline=time.perf_counter() + 1e6)

    assert np.array_equal(controller().step(OBS, options=far).plan, controller().step(OBS).plan)


@pytest.mark.skipif(bool(why_not_compiled(torch.device("cpu"))), reason=why_not_compiled(torch.device("cpu")))
def test_a_compiled_step_cannot_be_cut_short():
    compiled = controller().with_compile("inductor")

    with pytest.raises(ConfigError, match="deadline: a step that is compiled or runs on a GPU cannot be cut short"):
        compiled.step(OBS, options=StepOptions(deadline=0.0))


def test_a_deadline_is_a_time():
    with pytest.raises(ConfigError, match=r"deadline: got nan; allowed: a time of time.perf_counter\(\) \[s\]"):
        controller().step(OBS, options=StepOptions(deadline=math.nan))
