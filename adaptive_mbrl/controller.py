"""AdaptiveController: at every control step observe -> adapt -> plan -> act. All that a simulator or a robot needs.

The numerical step, from observation to action, works on tensors of fixed shape without a Python loop over samples and without
waiting for the device, so that it can be compiled or captured. Validation and conversion stay outside of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.checkpoint import load_checkpoint, require_robot
from adaptive_mbrl.errors import ObservationError
from adaptive_mbrl.objective import RewardFunction
from adaptive_mbrl.planning import PlannerConfig, make_planner
from adaptive_mbrl.planning.base import Plan, Planner, PlanState
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.transitions import Transitions


@dataclass(frozen=True)
class StepInfo:
    """What happened in one control step; arrays have one entry per robot.

    Attributes:
        prior_error: one-step error of the prior about the newest observation, RMS over channels in target stds; NaN at first.
        adapted_error: the same of the belief of the step before, whether or not the planner fell back to the prior.
        fell_back: the prior was used because adaptation had been predicting worse.
        predicted_return: of the best candidate plan.
        adapt_seconds: time spent on adaptation [s].
        plan_seconds: time spent on planning [s].
    """

    prior_error: np.ndarray
    adapted_error: np.ndarray
    fell_back: np.ndarray
    predicted_return: np.ndarray
    adapt_seconds: float
    plan_seconds: float


@dataclass(frozen=True)
class Command:
    """What to send, and what is known about it.

    Attributes:
        action: within limits, (action_dim,) or (B, action_dim).
        plan: the action and those that would follow it, (H, action_dim) or (B, H, action_dim).
        info: of this control step.
    """

    action: np.ndarray
    plan: np.ndarray
    info: StepInfo


class ControllerState(NamedTuple):
    """All that is carried from one control step to the next.

    Attributes:
        recent: the last K transitions.
        last_obs: (B, obs_dim).
        last_action: (B, action_dim).
        started: False before the first step and across a gap, (B,) bool.
        belief: adapted at the last step, whether or not the planner fell back to the prior.
        plan: of the planner.
        error_ratio: running mean of log(adapted error / prior error), (B,); positive where adaptation hurts.
    """

    recent: Transitions
    last_obs: Tensor
    last_action: Tensor
    started: Tensor
    belief: Any
    plan: PlanState
    error_ratio: Tensor


class Ahead(NamedTuple):
    """From where to where the model looks ahead before it plans.

    Attributes:
        obs: the newest one, (B, obs_dim).
        pending: actions that act before the plan's first one, (B, P, action_dim).
        remaining: share of its control period that the first of them still acts.
    """

    obs: Tensor
    pending: Tensor
    remaining: float = 1.0


class AdaptiveController:
    """Adapts a dynamics model and plans under it at every control step.

    Args:
        spec: the robot.
        adapter: model and adaptation rule.
        planner: the planner.
        objective: what is maximised.
        window: K, transitions kept.
        adapt: False plans under the prior (the frozen arm); errors of the adapted belief are then those of the prior.
        fallback: use the prior for a robot on which the belief has been predicting worse than the prior.
        bfloat16: the planner's rollouts in bfloat16, on processors where that is faster; it may cost return.

    Attributes:
        belief_is_frozen: while True the belief stays as it is; what is seen meanwhile is still kept in the window.
    """

    ERROR_MEMORY = 0.9
    """Weight of the past in the running comparison of adapted and prior error."""
    MAX_LOG_RATIO = 3.0
    """Most that one step counts in that comparison, so that a spike does not decide for long."""

    def __init__(
        self,
        spec: RobotSpec,
        adapter: Adapter[Any],
        planner: Planner,
        objective: RewardFunction,
        window: int,
        *,
        adapt: bool = True,
        fallback: bool = True,
        bfloat16: bool = False,
    ) -> None:
        self.spec, self.adapter, self.planner, self.objective = spec, adapter.eval(), planner, objective
        self.window, self.adapt, self.fallback, self.bfloat16 = window, adapt, fallback, bfloat16
        self.device = next(adapter.parameters()).device
        self.belief_is_frozen = False
        self._state: ControllerState | None = None

    @property
    def precision(self) -> str:
        """Of the planner's rollouts."""
        return "bfloat16" if self.bfloat16 else "float32"

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        spec: RobotSpec | None = None,
        objective: RewardFunction | None = None,
        planner: PlannerConfig | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        adapt: bool = True,
    ) -> AdaptiveController:
        """Controller of a checkpoint.

        Args:
            path: checkpoint folder or name of a shipped checkpoint.
            spec: the robot at hand; a checkpoint of another robot is refused.
            objective: replaces the checkpoint's.
            planner: replaces the checkpoint's planner settings.
            seed: of the planner's noise.
            device: where to compute.
            adapt: False keeps the prior.
        """
        checkpoint = load_checkpoint(path, device)
        if spec is not None:
            require_robot(checkpoint, spec, str(path))
        about = checkpoint.description
        made = make_planner(about.spec, planner or about.planner, seed, device)
        return cls(about.spec, checkpoint.adapter, made, objective or about.objective, about.adaptation.window, adapt=adapt)

    def reset(self) -> None:
        """Forget transitions, belief and plan; call it when a new episode begins."""
        self._state = None

    def step(
        self,
        obs: np.ndarray,
        goal: np.ndarray | None = None,
        *,
        sent: np.ndarray | None = None,
        after_gap: bool = False,
        pending: np.ndarray | None = None,
        latest: np.ndarray | None = None,
        remaining: float = 1.0,
        num_samples: int | None = None,
    ) -> Command:
        """One control step.

        Args:
            obs: SI units, (obs_dim,) for one robot or (B, obs_dim).
            goal: of the objective, (goal_dim,) or (B, goal_dim), or with a leading horizon axis before the last one if it is
                known to move, (B, H, goal_dim); may be left out when the objective has none.
            sent: the action that the robot really got since the step before, shaped like `obs`, where noise, a limit or a
                supervisor made it differ from the command; the command itself if left out. Without meaning at the first step.
            after_gap: more than one control period has passed since the step before: what lies between is no transition to learn
                from.
            pending: actions that are on their way and will act before the plan's first one, one control period each,
                (P, action_dim) or (B, P, action_dim): the plan starts from the obs that the model predicts after them.
            latest: an obs that is newer than `obs` by a part of a control period, shaped like it: the plan starts from here,
                while `obs` and the ones before, a control period apart, are what is learned from.
            remaining: share of its control period that the first pending action still acts after `latest`, or after `obs`.
            num_samples: candidates of this step, where there is no time for the configured number.

        Raises:
            ObservationError: wrong size or not finite; nothing is changed then.
        """
        state, obs_tensor, goal_tensor = self._inputs(obs, goal, sent)
        begin = obs_tensor if latest is None else self._latest(latest, obs_tensor)
        pending_tensor = self._pending(pending, len(obs_tensor))
        if after_gap:
            state = state._replace(started=torch.zeros_like(state.started))
        noise = self.planner.draw_noise(num_samples)

        watch = self._stopwatch()
        watch.mark()
        state, errors, fell_back = self._observe_and_adapt(state, obs_tensor)
        watch.mark()
        ahead = Ahead(begin, pending_tensor, remaining)
        state, plan = self._plan_and_act(state, obs_tensor, goal_tensor, fell_back, noise, ahead)
        watch.mark()
        # here, for the first time, the host waits for the device
        actions = plan.actions.cpu().numpy().copy()

        self._state = state
        info = StepInfo(
            errors[0].cpu().numpy(),
            errors[1].cpu().numpy(),
            fell_back.cpu().numpy(),
            plan.predicted_return.cpu().numpy(),
            watch.seconds(0),
            watch.seconds(1),
        )
        if np.ndim(obs) == 2:
            return Command(actions[:, 0].copy(), actions, info)
        return Command(actions[0, 0].copy(), actions[0], info)

    def _inputs(
        self, obs: np.ndarray, goal: np.ndarray | None, sent: np.ndarray | None
    ) -> tuple[ControllerState, Tensor, Tensor]:
        """The state to go on from, with what was really sent, and obs and goal of a batch; checked."""
        obs_array = self._checked("obs", obs, self.spec.obs_names)
        batch = obs_array if obs_array.ndim == 2 else obs_array[None]
        state = self._state
        if state is not None and len(batch) != len(state.last_obs):
            raise ObservationError(f"obs: got {len(batch)} robots; {len(state.last_obs)} since the last reset")
        state = state or self._initial_state(len(batch))
        if sent is not None:
            sent_array = self._checked("sent", sent, self.spec.action_names)
            if sent_array.shape[:-1] != obs_array.shape[:-1]:
                raise ObservationError(f"sent: got shape {sent_array.shape} beside obs of shape {obs_array.shape}")
            state = state._replace(last_action=torch.as_tensor(sent_array, device=self.device).view_as(state.last_action))
        return state, torch.as_tensor(batch, device=self.device), self._goal(goal, len(batch))

    @torch.no_grad()
    def _observe_and_adapt(self, state: ControllerState, obs: Tensor) -> tuple[ControllerState, Tensor, Tensor]:
        errors = self._one_step_errors(state, obs)
        recent = _append(state.recent, state.last_obs, state.last_action, obs, state.started)
        # a prediction that is no number is as wrong as can be
        limit = self.MAX_LOG_RATIO
        log_ratio = (errors[1].clamp(min=1e-8) / errors[0].clamp(min=1e-8)).log().nan_to_num(nan=limit).clamp(-limit, limit)
        log_ratio = torch.where(state.started, log_ratio, 0.0)
        ratio = self.ERROR_MEMORY * state.error_ratio + (1 - self.ERROR_MEMORY) * log_ratio
        prior = self.adapter.prior(len(obs))
        if not self.adapt:
            return state._replace(recent=recent, belief=prior), errors, torch.zeros_like(state.started)
        if self.belief_is_frozen:
            return state._replace(recent=recent, error_ratio=ratio), errors, (ratio > 0) & self.fallback
        belief = self.adapter.update(prior, recent)
        return state._replace(recent=recent, belief=belief, error_ratio=ratio), errors, (ratio > 0) & self.fallback

    @torch.no_grad()
    def _plan_and_act(
        self, state: ControllerState, obs: Tensor, goal: Tensor, fell_back: Tensor, noise: Tensor, ahead: Ahead
    ) -> tuple[ControllerState, Plan]:
        belief = self.adapter.select(fell_back, self.adapter.prior(len(obs)), state.belief)
        begin = self._when_it_acts(belief, ahead)

        def rollout(actions: Tensor) -> Tensor:
            # weights that are cast once make lower precision faster on a CPU, where autocast would cast them at every step
            return self.adapter.roll_out(belief, begin, actions, torch.bfloat16 if self.bfloat16 else None)

        plan_state, plan = self.planner.plan(state.plan, rollout, self.objective, goal, begin, noise)
        acted = state._replace(
            last_obs=obs,
            last_action=torch.cat([ahead.pending, plan.actions], 1)[:, 0],
            plan=plan_state,
            started=torch.ones_like(state.started),
        )
        return acted, plan

    def _when_it_acts(self, belief: Any, ahead: Ahead) -> Tensor:
        """The obs predicted for the moment at which the plan's first action begins to act, (B, obs_dim)."""
        obs, share = ahead.obs, ahead.remaining
        normalizer = self.adapter.model.normalizer
        for action in ahead.pending.unbind(1):
            after = self.adapter.predict(belief, obs[:, None], action[:, None]).mean[:, 0]
            # the model knows whole control periods; of a part of one, it takes the same part of the change
            obs = after if share == 1.0 else normalizer.shift(obs, share * normalizer.error(after, obs))
            share = 1.0
        return obs

    def _one_step_errors(self, state: ControllerState, obs: Tensor) -> Tensor:
        """Prequential errors of prior and belief: each predicted `obs` before it was seen; (2, B), NaN on the first step."""
        errors = []
        for belief in (self.adapter.prior(len(obs)), state.belief):
            mean = self.adapter.predict(belief, state.last_obs[:, None], state.last_action[:, None]).mean[:, 0]
            errors.append(self.adapter.model.normalizer.error(mean, obs).square().mean(-1).sqrt())
        return torch.where(state.started, torch.stack(errors), torch.nan)

    def _initial_state(self, batch: int) -> ControllerState:
        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(batch, *shape, dtype=dtype, device=self.device)

        obs_dim, action_dim = self.spec.obs_dim, self.spec.action_dim
        recent = Transitions(
            zeros(self.window, obs_dim),
            zeros(self.window, action_dim),
            zeros(self.window, obs_dim),
            zeros(self.window, dtype=torch.bool),
        )
        return ControllerState(
            recent,
            zeros(obs_dim),
            zeros(action_dim),
            zeros(dtype=torch.bool),
            self.adapter.prior(batch),
            self.planner.init(batch),
            zeros(),
        )

    def _goal(self, goal: np.ndarray | None, batch: int) -> Tensor:
        dim = self.objective.goal_dim
        if goal is None:
            if dim:
                raise ObservationError(f"goal: missing; the objective needs {dim} values")
            return torch.zeros(batch, 0, device=self.device)
        array = _own_array("goal", goal)
        if array.shape[-1:] != (dim,) or not np.isfinite(array).all():
            raise ObservationError(f"goal: expected {dim} finite values, got shape {array.shape}")
        array = array if array.ndim > 1 else np.tile(array, (batch, 1))
        if len(array) != batch:
            raise ObservationError(f"goal: got {len(array)} rows for {batch} robots")
        horizon = self.planner.config.horizon
        if array.ndim > 2 and array.shape[1:-1] != (horizon,):
            raise ObservationError(
                f"goal: got shape {array.shape}; a moving goal needs one row per step of the horizon, {horizon}"
            )
        return torch.as_tensor(array, device=self.device)

    def _latest(self, latest: np.ndarray, obs: Tensor) -> Tensor:
        array = self._checked("latest", latest, self.spec.obs_names)
        if array.size != obs.numel():
            raise ObservationError(f"latest: got shape {array.shape} beside {len(obs)} robots")
        return torch.as_tensor(array, device=self.device).view_as(obs)

    def _pending(self, pending: np.ndarray | None, batch: int) -> Tensor:
        """(B, P, action_dim), P = 0 where nothing is on its way."""
        dim = self.spec.action_dim
        if pending is None:
            return torch.zeros(batch, 0, dim, device=self.device)
        array = _own_array("pending", pending)
        array = np.tile(array, (batch, 1, 1)) if array.ndim == 2 else array
        if array.ndim != 3 or array.shape[::2] != (batch, dim) or not np.isfinite(array).all():
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

    def _stopwatch(self) -> _Stopwatch | _CudaStopwatch:
        return _CudaStopwatch(self.device) if self.device.type == "cuda" else _Stopwatch()


