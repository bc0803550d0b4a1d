"""From a caller's arrays to the tensors of a control step: every mistake is found here, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.control.step import StepInputs
from adaptive_mbrl.errors import ObservationError
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class StepOptions:
    """What a caller may know beside the observation and the goal; the defaults are those of a simulation.

    Attributes:
        sent: the action that the robot really got since the step before, shaped like the action, where noise, a limit or a
            supervisor made it differ from the command; None for the command itself. Without meaning at the first step. A delay
            that the controller finds comes on top: it may act later still.
        after_gap: more than one control period has passed since the step before: what lies between is no transition to learn
            from.
        pending: actions that are on their way and will act before the plan's first one, one control period each,
            (number, action_dim) or (B, number, action_dim): the plan starts from the obs that the model predicts after them. This
            is the latency that is known; a delay that the controller finds comes on top.
        latest: an observation that is newer than `obs` by a part of a control period, shaped like it: the plan starts from here,
            while `obs` and the ones before, a control period apart, are what is learned from.
        remaining: share of its control period that the first pending action still acts after `latest`, or after `obs`.
        num_samples: candidates of this step, where there is no time for the configured number.
        deadline: when the plan is wanted, by `time.perf_counter` [s]: where time runs out, fewer candidates and iterations are
            made. The first candidates are scored in any case. A compiled step cannot be cut short.
        freeze: keep the belief as it is. What is seen meanwhile is still kept in the window; a recursive rule such as `recurrent`
            takes up one transition at a time and so misses it. Together with `after_gap` the window is kept as it is, too.
    """

    sent: np.ndarray | None = None
    after_gap: bool = False
    pending: np.ndarray | None = None
    latest: np.ndarray | None = None
    remaining: float = 1.0
    num_samples: int | None = None
    deadline: float | None = None
    freeze: bool = False


class InputChecker:
    """Checks and converts arrays for one controller.

    Args:
        spec: the robot.
        goal_dim: number of values of the objective's goal.
        horizon: H, rows of a moving goal.
        device: where the tensors are needed.
    """

    def __init__(self, spec: RobotSpec, goal_dim: int, horizon: int, device: torch.device) -> None:
        self.spec, self.goal_dim, self.horizon, self.device = spec, goal_dim, horizon, device

    def inputs(self, obs: np.ndarray, goal: np.ndarray | None, options: StepOptions, last_action: Tensor | None) -> StepInputs:
        """The tensors of a control step.

        Args:
            obs: (obs_dim,) for one robot or (B, obs_dim).
            goal: (goal_dim,) or (B, goal_dim), or with a horizon axis before the last one; None where the objective has none.
            options: what else is known.
            last_action: what was commanded for the time since the step before, (B, action_dim); None at the first step.

        Raises:
            ObservationError: an array has a wrong shape or is not finite.
        """
        array = self._checked("obs", obs, self.spec.obs_names)
        robots = 1 if array.ndim == 1 else len(array)
        if last_action is not None and robots != len(last_action):
            raise ObservationError(f"obs: got {robots} robots; {len(last_action)} since the last reset")
        obs_tensor = torch.as_tensor(array, device=self.device).view(robots, -1)
        return StepInputs(
            obs=obs_tensor,
            begin=obs_tensor if options.latest is None else self._latest(options.latest, robots),
            goal=self._goal(goal, robots),
            sent=self._sent(options.sent, array.shape[:-1], last_action, robots),
            connected=torch.full((robots,), not options.after_gap, device=self.device),
            pending=self._pending(options.pending, robots),
            remaining=torch.full((robots, 1), options.remaining, device=self.device),
            freeze=torch.full((robots,), options.freeze, device=self.device),
        )

    def _sent(self, sent: np.ndarray | None, leading: tuple[int, ...], last_action: Tensor | None, robots: int) -> Tensor:
        dim = self.spec.action_dim
        if sent is None:
            return torch.zeros(robots, dim, device=self.device) if last_action is None else last_action
        array = self._checked("sent", sent, self.spec.action_names)
        if array.shape[:-1] != leading:
            raise ObservationError(f"sent: got shape {array.shape} beside obs of shape {(*leading, self.spec.obs_dim)}")
        return torch.as_tensor(array, device=self.device).view(robots, dim)

    def _goal(self, goal: np.ndarray | None, robots: int) -> Tensor:
        dim = self.goal_dim
        if goal is None:
            if dim:
                raise ObservationError(f"goal: missing; the objective needs {dim} values")
            return torch.zeros(robots, 0, device=self.device)
        array = _own_array("goal", goal)
        if array.shape[-1:] != (dim,) or not np.isfinite(array).all():
            raise ObservationError(f"goal: expected {dim} finite values, got shape {array.shape}")
        array = array if array.ndim > 1 else np.tile(array, (robots, 1))
        if len(array) != robots:
            raise ObservationError(f"goal: got {len(array)} rows for {robots} robots")
        if array.ndim > 2 and array.shape[1:-1] != (self.horizon,):
            raise ObservationError(
                f"goal: got shape {array.shape}; a moving goal needs one row per step of the horizon, {self.horizon}"
            )
        return torch.as_tensor(array, device=self.device)

    def _latest(self, latest: np.ndarray, robots: int) -> Tensor:
        array = self._checked("latest", latest, self.spec.obs_names)
        if array.size != robots * self.spec.obs_dim:
            raise ObservationError(f"latest: got shape {array.shape} beside {robots} robots")
        return torch.as_tensor(array, device=self.device).view(robots, self.spec.obs_dim)

    def _pending(self, pending: np.ndarray | None, robots: int) -> Tensor:
        dim = self.spec.action_dim
        if pending is None:
            return torch.zeros(robots, 0, dim, device=self.device)
        array = _own_array("pending", pending)
        array = np.tile(array, (robots, 1, 1)) if array.ndim == 2 else array
        if array.ndim != 3 or array.shape[::2] != (robots, dim) or not np.isfinite(array).all():
            raise ObservationError(f"pending: expected finite values of shape (steps, {dim}), got shape {np.shape(pending)}")
        return torch.as_tensor(array, device=self.device)

    @staticmethod
    def _checked(what: str, values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        array = _own_array(what, values)
        if array.ndim not in (1, 2) or array.shape[-1] != len(names) or len(array) == 0:
            raise ObservationError(f"{what}: got shape {array.shape}; expected ({len(names)},) or (robots, {len(names)})")
        if not np.isfinite(array).all():
            column = int(np.argwhere(~np.isfinite(array))[0][-1])
            raise ObservationError(f"{what}: channel '{names[column]}' is not finite")
        return array


def _own_array(what: str, values: Any) -> np.ndarray:
    """A copy as float32: callers reuse their buffers, and the window must not change with them."""
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ObservationError(f"{what}: expected numbers, got {type(values).__name__}: {error}") from error
