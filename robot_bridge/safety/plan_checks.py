"""Whether there is a plan that can be followed, and whether the model that it rests on is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.faults import Fault

Array = NDArray[np.float64]


class PlanChecks:
    """Looks at the plan of each control step.

    Args:
        config: how many deadlines may be missed, and how large the model's error may be.
        action_dim: number of action channels.
    """

    def __init__(self, config: SafetyConfig, action_dim: int) -> None:
        self._config, self._action_dim = config, action_dim
        self._missed_in_a_row = self._model_error_steps = 0

    def forget(self) -> None:
        """What was before does not count any more, because control starts anew."""
        self._missed_in_a_row = self._model_error_steps = 0

    def of_plan(self, plan: Array | None, missed: int) -> list[Fault]:
        """The faults of a plan, (action_dim,) or None for none; `missed` as in `SafetySupervisor.decide`."""
        self._missed_in_a_row = self._missed_in_a_row + missed if missed else 0
        if plan is None:
            return [Fault("no_plan", "no plan")]
        if np.shape(plan) != (self._action_dim,) or not np.isfinite(plan).all():
            return [Fault("no_plan", f"the plan is not {self._action_dim} finite numbers")]
        if self._missed_in_a_row > self._config.max_missed_deadlines:
            words = f"{self._missed_in_a_row} deadlines missed in a row; allowed: {self._config.max_missed_deadlines}"
            return [Fault("missed_deadlines", words)]
        return []

    def of_model(self, error: float) -> list[Fault]:
        """The fault of a model whose one-step error [target stds] has been too large again and again; NaN is not known."""
        limit = self._config.max_model_error
        self._model_error_steps = self._model_error_steps + 1 if limit > 0 and error > limit else 0
        if self._model_error_steps < self._config.model_error_steps:
            return []
        words = f"model error {error:.2f} target stds, above {limit:g} for {self._model_error_steps} steps"
        return [Fault("model_error", words)]