class _Stopwatch:
    """Times of marks on the host."""

    def __init__(self) -> None:
        self._marks: list[float] = []

    def mark(self) -> None:
        self._marks.append(time.perf_counter())

    def seconds(self, index: int) -> float:
        """From mark `index` to the next one [s]."""
        return self._marks[index + 1] - self._marks[index]


class _CudaStopwatch:
    """Times of marks in a GPU's stream, which the host does not wait for; to be read when the last one has passed."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.current_stream(device)
        self._marks: list[torch.cuda.Event] = []

    def mark(self) -> None:
        event = torch.cuda.Event(enable_timing=True)
        event.record(self._stream)
        self._marks.append(event)

    def seconds(self, index: int) -> float:
        """From mark `index` to the next one [s]."""
        return 1e-3 * float(self._marks[index].elapsed_time(self._marks[index + 1]))


def _own_array(what: str, values: Any) -> np.ndarray:
    """A copy as float32: callers reuse their buffers, and the window must not change with them."""
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ObservationError(f"{what}: expected numbers, got {type(values).__name__}: {error}") from error


def _append(recent: Transitions, obs: Tensor, action: Tensor, next_obs: Tensor, valid: Tensor) -> Transitions:
    """Drop the oldest transition of each robot and add the newest."""
    newest = Transitions(obs[:, None], action[:, None], next_obs[:, None], valid[:, None])
    return Transitions(*(torch.cat([old[:, 1:], new], dim=1) for old, new in zip(recent, newest, strict=True)))
