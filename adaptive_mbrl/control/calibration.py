"""Chooses the number format of the planner's predictions on this machine: by the time of a step and by what it changes in plans.

A plan is made of random candidates, so that two plans from the same state differ anyway. A number format with fewer digits
changes a plan with the same candidates, too. Where this is a small part of that, it is taken to cost little return. What is
compared are first plans, from observations like those of the training data, before anything was adapted to.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.control.step import PRECISIONS, Precision
from adaptive_mbrl.timing import in_turn, timed

Array = NDArray[np.float32]
STATES = 16
"""Number of observations from which plans are compared."""
SMALLEST_SPREAD = 1e-6
"""Taken for the standard deviation of actions that do not depend on the noise [half ranges]."""
LARGEST_TIME_SHARE = 0.9
"""Largest share of float32's time in which bfloat16 is worth its rounding."""
LARGEST_ERROR = 0.25
"""Largest change of an action by rounding [standard deviations over the planner's noise]."""


class Calibration(NamedTuple):
    """What was measured.

    Attributes:
        time_share: median time of a control step in bfloat16, as a share of that in float32.
        action_error: root mean square change of the planned action by bfloat16, in standard deviations over the planner's noise.
    """

    time_share: float
    action_error: float

    @property
    def precision(self) -> Precision:
        """What is to be used."""
        return "bfloat16" if self.time_share <= LARGEST_TIME_SHARE and self.action_error <= LARGEST_ERROR else "float32"

    def __str__(self) -> str:
        return (
            f"{self.precision}: in bfloat16 a control step takes {self.time_share:.2f} of the time, and rounding changes actions "
            f"by {self.action_error:.2g} standard deviations over the planner's noise"
        )


def action_error(plan: Callable[[Precision, list[int]], Array], half_range: Array) -> float:
    """Root mean square change of the planned action by rounding, in standard deviations over the planner's noise.

    Args:
        plan: the first action planned from each of `STATES` observations, (STATES, action_dim), in a number format and with a
            noise seed for each of them.
        half_range: half the range of each action, (action_dim,).
    """
    first, second = list(range(STATES)), list(range(STATES, 2 * STATES))
    exact, rounded = (np.stack([plan(p, seeds) for seeds in (first, second)]) / half_range for p in PRECISIONS)
    # two draws differ by sqrt(2) standard deviations
    spread = np.sqrt(np.square(exact[0] - exact[1]).mean() / 2)
    error = np.sqrt(np.square(rounded - exact).mean())
    # without noise, as of a planner with one candidate, nothing is small
    return float(error / max(spread, SMALLEST_SPREAD))


def time_share(step: Callable[[Precision], object]) -> float:
    """The time of a control step in bfloat16 as a share of that in float32; the two take turns.

    Args:
        step: takes a control step of one robot in a number format.
    """
    took = in_turn({precision: timed(partial(step, precision)) for precision in PRECISIONS}, seconds=0.0)
    exact, rounded = (statistics.median(took[precision]) for precision in PRECISIONS)
    return rounded / exact
